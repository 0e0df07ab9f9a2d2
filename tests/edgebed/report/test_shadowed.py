"""What a report says of shadows."""

from __future__ import annotations

from edgebed.report.decisions import control_lines
from edgebed.report.shadowed import agreement
from emulation.domain.records import HYPOTHETICAL, DecisionRecord
from emulation.recording import Run
from tests.build.records import header


def decided(actor: str, request_id: str, choice: str | None, outcome: str, wrong: str = "") -> DecisionRecord:
    return DecisionRecord(
        1.0, actor, "request", 0.0, choice, "by the test", "none", request_id, outcome=outcome,
        violations=(wrong,) if wrong else (),
    )  # fmt: skip


def run_of(*decisions: DecisionRecord) -> Run:
    return Run(header(), (), decisions, (), (), None)


def test_agreement_is_with_the_first_decision_of_what_was_served() -> None:
    run = run_of(
        decided("router", "r1", "d0", "applied"),
        decided("shadow:sect", "r1", "d0", HYPOTHETICAL),
        decided("router", "r2", "hold", "applied"),
        decided("router", "r2", "d1", "applied"),
        decided("shadow:sect", "r2", "d1", HYPOTHETICAL),
        decided("shadow:sect", "dry", "d1", HYPOTHETICAL),
        decided("shadow:AL", "r2", None, HYPOTHETICAL, "it failed"),
    )
    assert agreement(run) == {"sect": (2, 1, 0), "AL": (0, 0, 1)}


def test_what_nobody_carried_out_is_no_decision_of_a_controller() -> None:
    assert control_lines(run_of(decided("shadow:sect", "r1", "d0", HYPOTHETICAL))) == []
    [line] = control_lines(run_of(decided("planner", "r1", "d0", "applied")))
    assert line
