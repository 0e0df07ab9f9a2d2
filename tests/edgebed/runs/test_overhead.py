"""How late the platform was by a record, and what jittered runs make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
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


def flat(delays: Delays) -> list[float]:
    """One after the other, as they came."""
    return [late_s for of_one in delays.late_s for late_s in of_one]


def rush(late_s: Mapping[float, Sequence[float]]) -> Run:
    """Of a live run whose requests are due at these instants, each routed so late as it leaves; the last one that came
    ends first."""
    world = scenario(device_testbed(), horizon_s=SLOTS * SLOT_S)
    sink = MemorySink()
    ledger = Ledger(replace(header(world), world="live"), sink, world.testbed)
    due = [(at_s, delay_s) for at_s, delays in late_s.items() for delay_s in delays]
    sent = [(request(number, at_s), at_s + delay_s) for number, (at_s, delay_s) in enumerate(due)]
    for asked, routed_s in sent:
        ledger.arrive(asked)
        ledger.route(asked, RoutingDecision("d0", "route", "open"), routed_s)
    for asked, routed_s in reversed(sent):
        measured = Measured(attempt=1, executor="d0", sent_s=routed_s, dispatched_s=routed_s)
        ledger.end(asked, "done", 2000.0, measured)
    ledger.close(2000.0, ())
    return sink.run()


def jitter(number: int = 0, send: Delays = NONE, decide: Mapping[str, Delays] | None = None) -> Jitter:
    overhead = Overhead(send, decide or {}, SLOT_S)
    return Jitter(overhead, stream(0, f"test-jitter/{number}"))


def test_what_was_decided_before_the_clock_started_tells_nothing_of_how_late_decisions_land() -> None:
    planner = [
        (decided("planner", f"epoch {e}", 20.0 * e), 20.0 * e + (0.2 if e else 0.0), None) for e in range(5)
    ]
    overhead = measured_overhead(record(planner))
    assert flat(overhead.decide["planner"]) == pytest.approx([0.2] * 4)
    assert flat(overhead.decide["look:planner"]) == pytest.approx([0.0] * 4)


def test_how_late_a_policy_is_heard_is_what_the_next_decision_says() -> None:
    """That from before the run and both others are heard again when their planner comes back, which is not news."""
    planner = [(decided("planner", f"epoch {e}", 20.0 * e, 10.0), 20.0 * e + 10.0, None) for e in (1, 2)]
    said = [(1, 11.0), (3, 30.3), (4, 41.0), (5, 50.1), (8, 71.0)]
    heard = [
        (
            decided("scheduler", f"slot {k}", k * SLOT_S),
            k * SLOT_S,
            {"name": "scheduler", "policy_heard_s": heard_s},
        )
        for k, heard_s in said
    ]
    before = (decided("scheduler", "slot 0", 0.0), 0.0, {"name": "scheduler", "policy_heard_s": 0.0})
    found = measured_overhead(record([*planner, before, *heard])).decide["heard:scheduler"]
    assert found.at_s == (30.0, 50.0)
    assert flat(found) == pytest.approx([0.3, 0.1])


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
        assert flat(delays) == pytest.approx([late_s])


def test_of_many_at_one_instant_each_is_as_late_as_the_one_in_its_place() -> None:
    """Ten requests of each begin of a slot are routed one after the other; their ends come in another order."""
    late = [0.1 * (k + 1) for k in range(10)]
    begins = [slot_start_s(slot, SLOT_S) for slot in range(SLOTS)]
    send = measured_overhead(rush({at_s: late for at_s in begins})).send
    for number in range(5):
        drawn = jitter(number, send)
        for at_s in begins:
            assert [drawn.send_s(at_s) for _ in late] == pytest.approx(late)


def test_where_the_other_instant_has_fewer_the_rest_are_as_late_as_in_their_own() -> None:
    """The two instants of the slots 1 and 2 are late by tenths and by hundredths."""
    long, short = [0.1 * (k + 1) for k in range(6)], [0.01 * (k + 1) for k in range(4)]
    send = measured_overhead(rush({10.0: long, 20.0: short})).send
    seen = set()
    for number in range(20):
        drawn = jitter(number, send)
        first, second = [drawn.send_s(10.0) for _ in range(8)], [drawn.send_s(20.0) for _ in short]
        assert first[:6] in (pytest.approx(long), pytest.approx(short + long[4:]))
        assert first[6:] == pytest.approx([0.6, 0.6]), "neither has so many"
        assert second in (pytest.approx(long[:4]), pytest.approx(short))
        seen.add((first[0], second[0]))
    assert len(seen) == 4


def test_the_mean_delay_is_kept_where_the_rushes_of_slots_are_of_different_sizes() -> None:
    """One after the other, so that of a larger rush the last are later; over many draws nobody gains by that."""
    sizes = stream(0, "test-rush").integers(1, 25, 40)
    late = {10.0 * slot: [0.07 * (k + 1) for k in range(n)] for slot, n in enumerate(sizes)}
    send = measured_overhead(rush(late)).send
    measured = fmean(d for delays in late.values() for d in delays)
    drawn_s = []
    for number in range(50):
        drawn = jitter(number, send)
        drawn_s += [drawn.send_s(at_s) for at_s, delays in late.items() for _ in delays]
    assert fmean(drawn_s) == pytest.approx(measured, rel=0.005)


def test_the_same_draw_of_a_rush_is_the_same_again() -> None:
    late = {10.0 * slot: [0.1 * (slot + 1) + 0.01 * k for k in range(slot + 1)] for slot in range(SLOTS)}
    send = measured_overhead(rush(late)).send
    draws = [jitter(3, send), jitter(3, send), jitter(4, send)]
    one, again, another = (
        [drawn.send_s(at_s) for at_s, delays in late.items() for _ in delays] for drawn in draws
    )
    assert one == again != another


def test_who_was_refused_has_its_place_among_the_others_of_its_instant() -> None:
    """The second of three is turned away as it is routed."""
    run = rush({10.0: [0.1, 0.2, 0.3]})
    refused = tuple(
        replace(r, outcome="rejected", dispatched_s=None) if r.request_id == "r000001" else r
        for r in run.requests
    )
    assert flat(measured_overhead(replace(run, requests=refused)).send) == pytest.approx([0.1, 0.2, 0.3])
