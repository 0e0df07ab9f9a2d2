"""A live run whose actors are late: virtual runs drawn from its own overhead decide as it did, where timing matters."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from edgebed.runs.overhead import measured_overhead
from edgebed.runs.parity import Conditions, jittered
from edgebed.runs.virtual import simulate
from emulation.domain.records import DecisionRecord
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slot_of, slot_start_s
from emulation.files import load_scenario
from emulation.recording import MemorySink, Run
from emulation.rng import stream
from workloads.generate import generate

SEED = 0
LATE_S = {"planner": 0.05, "look:planner": 0.05, "heard:": 0.3, "look:": 0.2, "gateway": 0.05, "": 0.1}
"""Who is late by how much, by the first words that fit: a policy lands 0.1 s after the begin of a slot, the scheduler
looks 0.1 s later, and hears of it 0.2 s after that."""
BOUNDARY_S, AT_BOUNDARY_S, ELSEWHERE_S = 0.5, 0.4, 0.07
"""Requests of the first moment of a slot are late by so much, and others by so much."""


class Platform:
    """Is late a little more or less each time, and keeps who was by how much."""

    def __init__(self) -> None:
        self._rng = stream(SEED, "test-platform")
        self.was: dict[str, dict[float, float]] = defaultdict(dict)
        """Who to when to seconds."""

    def delay_s(self, who: str, t_s: float) -> float:
        usual_s = next(delay_s for words, delay_s in LATE_S.items() if who.startswith(words))
        self.was[who][t_s] = delay_s = usual_s * float(self._rng.uniform(0.9, 1.1))
        return delay_s

    def sides(self, run: Run) -> list[dict[str, Any]]:
        """What a live record would say beside its lines."""
        heard = self.was["gateway"]
        said: list[dict[str, Any]] = [
            {"request_id": r.request_id, "heard_s": r.ended_s + heard.get(r.ended_s, LATE_S["gateway"])}
            for r in run.requests
        ]
        for who, delays in self.was.items():
            kind, _, actor = who.partition(":")
            if kind == "heard":
                said += [{"name": actor, "policy_heard_s": t_s + late_s} for t_s, late_s in delays.items()]
        return said


def world() -> Scenario:
    """Two epochs of the demo."""
    return load_scenario("demo").model_copy(update={"slots": 12, "tail_slots": 0})


@pytest.fixture(scope="module")
def live() -> Run:
    """MA, as a live run would record it."""
    given, platform, sink = world(), Platform(), MemorySink()
    items = generate(given, SEED).items

    def late_s(t_s: float) -> float:
        offset_s = t_s - slot_start_s(slot_of(t_s, given.slot_s), given.slot_s)
        return AT_BOUNDARY_S if offset_s < BOUNDARY_S else ELSEWHERE_S

    sent_s = {r.id: r.arrival_s + late_s(r.arrival_s) for r, _ in items}
    items = tuple(sorted(items, key=lambda item: (sent_s[item[0].id], item[0].id)))
    simulate(given, "MA", SEED, sink, items, platform.delay_s, sent_s=sent_s)
    run = sink.run()
    return replace(run, side=dict(enumerate(platform.sides(run))))


def by_cause(run: Run, actor: str) -> dict[str, DecisionRecord]:
    return {d.cause: d for d in run.decisions if d.actor == actor}


def test_how_late_everybody_was_is_read_from_the_record(live: Run) -> None:
    found = measured_overhead(live)
    for who, usual_s in (
        ("planner", 0.05),
        ("look:planner", 0.05),
        ("heard:scheduler", 0.3),
        ("scheduler", 0.1),
    ):
        late_s = list(chain(*found.decide[who].late_s))
        assert late_s == pytest.approx([usual_s] * len(late_s), rel=0.11)
    assert {round(s, 9) for s in chain(*found.send.late_s)} == {AT_BOUNDARY_S, ELSEWHERE_S}


@pytest.mark.parametrize("number", range(3))
def test_a_run_drawn_from_its_overhead_decides_as_it_did_around_the_landing_of_a_policy(
    live: Run, number: int
) -> None:
    drawn = jittered(world(), Conditions.of(live), number)
    assert all(d.landed_s == 0.0 for d in drawn.decisions if d.t_s == 0.0)
    landing = by_cause(live, "planner")["epoch 1"]
    assert landing.landed_s is not None
    slot = slot_of(landing.landed_s, live.header.slot_s)
    ours, theirs = by_cause(drawn, "scheduler"), by_cause(live, "scheduler")
    assert by_cause(drawn, "planner")["epoch 1"].choice["roles"] == landing.choice["roles"]
    for k in (slot - 1, slot, slot + 1):
        assert ours[f"slot {k}"].choice == theirs[f"slot {k}"].choice
