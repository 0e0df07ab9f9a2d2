"""Measured starts and stops of replicas, out of the launcher's entries."""

from __future__ import annotations

import pytest

from edgebed.runs.processes import process_figures, process_line
from emulation.domain.records import DecisionRecord
from tests.build.records import decision, run


def entry(cause: str, t_s: float, landed_s: float | None, executor: str, outcome: str) -> DecisionRecord:
    choice = {"executor": executor, "mode": "gpu", "serve_status": "RUNNING"}
    return decision(t_s, "launcher", cause=cause, choice=choice, landed_s=landed_s, outcome=outcome)


def test_times_count_from_the_asking_and_only_of_what_succeeded() -> None:
    found = process_figures(
        [
            run(
                decisions=[
                    entry("start", 10.0, 12.0, "n1/a", "applied"),
                    entry("start", 10.0, 16.0, "n2/b", "applied"),
                    entry("start", 20.0, None, "n2/b", "rejected"),
                    entry("start", 30.0, None, "n2/b", "voided"),
                    decision(0.0, "deployer:n1"),
                ]
            ),
            run(decisions=[entry("stop", 40.0, 41.0, "n1/a", "applied")]),
        ]
    )
    assert found is not None
    starts = found["starts"]
    assert (starts["count"], starts["failed"], starts["given_up"]) == (2, 1, 1)
    assert (starts["mean_s"], starts["min_s"], starts["max_s"]) == pytest.approx((4.0, 2.0, 6.0))
    assert starts["per_model"]["b"]["mean_s"] == pytest.approx(6.0)
    assert found["stops"]["count"] == 1
    assert process_line(found) == (
        "2 starts in 4.0 s on average (2.0 to 6.0 s), 1 failed, 1 given up;"
        " 1 stops in 1.0 s on average (1.0 to 1.0 s)"
    )


def test_a_run_without_processes_has_no_such_figures() -> None:
    assert process_figures([run(decisions=[decision(0.0, "deployer:n1")])]) is None
