"""A live record joined with its client's log: nobody is closed twice, and what is unfinished stays so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgebed.runs.client_log import CLIENT_LOG, join_client_log
from emulation.metrics.conservation import conservation
from emulation.metrics.summary import summarise
from emulation.recording import write_records
from tests.build.records import footer, header, request
from workloads.load import ClientResult


def seen(request_id: str, intended_s: float, outcome: str = "aborted") -> str:
    facts = {"ended_s": intended_s + 5.0, "sent_s": intended_s, "latency_wall_s": 5.0, "model": "a"}
    result = {"request_id": request_id, "intended_s": intended_s, "outcome": outcome, **facts}
    return ClientResult.model_validate(result).model_dump_json() + "\n"


def test_a_request_the_gateway_still_held_is_unfinished_whatever_its_client_made_of_it(
    tmp_path: Path,
) -> None:
    done, held = request(0, 3, request_id="x"), request(9, 80, request_id="y", outcome="unfinished")
    books = replace(footer([done, held]), in_system={"a": 1})
    live = header(world="live", deadline_s=None)
    write_records(tmp_path, [(line, None) for line in (live, done, held, books)])
    log = seen("x", 0.0, "done") + seen("y", 8.0) + seen("never-sent", 9.0)
    (tmp_path / CLIENT_LOG).write_text(log)
    run = join_client_log(tmp_path)
    assert {r.request_id: (r.outcome, r.intended_s) for r in run.requests} == {
        "x": ("done", 0.0),
        "y": ("unfinished", 8.0),
        "never-sent": ("aborted", 9.0),
    }
    assert conservation(run).ok
    assert (summarise(run).arrived, summarise(run).success_ratio) == (3, 1 / 3)
