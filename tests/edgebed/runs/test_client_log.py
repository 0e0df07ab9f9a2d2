"""A live record joined with its client's log: nobody is closed twice, and what is unfinished stays so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgebed.report import compare_runs, comparison_json
from edgebed.report.tables import checks
from edgebed.runs.client_log import CLIENT_LOG, join_client_log
from emulation.ledger import Ledger
from emulation.metrics.client_books import client_books
from emulation.metrics.conservation import conservation
from emulation.metrics.summary import summarise
from emulation.recording import JsonlSink, write_records
from tests.build import fakes
from tests.build.records import footer, header, request
from workloads.load import ClientResult

WORLD = fakes.scenario(fakes.device_testbed())


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


def test_a_request_that_was_renamed_is_joined_by_what_its_client_called_it(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path)
    ledger = Ledger(fakes.header(WORLD), sink, WORLD.testbed)
    one = fakes.request(1, 5.0)
    for named in (
        one,
        replace(one, id=f"{one.id}~1.2"),
        replace(fakes.request(2, 6.0), id="4f2a91c0/r000002~3"),
    ):
        ledger.arrive(named)
        ledger.end(named, "done", 9.0)
    ledger.close(10.0, {})
    sink.close()
    seen = [("r000001", 4.0), ("4f2a91c0/r000002", 5.5)]
    lines = [
        ClientResult(
            request_id=name, model="m", intended_s=t_s, ended_s=9.5, latency_wall_s=1.0, outcome="done"
        ).model_dump_json()
        for name, t_s in seen
    ]
    (tmp_path / CLIENT_LOG).write_text("\n".join(lines) + "\n")
    run = join_client_log(tmp_path)
    assert [(r.request_id, r.intended_s) for r in run.requests] == [
        ("r000001", 4.0),
        ("r000001~1.2", 5.0),
        ("4f2a91c0/r000002~3", 5.5),
    ]
    assert run.footer is not None
    assert run.footer.arrived == {"m": 3}


def live_record(folder: Path, *ids_and_outcomes: tuple[str, str]) -> None:
    """A closed live record of such requests, intended one second apart."""
    lines = [
        request(i, 3, request_id=name, outcome=outcome) for i, (name, outcome) in enumerate(ids_and_outcomes)
    ]
    rows = [header(world="live"), *lines, footer(lines)]
    write_records(folder, [(line, {"kept": 1} if line.kind == "footer" else None) for line in rows])


def test_an_answer_that_is_in_no_record_is_said_so_and_breaks_the_law(tmp_path: Path) -> None:
    live_record(
        tmp_path, ("x", "done"), ("restarted", "error"), ("late", "done"), ("b", "done"), ("b~1", "done")
    )
    log = [("x", "done"), ("restarted", "done"), ("lost", "done"), ("late", "aborted"), ("b", "done")]
    (tmp_path / CLIENT_LOG).write_text("".join(seen(name, 1.0, how) for name, how in log))
    run = join_client_log(tmp_path)
    books = client_books(run)
    assert books is not None
    assert (books.asked, books.answered) == (5, 4)
    assert books.named == {"unrecorded": ["lost", "restarted"], "undelivered": ["late"], "twice": ["b"]}
    assert {r.request_id: (r.outcome, r.reason) for r in run.requests}["lost"] == (
        "error",
        "answered, and in no record",
    )
    found = conservation(run)
    assert not found.ok
    assert "2 answers that a client has are not in the record: lost, restarted" in found.problems
    comparison = compare_runs([run])
    assert not comparison.sound
    said = {cell.text: cell.aside for cell in checks(comparison)}
    text = "2 of 4 answers that clients have are in the record; 1 done by the record reached no client"
    assert said[f"{text}; 1 were done twice"] == "FAILED"
    assert comparison_json(comparison)["clients"][0]["unrecorded"] == 2


def test_a_request_that_was_done_twice_breaks_the_law_though_no_answer_is_missing(tmp_path: Path) -> None:
    live_record(tmp_path, ("x", "done"), ("x~2", "done"))
    (tmp_path / CLIENT_LOG).write_text(seen("x", 0.0, "done"))
    run = join_client_log(tmp_path)
    assert conservation(run).problems == ("1 requests that a client sent once were done more than once: x",)
    comparison = compare_runs([run])
    assert not comparison.sound
    said = {cell.text: cell.aside for cell in checks(comparison)}
    assert said["1 of 1 answers that clients have are in the record; 1 were done twice"] == "FAILED"


def test_where_every_answer_is_in_the_record_the_report_says_so_too(tmp_path: Path) -> None:
    live_record(tmp_path, ("x", "done"), ("y", "rejected"))
    (tmp_path / CLIENT_LOG).write_text(seen("x", 0.0, "done") + seen("y", 1.0, "rejected"))
    comparison = compare_runs([join_client_log(tmp_path)])
    said = {cell.text: cell.aside for cell in checks(comparison)}
    assert said["1 of 1 answers that clients have are in the record"] == "ok"
