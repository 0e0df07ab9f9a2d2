"""A fault that was injected into one run by hand is judged in that run, and nobody else answers for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from edgebed.report import Comparison, compare_runs
from edgebed.report.tables import checks, fault_lines
from emulation.domain.events import Event, Leave, Slowdown
from emulation.domain.records import EventRecord
from emulation.recording import Run
from tests.build.records import event, request, run

PLAN: list[Event] = [Slowdown(at_s=10, until_s=20, node="n1", factor=2.0)]
SLOWER = Slowdown(at_s=30, until_s=40, node="n1", factor=3.0)
GONE = Leave(at_s=30, until_s=40, node="n2")


def steps(number: int, spec: Any, *states: float) -> list[EventRecord]:
    """Onset and undo of an event as the virtual world records them: its effect before, in force, and after it."""
    before, inside, after = states
    told = {
        "spec": json.loads(spec.model_dump_json()),
        "value": inside,
        "in_force": {spec.node: [before, inside]},
    }
    begun = event(spec.at_s, "onset", number, spec.kind, spec.target)
    over = event(spec.until_s, "undo", number, spec.kind, spec.target)
    return [replace(begun, detail=told), replace(over, detail={"in_force": {spec.node: [inside, after]}})]


def played(scheme: str, *more: list[EventRecord]) -> Run:
    """A run that went through the plan, and through more."""
    events = [*steps(0, PLAN[0], 1.0, 2.0, 1.0), *(record for own in more for record in own)]
    return run([request(at_s, 2) for at_s in range(60)], events=events, scheme=scheme)


def judged(comparison: Comparison) -> list[tuple[str, int, str, bool | None]]:
    return [(r.scheme, r.event, r.type, r.landed) for r in comparison.faults or ()]


def test_a_fault_injected_into_one_run_is_judged_in_that_run_alone() -> None:
    found = compare_runs([played("AL", steps(1, SLOWER, 1.0, 3.0, 1.0)), played("MA")], PLAN)
    assert judged(found) == [
        ("AL", 0, "slowdown", True), ("AL", 1, "slowdown", True), ("MA", 0, "slowdown", True),
    ]  # fmt: skip
    assert found.sound
    said = [cell.text for cell in checks(found)]
    assert "not every run went through all of the faults: slowdown n1, injected by hand" in said
    assert not any("injected by hand" in cell.text for cell in checks(compare_runs([played("MA")], PLAN)))


def test_one_that_did_not_land_still_fails_its_own_run() -> None:
    missed = [replace(e, detail={**e.detail, "value": 3.0}) for e in steps(1, SLOWER, 1.0, 1.0, 1.0)]
    found = compare_runs([played("AL", missed), played("MA")], PLAN)
    assert [(row.scheme, row.event) for row in found.faults or () if row.landed is False] == [("AL", 1)]
    assert not found.sound


def test_the_same_number_may_be_another_fault_in_another_run() -> None:
    runs = [played("AL", steps(1, SLOWER, 1.0, 3.0, 1.0)), played("MA", steps(1, GONE, 0.0, 1.0, 0.0))]
    runs.append(replace(runs[1], header=replace(runs[1].header, scheme="AL", seed=2)))
    found = compare_runs(runs, PLAN)
    by_hand = [(r.scheme, r.seed, r.type, r.target) for r in found.faults or () if r.event == 1]
    assert by_hand == [
        ("AL", 1, "slowdown", "n1"), ("AL", 2, "leave", "n2"), ("MA", 1, "leave", "n2"),
    ]  # fmt: skip
    lines = [line for line in fault_lines(found.faults or ()) if line["event"] == 1]
    assert [(line["type"], line["scheme"]) for line in lines] == [
        ("leave", "AL"), ("leave", "MA"), ("slowdown", "AL"),
    ]  # fmt: skip


def test_one_that_never_began_leaves_its_number_out() -> None:
    found = compare_runs([played("AL", steps(2, SLOWER, 1.0, 3.0, 1.0))], PLAN)
    assert judged(found) == [("AL", 0, "slowdown", True), ("AL", 2, "slowdown", True)]
    assert found.sound


def test_without_a_plan_what_was_injected_is_judged_all_the_same() -> None:
    live = run([request(at_s, 2) for at_s in range(60)], events=steps(0, SLOWER, 1.0, 3.0, 1.0), scheme="AL")
    assert judged(compare_runs([live], [])) == [("AL", 0, "slowdown", True)]
    assert compare_runs([live]).faults is None, "nobody knows the plan"
    assert compare_runs([run(scheme="AL")], []).faults is None
