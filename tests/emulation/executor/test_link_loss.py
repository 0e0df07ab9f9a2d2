"""Messages that get lost between two sites: sent again, given up, never answered twice, never silent."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from emulation.domain.cluster import LinkSpec, ModelSpec, NodeSpec, ProfileEntry, TestbedConfig
from emulation.domain.events import LinkLoss
from emulation.domain.request import Request
from emulation.domain.sharing import GpuSpec
from emulation.domain.truth import RequestTruth, lost
from emulation.executor import Ended, Job, NodeState, Returned
from emulation.faults import apply, timeline
from tests.build.fakes import FixedRoute, scenario, simulate

TESTBED = TestbedConfig(
    name="two-sites",
    models=(ModelSpec(id="m", modality="text"),),
    nodes=(
        NodeSpec(id="d0", site="x", hosting="device", gpus=(GpuSpec(),)),
        NodeSpec(id="d1", site="y", hosting="device", gpus=(GpuSpec(),)),
    ),
    profile=(ProfileEntry(model="m", mode="gpu", theta=(1.0,)),),
    links=(LinkSpec(a="x", b="y", latency_s=0.1),),
)


def loss(**fields: Any) -> LinkLoss:
    return LinkLoss(**{"a": "x", "b": "y", "at_s": 0.0, "until_s": 100.0, "rate": 1.0, **fields})


def served(event: LinkLoss, deadline_s: float = inf, number: int = 0) -> tuple[str, float, float]:
    """How a request from site y at 1 s ends on d0, when whoever sent it knows, and its transfer time."""
    node = NodeState(TESTBED, "d0")
    for step in timeline([event], TESTBED):
        if step.phase == "onset" and "d0" in step.nodes:
            apply(step, node, step.at_s)
    job = Job(Request(f"r{number}", "m", "d1", 1.0, deadline_s), RequestTruth())
    node.submit("d0", job, 1.0)
    node.advance(1e6)
    for n in node.take_notices():
        if isinstance(n, Ended):
            return n.outcome, n.deliver_s, job.uplink_s + job.downlink_s
        if isinstance(n, Returned):
            return "returned", n.t_s, job.uplink_s + job.downlink_s
    raise AssertionError("silence")


def test_a_message_that_is_lost_as_often_as_it_is_tried_is_given_up() -> None:
    assert served(loss(tries=3, retry_s=2.0))[:2] == ("returned", 7.0)


def test_it_expires_if_its_deadline_is_before_that() -> None:
    assert served(loss(tries=3, retry_s=2.0), deadline_s=5.0)[:2] == ("expired", 5.0)


def test_it_gets_through_once_the_loss_is_over() -> None:
    outcome, at_s, transfer_s = served(loss(until_s=4.0, tries=20, retry_s=0.5))
    assert (outcome, at_s) == ("done", pytest.approx(1.0 + 3.0 + 1.2))
    assert transfer_s == pytest.approx(3.0 + 0.2)


def test_an_answer_is_lost_as_a_request_is() -> None:
    """Of many, some get there at the first try and lose their answer on the way back."""
    event = loss(rate=0.5, tries=20, retry_s=10.0, until_s=1000.0)
    late = [
        served(event, number=n)
        for n in range(40)
        if not lost(event, 0, f"r{n}", 1, "up", 0, 1.0) and lost(event, 0, f"r{n}", 1, "down", 0, 2.0)
    ]
    assert late
    assert all(outcome == "done" and transfer_s > 10.0 for outcome, _, transfer_s in late)


def test_a_late_answer_is_no_answer() -> None:
    event = loss(rate=0.5, tries=20, retry_s=10.0, until_s=1000.0)
    fates = {served(event, deadline_s=6.0, number=n)[:2] for n in range(40)}
    assert {outcome for outcome, _ in fates} == {"done", "expired"}
    assert max(at_s for _, at_s in fates) == 6.0


def test_traffic_of_other_sites_is_not_touched() -> None:
    node = NodeState(TESTBED, "d0")
    for step in timeline([loss()], TESTBED):
        if step.phase == "onset" and "d0" in step.nodes:
            apply(step, node, step.at_s)
    job = Job(Request("r", "m", "d0", 0.0, inf), RequestTruth())
    node.submit("d0", job, 0.0)
    node.advance(1.0)
    assert job.ended


def test_a_second_attempt_that_is_lost_tells_nothing_of_when_the_first_one_came() -> None:
    node = NodeState(TESTBED, "d0")
    job = Job(Request("r", "m", "d1", 0.0, inf), RequestTruth())
    node.submit("d0", job, 0.0)
    node.advance(0.5)
    (onset, _) = timeline([loss(at_s=0.5)], TESTBED)
    assert job.enqueued_s == pytest.approx(0.1)
    apply(onset, node, 0.5)
    job.attempt += 1
    node.submit("d0", job, 1.0)
    assert (job.measured(False).dispatched_s, job.measured(False).enqueued_s) == (1.0, None)


def test_who_is_lost_does_not_depend_on_when_it_is_sent() -> None:
    event = loss(rate=0.4)
    drawn = [lost(event, 3, f"r{n}", 1, "up", 0, 0.0) for n in range(500)]
    assert drawn == [lost(event, 3, f"r{n}", 1, "up", 0, 50.0) for n in range(500)]
    assert 0.33 < sum(drawn) / 500 < 0.47


def test_in_a_run_every_request_ends_once_whatever_is_lost() -> None:
    world = scenario(TESTBED, horizon_s=100.0, deadline_s=30.0, events=(loss(rate=0.6, until_s=60.0),))
    items = [(Request(f"r{n}", "m", "d1", n * 2.0, n * 2.0 + 30.0), RequestTruth()) for n in range(40)]
    run = simulate(world, items, FixedRoute("d0"))
    assert sorted(r.request_id for r in run.requests) == sorted(r.id for r, _ in items)
    assert {r.outcome for r in run.requests} <= {"done", "expired"}
    assert max(r.attempt for r in run.requests) > 1, "one was given up and dispatched again"
