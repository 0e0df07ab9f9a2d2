"""How late the platform was by a record, and what jittered runs make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from edgebed.runs.overhead import Delays, Jitter, Overhead, measured_overhead
from emulation.domain.actions import Decision, RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.slots import slot_of, slot_start_s
from emulation.ledger import Ledger
from emulation.recording import MemorySink, Run
from emulation.rng import stream
from tests.build.fakes import device_testbed, header, request, scenario
from tests.build.loops import limit

SLOT_S = 10.0
SLOTS = 10


def record(decisions: Sequence[tuple[Decision, float, Mapping[str, Any] | None]]) -> Run:
    """Of a live run with these decisions: each with when it landed, and its side data."""
    world = scenario(device_testbed(), horizon_s=SLOTS * SLOT_S, epoch_slots=2)
    sink = MemorySink()
    ledger = Ledger(replace(header(world), world="live"), sink, world.testbed)
    for decision, landed_s, side in decisions:
        ledger.decide(decision, landed_s, "applied", side=side)
    ledger.close(SLOTS * SLOT_S, ())
    return sink.run()


def decided(actor: str, cause: str, at_s: float, thinking_s: float = 0.0) -> Decision:
    return Decision(actor, cause, at_s, 0.0, limit(1.0), "as told", "rules", thinking_s)


def slots(delay_s: Mapping[float, float], measured: Sequence[float]) -> Delays:
    """In every slot these delays, offset in it to seconds, at each of these slots."""
    pairs = [(slot_start_s(int(k), SLOT_S) + offset, d) for k in measured for offset, d in delay_s.items()]
    return Delays.of(pairs)


NONE = Delays.of(())


def jitter(number: int = 0, send: Delays = NONE, decide: Mapping[str, Delays] | None = None) -> Jitter:
    overhead = Overhead(send, decide or {}, SLOT_S)
    return Jitter(overhead, stream(0, f"test-jitter/{number}"))


def test_what_was_decided_before_the_clock_started_tells_nothing_of_how_late_decisions_land() -> None:
    planner = [
        (decided("planner", f"epoch {e}", 20.0 * e), 20.0 * e + (0.2 if e else 0.0), None) for e in range(5)
    ]
    overhead = measured_overhead(record(planner))
    assert overhead.decide["planner"].delay_s == pytest.approx((0.2,) * 4)
    assert overhead.decide["look:planner"].delay_s == pytest.approx((0.0,) * 4)


def test_how_late_a_policy_is_heard_is_what_the_next_decision_says() -> None:
    """The second one is heard again when its planner comes back, which is not news."""
    planner = [(decided("planner", f"epoch {e}", 20.0 * e, 10.0), 20.0 * e + 10.0, None) for e in (1, 2)]
    said = [(4, None), (5, 30.3), (6, None), (7, 50.1), (8, 71.0)]
    heard = [
        (
            decided("scheduler", f"slot {k}", k * SLOT_S),
            k * SLOT_S,
            {"name": "scheduler"} | ({} if heard_s is None else {"policy_heard_s": heard_s}),
        )
        for k, heard_s in said
    ]
    before = (decided("scheduler", "slot 0", 0.0), 0.0, {"name": "scheduler", "policy_heard_s": 0.0})
    found = measured_overhead(record([*planner, before, *heard])).decide["heard:scheduler"]
    assert found.at_s == (30.0, 50.0)
    assert found.delay_s == pytest.approx((0.3, 0.1))


def test_where_a_record_does_not_say_when_policies_were_heard_gateways_stand_in() -> None:
    gateway = slots({0.0: 0.15}, range(SLOTS))
    assert jitter(decide={"gateway": gateway}).delay_s("heard:scheduler", 31.0) == 0.15
    own = {"gateway": gateway, "heard:scheduler": Delays.of([(30.0, 0.4)])}
    assert jitter(decide=own).delay_s("heard:scheduler", 31.0) == 0.4
    assert jitter().delay_s("heard:scheduler", 31.0) == 0.0


def test_only_who_comes_as_a_slot_begins_is_as_late_as_who_came_then() -> None:
    offsets = [0.1 * i for i in range(100)]
    late = {offset: 0.4 if offset < 0.5 else 0.0 for offset in offsets}
    send = slots(late, range(SLOTS))
    for number in range(5):
        drawn = jitter(number, send)
        for slot in range(SLOTS):
            for offset, delay_s in late.items():
                assert drawn.send_s(slot_start_s(slot, SLOT_S) + offset) == delay_s


def test_who_is_late_in_one_slot_is_late_with_all_the_others() -> None:
    """Every actor of a live slot is late by its number, so a jittered slot shows which one it is like."""
    own = {float(k): k / 100 for k in range(SLOTS)}
    actors = ("look:scheduler", "look:deployer:a", "scheduler")
    decide = {actor: Delays.of((k * SLOT_S + i, d) for k, d in own.items()) for i, actor in enumerate(actors)}
    seen: set[tuple[int, ...]] = set()
    for number in range(20):
        drawn = jitter(number, decide=decide)
        like = []
        for slot in range(1, SLOTS):
            (delay_s,) = {drawn.delay_s(actor, slot * SLOT_S + i) for i, actor in enumerate(actors)}
            like.append(round(delay_s * 100))
            assert abs(like[-1] - slot) <= 2
            assert like[-1] > 0, "nobody is late before a run begins"
        seen.add(tuple(like))
    assert len(seen) == 20


def test_what_is_rare_is_as_late_as_one_of_its_neighbours() -> None:
    decide = {"planner": Delays.of([(10.0, 0.1), (50.0, 0.2), (90.0, 0.3)])}
    drawn = {jitter(number, decide=decide).delay_s("planner", 50.0) for number in range(20)}
    assert drawn == {0.1, 0.2, 0.3}


def test_nobody_is_late_where_nothing_was_measured() -> None:
    assert jitter().send_s(5.0) == jitter().delay_s("scheduler", 5.0) == 0.0


def test_a_time_beyond_the_last_slot_measured_is_as_late_as_the_last_ones() -> None:
    send = slots({0.0: 0.2}, range(SLOTS))
    assert slot_of(send.at_s[-1], SLOT_S) == SLOTS - 1
    assert jitter(3, send).send_s(10 * SLOTS * SLOT_S) == 0.2


def test_a_request_is_late_for_its_router_and_then_on_its_way() -> None:
    """It is held for four seconds, which is no delay of the platform's."""
    world = scenario(device_testbed(), horizon_s=SLOTS * SLOT_S)
    sink = MemorySink()
    ledger = Ledger(replace(header(world), world="live"), sink, world.testbed)
    asked = request(0, 30.0)
    ledger.arrive(asked)
    ledger.route(asked, RoutingDecision(None, "hold", "closed"), 30.1)
    ledger.route(asked, RoutingDecision("d0", "route", "open"), 34.1)
    measured = Measured(attempt=1, executor="d0", sent_s=30.0, dispatched_s=34.3)
    ledger.end(asked, "done", 36.0, measured)
    ledger.close(40.0, ())
    overhead = measured_overhead(sink.run())
    for delays, at_s, late_s in ((overhead.send, 30.0, 0.1), (overhead.decide["way"], 34.1, 0.2)):
        assert delays.at_s == (at_s,)
        assert delays.delay_s == pytest.approx((late_s,))
