"""Jittered runs: who is late by how much, and what is heard before what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from emulation.domain.actions import NodeConfig, RouteGuide
from emulation.domain.scenario import PLANNER_GRACE_SHARE, LiveConfig, Scenario, SlottedSource
from emulation.domain.truth import RequestTruth
from emulation.engine.control import ControlPlane
from emulation.engine.hearing import Hearing
from emulation.engine.kernel import CONTROL, Kernel
from emulation.recording import Run
from tests.build.fakes import FixedRoute, device_testbed, request, scenario, simulate
from tests.build.loops import Says, limit

SLOT_S = 10.0
EPOCH_S = 2 * SLOT_S
BEFORE, AFTER = limit(1.0), limit(2.0)


def world(unit_s: float = 1.0, **changes: object) -> Scenario:
    return scenario(device_testbed(unit_s), horizon_s=10 * SLOT_S, epoch_slots=2, **changes)


def late(by: Mapping[str, float]) -> Callable[[str, float], float]:
    """Everybody else is in time."""
    return lambda who, t_s: by.get(who, 0.0)


def played(given: Scenario, control: ControlPlane, arrival_s: float = 1.0) -> Run:
    """With a single request."""
    return simulate(given, [(request(0, arrival_s), RequestTruth())], control=control)


def hierarchy(by: Mapping[str, float], thinking_s: float = 0.0) -> tuple[Says, Run]:
    """The scheduler below a planner that changes its policy at the second epoch, when they are late by so much."""
    planner = Says("planner", BEFORE, AFTER, thinking_s=thinking_s)
    scheduler = Says("scheduler", RouteGuide())
    return scheduler, played(world(), ControlPlane(planner, scheduler, delay_s=late(by)))


def test_what_is_decided_before_the_clock_starts_lands_then_and_everything_after_late() -> None:
    _, run = hierarchy({"planner": 0.2, "scheduler": 0.2})
    took = {(d.actor, d.t_s > 0): [] for d in run.decisions if d.actor != "router"}
    for d in run.decisions:
        if d.actor != "router":
            assert d.landed_s is not None
            took[d.actor, d.t_s > 0].append(d.landed_s - d.t_s)
    for actor in ("planner", "scheduler"):
        assert took[actor, False] == [0.0]
        assert took[actor, True] == pytest.approx([0.2] * len(took[actor, True]))
        assert took[actor, True]


@pytest.mark.parametrize(("heard_s", "policy"), [(0.3, BEFORE), (0.05, AFTER)])
def test_a_scheduler_works_under_the_policy_that_it_has_heard_of_when_it_looks(
    heard_s: float, policy: object
) -> None:
    """It lands 0.1 s after a slot began, and the scheduler looks 0.2 s after that begin."""
    by = {"planner": 0.1, "look:scheduler": 0.2, "heard:scheduler": heard_s}
    scheduler, _ = hierarchy(by, thinking_s=SLOT_S)
    assert scheduler.looked_s("slot 3") == pytest.approx(3 * SLOT_S + 0.2)
    assert (scheduler.under["slot 2"], scheduler.under["slot 3"]) == (BEFORE, policy)
    assert scheduler.under["slot 4"] == AFTER


def test_at_the_begin_of_an_epoch_a_scheduler_looks_once_it_has_heard_of_the_policy() -> None:
    by = {"look:planner": 0.1, "planner": 0.5, "heard:scheduler": 0.3, "look:scheduler": 0.2}
    scheduler, _ = hierarchy(by)
    assert scheduler.looked_s("slot 2") == pytest.approx(EPOCH_S + 1.1)
    assert scheduler.under["slot 2"] == AFTER


@pytest.mark.parametrize("landing_s", [PLANNER_GRACE_SHARE * SLOT_S - 0.15, SLOT_S / 2])
def test_it_waits_no_longer_than_its_grace_counted_from_the_boundary(landing_s: float) -> None:
    by = {"look:planner": 0.1, "planner": landing_s, "heard:scheduler": 0.3, "look:scheduler": 0.2}
    scheduler, _ = hierarchy(by)
    assert scheduler.looked_s("slot 2") == pytest.approx(EPOCH_S + PLANNER_GRACE_SHARE * SLOT_S + 0.2)
    assert scheduler.under["slot 2"] == BEFORE
    assert scheduler.under["slot 3"] == AFTER


LAG_S = 1.0
"""After the begin of a slot at which live deployment agents look that await its dispatch, at speedup 4."""


@pytest.mark.parametrize(
    ("heard_s", "after_s"),
    [
        (0.4, LAG_S + 0.2),  # before it means to look at all
        (1.5, 0.1 + 1.5 + 0.2),  # it lands 0.1 s after the boundary
        (5.0, PLANNER_GRACE_SHARE * SLOT_S + 0.2),
    ],
)
def test_an_agent_that_awaits_dispatch_does_so_while_it_waits_for_the_policy_not_once_more(
    heard_s: float, after_s: float
) -> None:
    """It looks 0.2 s late beyond its lag, which was measured with it."""
    by = {"planner": 0.1, "heard:deployer:d0": heard_s, "look:deployer:d0": LAG_S + 0.2}
    deployer = Says("deployer:d0", NodeConfig("d0", {}))
    given = world(workload=(SlottedSource(),), live=LiveConfig(speedup=4.0))
    assert given.dispatch_lag_s == LAG_S
    played(given, ControlPlane(Says("planner", BEFORE, AFTER), deployers={"d0": deployer}, delay_s=late(by)))
    assert deployer.looked_s("slot 0") == pytest.approx(LAG_S + 0.2)
    assert deployer.looked_s("slot 1") == pytest.approx(SLOT_S + LAG_S + 0.2)
    assert deployer.looked_s("slot 2") == pytest.approx(EPOCH_S + after_s)


def test_a_planner_that_is_in_time_is_waited_for_until_it_is_heard() -> None:
    scheduler, _ = hierarchy({"heard:scheduler": 0.3})
    assert scheduler.looked_s("slot 2") == pytest.approx(EPOCH_S + 0.3)
    assert scheduler.under["slot 2"] == AFTER


def test_without_jitter_policies_are_heard_as_they_land() -> None:
    planner, scheduler = Says("planner", BEFORE, AFTER), Says("scheduler", RouteGuide())
    played(world(), ControlPlane(planner, scheduler))
    assert scheduler.looked_s("slot 2") == EPOCH_S
    assert (scheduler.under["slot 1"], scheduler.under["slot 2"]) == (BEFORE, AFTER)


def in_turn(*delays_s: float) -> Callable[[str, float], float]:
    """Delays of whatever the gateway hears."""
    left: Iterator[float] = iter(delays_s)
    return lambda who, t_s: next(left, 0.0) if who == "gateway" else 0.0


def test_what_is_said_last_of_a_thing_is_heard_last() -> None:
    kernel, heard = Kernel(), list[tuple[float, str]]()
    hearing = Hearing(kernel, in_turn(0.3, 0.1, 0.0))

    def say(_: None) -> None:
        for about, news in (("d0", "away"), ("d0", "ready"), ("d1", "away")):
            hearing.tell(lambda said: heard.append((kernel.now_s, said)), f"{about} {news}", about)

    kernel.at(1.0, CONTROL, say)
    kernel.run()
    assert heard == [(1.0, "d1 away"), (1.3, "d0 away"), (1.3, "d0 ready")]


def test_a_gateway_that_hears_late_of_a_node_that_came_back_sends_to_it() -> None:
    leave = {"kind": "leave", "node": "d0", "at_s": 2.0, "until_s": 2.05, "in_flight": "requeue"}
    path = FixedRoute("d0")
    control = ControlPlane(delay_s=in_turn(0.3, 0.1))
    run = simulate(world(events=(leave,)), [(request(0, 5.0), RequestTruth())], path, control)
    assert path.states["d0"] != "away"
    assert [(r.outcome, r.dispatched_s) for r in run.requests] == [("done", 5.0)]


def test_who_looks_late_is_told_of_what_had_ended_when_the_slot_began() -> None:
    """A request ends 0.1 s after slot 1 began; the scheduler looks 0.3 s after."""
    scheduler = Says("scheduler", RouteGuide())
    control = ControlPlane(scheduler=scheduler, delay_s=late({"look:scheduler": 0.3}))
    (record,) = played(world(unit_s=SLOT_S / 2 + 0.1), control, arrival_s=SLOT_S / 2).requests
    assert record.ended_s == pytest.approx(SLOT_S + 0.1)
    assert scheduler.looked_s("slot 1") == pytest.approx(SLOT_S + 0.3)
    assert scheduler.done(["slot 1", "slot 2"]) == [0, 1]


def test_what_ends_while_the_planner_is_late_counts_for_its_next_epoch() -> None:
    planner, scheduler = Says("planner", BEFORE), Says("scheduler", RouteGuide())
    control = ControlPlane(planner, scheduler, delay_s=late({"look:planner": 0.3}))
    played(world(unit_s=SLOT_S + 0.1), control, arrival_s=SLOT_S)
    assert planner.looked_s("epoch 1") == pytest.approx(EPOCH_S + 0.3)
    assert planner.done(["epoch 1", "epoch 2"]) == [0, 1]
    assert scheduler.done(["slot 2", "slot 3", "slot 4"]) == [0, 1, 1]


def test_a_request_is_routed_before_its_way_to_the_node_not_after() -> None:
    run = played(world(), ControlPlane(delay_s=late({"way": 0.5})), arrival_s=5.0)
    assert [d.t_s for d in run.decisions] == [5.0]
    assert [(r.dispatched_s, r.ended_s) for r in run.requests] == [(5.5, 6.5)]


def test_a_request_whose_node_left_while_it_was_on_its_way_is_sent_again() -> None:
    leave = {"kind": "leave", "node": "d0", "at_s": 5.2, "until_s": 8.0, "in_flight": "requeue"}
    run = played(world(events=(leave,)), ControlPlane(delay_s=late({"way": 0.5})), arrival_s=5.0)
    assert [(r.outcome, r.attempt, r.dispatched_s) for r in run.requests] == [("done", 2, 8.5)]
