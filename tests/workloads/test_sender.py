"""One process's share of a load: a request that cannot even be written down has its line in the log too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
import pytest

from emulation.domain.request import Request
from tests.build.workloads import scenario
from workloads import sender
from workloads.generate import generate
from workloads.load import client_log
from workloads.open_loop import Timeline
from workloads.sender import Job, OpenLoopRun

NOBODY = "http://127.0.0.1:9"
"""Where nothing listens."""


def a_run(log: Path) -> OpenLoopRun:
    """Four requests that have long been due."""
    world = scenario({"kind": "periodic", "interval_s": 0.001, "count": 4, "models": ["sd"]})
    job = Job(
        scenario=world, workload=generate(world, 0), timeline=Timeline(0.0, 1000.0), base_url=NOBODY, log=log,
        index=0, count=1, timeout_s=5.0, grace_s=1.0,
    )  # fmt: skip
    return OpenLoopRun(job, lambda: 1000.0, lambda *_: None)


def test_a_call_that_cannot_be_made_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(request: Request, *given: Any) -> Any:
        if request.id == "r000001":
            raise TypeError("Object of type int64 is not JSON serializable")
        return made(request, *given)

    made = sender.build_call
    monkeypatch.setattr(sender, "build_call", odd)
    a_run(tmp_path / "client.jsonl").run()
    lines = client_log(tmp_path / "client.jsonl")
    assert [line.request_id for line in lines] == [f"r{i:06d}" for i in range(4)]
    assert {line.outcome for line in lines} == {"error"}
    assert [line.error for line in lines if "int64" in (line.error or "")] == [lines[1].error]


def test_a_request_has_its_line_where_the_run_is_stopped_before_its_sending_begins(tmp_path: Path) -> None:
    run = a_run(tmp_path / "client.jsonl")

    def stopped_meanwhile(arrival_s: float) -> float:
        gevent.spawn(run.close)
        return arrival_s

    run._pace.due_s = stopped_meanwhile  # type: ignore[method-assign]
    run.run()
    lines = client_log(tmp_path / "client.jsonl")
    assert [line.request_id for line in lines] == [f"r{i:06d}" for i in range(4)]
    assert {line.outcome for line in lines} == {"aborted"}
