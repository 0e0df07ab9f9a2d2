"""Events of one kind may overlap on one target: each lasts until its own undo, in both worlds.

What adds up does (slowdowns multiply, delays add, either of two losses loses a message); a node or a replica is back
when nothing keeps it away any more; where only one can hold (a reasoner's failure, a scheme) it is the last that began.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.domain.last_begun import LastBegun
from emulation.domain.truth import RequestTruth
from emulation.engine.control import ControlPlane
from emulation.executor import NodeState
from emulation.faults import FAULTS, Step, apply
from emulation.metrics.evidence import fault_ledger
from serve_apps.wire.names import EVENTS, RECORDER, runtime_name
from serve_apps.wire.news import Follower
from tests.build.calls import InMemoryCalls
from tests.build.controllers import Books
from tests.build.fakes import device_testbed, request, scenario, simulate
from tests.build.faulted import KINDS, OF_CONTROL, event, one_pod, ready, served, steps
from tests.build.players import LiveNode, playing, state_is
from tests.build.waiting import in_a_loop

OF_NODES = [kind for kind in FAULTS if kind not in OF_CONTROL]
AWAY = ("leave", "drain", "node_kill")
SPANS = {
    "one after the other begins": ((20.0, 100.0), (60.0, 160.0)),
    "one inside the other": ((20.0, 160.0), (60.0, 100.0)),
    "the same span twice": ((20.0, 160.0), (20.0, 160.0)),
}
"""Two events; both are in force at 75 s, one at least at 120 s, none at 200 s."""


def disturbed(node: NodeState, number: int, at_s: float) -> bool:
    """Whether a request sent now fares otherwise than it does at a node that nothing happens to."""
    outcome, took_s, stutter = served(node, number, at_s)
    return (outcome, round(took_s, 6), stutter) != ("done", 2.0, False)


def played(found: list[Step], at_s: list[float]) -> list[bool]:
    """Whether a node is disturbed at these times, its steps played between them."""
    node, left, seen = ready(), sorted(found, key=lambda s: (s.at_s, s.phase != "undo")), []
    for number, now_s in enumerate(at_s):
        while left and left[0].at_s <= now_s:
            step = left.pop(0)
            if "n" in step.nodes:
                apply(step, node, step.at_s)
        seen.append(disturbed(node, number, now_s))
    return seen


@pytest.mark.parametrize("spans", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("kind", OF_NODES)
def test_what_two_events_do_lasts_until_both_are_undone(kind: str, spans: Any) -> None:
    two = [
        step
        for number, (at_s, until_s) in enumerate(spans)
        for step in steps(kind, number, at_s=at_s, until_s=until_s)
    ]
    assert played(two, [75.0, 120.0, 200.0]) == [True, True, False]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", OF_NODES)
def test_one_that_is_undone_early_leaves_the_other_in_force(kind: str, first: int) -> None:
    both = [steps(kind, number, at_s=20.0, until_s=160.0) for number in (0, 1)]
    early = replace(both[first][-1], at_s=60.0, by_hand=True)
    left = [step for step in both[first] if step.at_s < 60.0]
    assert played([*left, early, *both[1 - first]], [75.0, 120.0, 200.0]) == [True, True, False]


@pytest.mark.parametrize("other", AWAY)
@pytest.mark.parametrize("kind", AWAY)
def test_a_node_is_back_when_nothing_keeps_it_away(kind: str, other: str) -> None:
    two = [
        *steps(kind, 0, at_s=20.0, until_s=100.0),
        *steps(other, 1, at_s=60.0, until_s=160.0),
    ]
    assert played(two, [40.0, 120.0, 200.0]) == [True, True, False]


@pytest.mark.parametrize("kind", AWAY)
def test_the_ledger_proves_both_of_two_leaves_that_overlap(kind: str) -> None:
    plan = [
        KINDS[kind](node="d0", at_s=20.0, until_s=100.0),
        KINDS[kind](node="d0", at_s=60.0, until_s=160.0),
    ]
    world = scenario(device_testbed(nodes=2), horizon_s=300.0, events=plan)
    run = simulate(world, [(request(i, 1.0 + 10.0 * i), RequestTruth()) for i in range(29)])
    served_in = [r for r in run.requests if r.executor == "d0" and 20.0 < (r.started_s or 0.0) < 160.0]
    assert not served_in
    assert [(row.landed, row.recovered) for row in fault_ledger(run, world.events)] == [(True, True)] * 2


# -- live: the same, undone by hand


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", OF_NODES)
def test_live_one_that_is_undone_by_hand_leaves_the_other_in_force(kind: str, first: int) -> None:
    @in_a_loop
    async def steps_of_it() -> None:
        node, other = LiveNode(ready()), LiveNode(NodeState(one_pod(), "m"))
        named = {runtime_name("n"): node, runtime_name("m"): other, RECORDER: Books()}
        player = await playing(InMemoryCalls(named), one_pod())
        for number in (0, 1):
            await player.inject(event(kind, at_s=0.0, until_s=90_000.0))
            await state_is(player, number, "in_force")
        seen = []
        for number, undone in enumerate((first, 1 - first)):
            await player.undo(undone)
            await state_is(player, undone, "over")
            node.now_s += 20.0
            seen.append(disturbed(node.state, number, node.now_s))
            node.now_s += 20.0
        assert seen == [True, False]

    steps_of_it()


# -- who decides: the last that began


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3))))
def test_the_last_that_began_and_is_not_undone_holds(moves: list[tuple[bool, int]]) -> None:
    followed, in_order = LastBegun("nothing"), list[int]()
    for begins, event_number in moves:
        if begins:
            followed.begin(event_number, f"event {event_number}")
            in_order += [] if event_number in in_order else [event_number]
        else:
            followed.end(event_number)
            in_order = [e for e in in_order if e != event_number]
        assert followed.now == (f"event {in_order[-1]}" if in_order else "nothing")


OUTAGES = {
    "one after the other begins": (((10.0, 30.0), (20.0, 40.0)), ["timeout", "refusal", "refusal", None]),
    "one inside the other": (((10.0, 40.0), (20.0, 30.0)), ["timeout", "refusal", "timeout", None]),
    "the same span twice": (((10.0, 40.0), (10.0, 40.0)), ["timeout", "refusal", "refusal", None]),
}
"""Spans of a `timeout` and a `refusal`, and how the reasoners fail after each of the four steps."""


class Heard(ControlPlane):
    """Controllers that only note how their reasoner is told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str | None] = []

    def outage(self, failure: str | None) -> None:
        self.told.append(failure)


