"""The ledger on simulated runs: what it says of a fault that was there, and of one only claimed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.events import Slowdown
from emulation.domain.records import EventRecord
from emulation.files import load_scenario
from emulation.metrics.evidence import fault_ledger
from emulation.recording import Run

DEMO = load_scenario("demo")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("node", ["arc-b60", "jetson-thor"])
def test_a_slowdown_is_told_from_a_claim_of_one(node: str, seed: int) -> None:
    event = Slowdown(node=node, factor=2.5, at_s=130, until_s=230)
    (real,) = fault_ledger(
        simulate_in_memory(DEMO.model_copy(update={"events": (event,)}), "sect", seed), [event]
    )
    assert real.landed
    assert real.recovered
    assert real.effect == pytest.approx(2.5, rel=0.2)
    claims = (
        EventRecord(130, 0, "slowdown", node, "onset", True),
        EventRecord(230, 0, "slowdown", node, "undo", True),
    )
    healthy = simulate_in_memory(DEMO.model_copy(update={"events": ()}), "sect", seed)
    (claimed,) = fault_ledger(replace(healthy, events=claims), [event])
    assert claimed.landed is False


def test_every_event_of_the_demo_lands_and_ends() -> None:
    rows = fault_ledger(simulate_in_memory(DEMO, "AL", 1), DEMO.events)
    assert [(r.type, r.landed, r.recovered) for r in rows] == [
        ("slowdown", True, True),
        ("leave", True, True),
    ]


def measured_only(run: Run) -> Run:
    """The same record from a world whose state nobody asked: a live one."""
    bare = [replace(e, detail={k: v for k, v in e.detail.items() if k != "in_force"}) for e in run.events]
    return replace(run, events=tuple(bare))


@pytest.mark.slow
def test_where_chance_may_be_the_reason_measuring_says_so_and_neither_yes_nor_no() -> None:
    pairs = [("RL", 0), ("RL", 1), ("RL", 2), ("AL", 2), ("LL", 0), ("sect", 2)]
    rows = [fault_ledger(measured_only(simulate_in_memory(DEMO, *pair)), DEMO.events)[0] for pair in pairs]
    assert not [row for row in rows if row.landed is False], "all of them were really slowed down"
    assert {row.landed for row in rows} == {True, None}
    unknown = [row for row in rows if row.landed is None]
    assert all(row.note.startswith("too little work passed to tell") for row in unknown)


def test_what_the_state_of_a_node_does_not_show_did_not_land() -> None:
    run = simulate_in_memory(DEMO, "sect", 1)
    for seen, why in (([1.0, 1.0], "never in force"), ([1.0, 2.0], "weaker than planned")):
        broken = [_shown(e, seen) if e.event == 0 and e.phase == "onset" else e for e in run.events]
        assert fault_ledger(replace(run, events=tuple(broken)), DEMO.events)[0].landed is False, why
    early = [_shown(e, [1.0, 1.0]) if e.event == 0 and e.phase == "undo" else e for e in run.events]
    row = fault_ledger(replace(run, events=tuple(early)), DEMO.events)[0]
    assert (row.landed, row.note) == (False, "it was over before its end")
    stays = [_shown(e, [2.5, 2.5]) if e.event == 0 and e.phase == "undo" else e for e in run.events]
    assert fault_ledger(replace(run, events=tuple(stays)), DEMO.events)[0].recovered is False


def _shown(event: EventRecord, values: list[float]) -> EventRecord:
    return replace(event, detail={**event.detail, "in_force": {"arc-b60": values}})
