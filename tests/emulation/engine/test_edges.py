"""Corners of a run that random worlds found, each pinned by hand."""

from __future__ import annotations

from emulation.domain.actions import RoutingDecision
from emulation.domain.cluster import LinkSpec, NodeSpec, TestbedConfig
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from tests.build.fakes import FixedRoute, device_testbed, request, scenario, simulate


class Nowhere(FixedRoute):
    """A fast path that knows no host for anything."""

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        return RoutingDecision(None, "no_host", "nobody")


class First(FixedRoute):
    """A fast path that takes the first device that is there."""

    def __init__(self) -> None:
        super().__init__("d0")

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        there = [e for e in ("d0", "d1") if self.states.get(e) != "away"]
        return RoutingDecision(there[0], "route", "first") if there else RoutingDecision(None, "hold", "away")


class Later(FixedRoute):
    """A fast path that holds every request, twice, until a moment that it names."""

    def __init__(self) -> None:
        super().__init__("d0")
        self.looked_s: list[float] = []

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        self.looked_s.append(now_s)
        waited_s = now_s - request.arrival_s
        if waited_s < 6.0:
            return RoutingDecision(None, "hold", "later", again_s=4.0 if waited_s == 0.0 else 2.0)
        return RoutingDecision(self.executor, "route", "now")


def apart(latency_s: float) -> TestbedConfig:
    """A device `d1` and its requests' origin `d0`, a slow link apart."""
    near = device_testbed().nodes[0]
    far = NodeSpec(id="d1", site="far", hosting="device", gpus=near.gpus)
    link = LinkSpec(a=near.site, b="far", latency_s=latency_s)
    return device_testbed().model_copy(update={"nodes": (near, far), "links": (link,)})


def test_a_request_whose_answer_cannot_be_back_in_time_expires_when_it_is_dispatched() -> None:
    world = scenario(apart(latency_s=5.0), deadline_s=3.0)
    run = simulate(world, [(request(0, 1.0, deadline_s=4.0), RequestTruth())], FixedRoute("d1"))
    assert [(r.outcome, r.ended_s) for r in run.requests] == [("expired", 1.0)]


def test_an_event_that_outlasts_all_requests_is_still_undone() -> None:
    late = {"kind": "slowdown", "node": "d0", "factor": 2.0, "at_s": 9.0, "until_s": 500.0}
    world = scenario(device_testbed(), horizon_s=10.0, deadline_s=3.0, events=(late,))
    run = simulate(world, [(request(0, 1.0, deadline_s=4.0), RequestTruth())])
    assert [(e.phase, e.t_s) for e in run.events] == [("onset", 9.0), ("undo", 500.0)]


def test_a_held_request_is_looked_at_again_when_its_moment_is_predicted_and_at_no_other_time() -> None:
    path = Later()
    run = simulate(scenario(device_testbed()), [(request(0, 1.0), RequestTruth())], path)
    assert path.looked_s == [1.0, 5.0, 7.0]
    told = [(d.t_s, d.choice) for d in run.decisions if d.actor == "router"]
    assert told == [(1.0, "hold"), (7.0, "d0")]
    assert [(r.outcome, r.dispatched_s) for r in run.requests] == [("done", 7.0)]


def test_a_held_request_that_is_over_by_its_moment_is_not_sent() -> None:
    late = request(0, 1.0, deadline_s=3.0)
    run = simulate(scenario(device_testbed(), deadline_s=2.0), [(late, RequestTruth())], Later())
    assert [(r.outcome, r.ended_s) for r in run.requests] == [("expired", 3.0)]


def test_a_request_that_was_never_dispatched_has_no_time_of_dispatch() -> None:
    run = simulate(scenario(device_testbed()), [(request(0, 1.0), RequestTruth())], Nowhere("d0"))
    assert [(r.outcome, r.dispatched_s) for r in run.requests] == [("no_host", None)]


def test_a_request_given_back_by_one_node_expires_at_its_deadline_on_another() -> None:
    leave = {"kind": "leave", "node": "d0", "at_s": 2.0, "until_s": 50.0, "in_flight": "requeue"}
    world = scenario(device_testbed(unit_s=20.0, nodes=2), horizon_s=60.0, deadline_s=10.0, events=(leave,))
    arrivals = [
        (request(0, 0.0, deadline_s=4.0), RequestTruth()),
        (request(1, 1.0, deadline_s=11.0), RequestTruth()),
    ]
    run = simulate(world, arrivals, First())
    assert [(r.outcome, r.executor, r.ended_s) for r in run.requests] == [
        ("expired", "d1", 4.0),
        ("expired", "d1", 11.0),
    ]


def test_a_request_on_its_way_to_another_node_has_not_joined_a_queue_there() -> None:
    leave = {"kind": "leave", "node": "d0", "at_s": 2.0, "until_s": 50.0, "in_flight": "requeue"}
    world = scenario(apart(latency_s=1.5), horizon_s=60.0, deadline_s=4.0, events=(leave,))
    run = simulate(
        world, [(request(0, 0.0, prompts=9, deadline_s=4.0), RequestTruth(noise=(1.0,) * 9))], First()
    )
    assert [(r.outcome, r.executor, r.attempt, r.enqueued_s) for r in run.requests] == [
        ("expired", "d1", 2, None)
    ]


def test_an_undo_at_the_instant_the_last_request_ends_is_recorded() -> None:
    late = {"kind": "slowdown", "node": "d0", "factor": 2.0, "at_s": 12.0, "until_s": 14.0}
    world = scenario(device_testbed(unit_s=5.0), horizon_s=10.0, events=(late,))
    run = simulate(world, [(request(0, 8.0), RequestTruth())])
    assert [r.ended_s for r in run.requests] == [14.0]
    assert [(e.phase, e.t_s) for e in run.events] == [("onset", 12.0), ("undo", 14.0)]
