"""The ledger on simulated runs: what it says of a fault that was there, and of one only claimed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.events import Slowdown
from emulation.domain.records import EventRecord
from emulation.files import load_scenario
from emulation.metrics.evidence import fault_ledger

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