def outages(spans: Any) -> list[Any]:
    """An outage of each kind in these spans."""
    return [
        event("llm_outage", at_s=at_s, until_s=until_s, failure=failure)
        for (at_s, until_s), failure in zip(spans, ("timeout", "refusal"), strict=True)
    ]


@pytest.mark.parametrize(("spans", "told"), OUTAGES.values(), ids=OUTAGES)
def test_reasoners_fail_as_the_last_outage_says_that_began(spans: Any, told: list[str | None]) -> None:
    world = scenario(device_testbed(), horizon_s=100.0, events=outages(spans))
    plane = Heard()
    simulate(world, [(request(0, 1.0), RequestTruth())], control=plane)
    assert plane.told == told


@pytest.mark.parametrize("first", [0, 1])
def test_live_the_end_of_one_outage_is_not_that_of_another(first: int) -> None:
    failures, heard = ("timeout", "refusal"), list[str | None]()

    @in_a_loop
    async def steps_of_it() -> None:
        player = await playing(InMemoryCalls({RECORDER: Books()}), one_pod())
        follower = Follower(InMemoryCalls({EVENTS: player}), EVENTS, "run", heard.append)
        for number, failure in enumerate(failures):
            await player.inject(event("llm_outage", at_s=0.0, until_s=90_000.0, failure=failure))
            await state_is(player, number, "in_force")
            await follower.poll()
        for undone in (first, 1 - first):
            await player.undo(undone)
            await state_is(player, undone, "over")
            await follower.poll()

    steps_of_it()
    assert heard == [*failures, failures[1 - first], None]
