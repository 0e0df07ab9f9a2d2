"""A node that drains, one whose processes are killed, a replica that is."""

from __future__ import annotations

from math import inf

import pytest

from emulation.domain.actions import NodeConfig
from emulation.domain.events import Drain, NodeKill, ReplicaKill
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor import Changed, Ended, Job, NodeState, Returned
from emulation.faults import apply, timeline
from tests.build.fakes import device_testbed, pod_testbed


def job(number: int, model: str = "a", prompts: int = 4, deadline_s: float = inf) -> Job:
    request = Request(f"r{number}", model, "n", 0.0, deadline_s, prompts=prompts)
    return Job(request, RequestTruth(noise=(1.0,) * prompts))


def working() -> NodeState:
    """A pod of model a that has one request in service since 10 s and another that waits."""
    node = NodeState(pod_testbed(), "n")
    node.configure(NodeConfig("n", {"a": "gpu"}), 0.0)
    node.advance(10.0)
    node.submit("n/a", job(1), 10.0)
    node.submit("n/a", job(2), 10.0)
    node.take_notices()
    return node


def told(node: NodeState, until_s: float) -> list[tuple[str, float, str]]:
    """What a node says up to a time: kind, when, and of what."""
    node.advance(until_s)
    found = []
    for n in node.take_notices():
        if isinstance(n, Changed):
            found.append((n.state, n.t_s, n.executor))
        elif isinstance(n, Ended):
            found.append((n.outcome, n.t_s, n.job.request.id))
        elif isinstance(n, Returned):
            found.append(("returned", n.t_s, n.job.request.id))
    return [f for f in found if not f[2].endswith("/b")]


def played(event: Drain | NodeKill | ReplicaKill, node: NodeState, *phases: str) -> None:
    for step in timeline([event], node.testbed):
        if step.phase in phases:
            apply(step, node, step.at_s)


def test_a_drain_gives_back_what_waits_and_lets_finish_what_is_in_service() -> None:
    node, drain = working(), Drain(node="n", at_s=11.0, until_s=30.0)
    played(drain, node, "onset")
    assert not node.available
    assert told(node, 29.0) == [("away", 11.0, "n/a"), ("returned", 11.0, "r2"), ("done", 14.0, "r1")]
    node.submit("n/a", job(3), 29.0)
    assert told(node, 29.0) == [("returned", 29.0, "r3")]
    assert node.configure(NodeConfig("n", {}), 29.0) == ["n is away"]
    played(drain, node, "undo")
    assert told(node, 30.0) == [("ready", 30.0, "n/a")], "its pod never left"


def test_what_comes_while_a_draining_pod_is_busy_is_given_back_too() -> None:
    node = working()
    played(Drain(node="n", at_s=11.0, until_s=30.0), node, "onset")
    node.submit("n/a", job(3), 12.0)
    assert ("returned", 12.0, "r3") in told(node, 12.0)


@pytest.mark.parametrize(("policy", "fate"), [("requeue", "returned"), ("fail", "node_lost")])
def test_at_the_end_of_its_notice_the_node_leaves_with_what_is_unfinished(policy: str, fate: str) -> None:
    node = working()
    drain = Drain(node="n", at_s=11.0, until_s=30.0, notice_s=1.5, in_flight=policy)  # type: ignore[arg-type]
    played(drain, node, "onset", "step")
    assert told(node, 29.0)[2:] == [("away", 12.5, "n/a"), (fate, 12.5, "r1")]
    played(drain, node, "undo")
    assert [n[0] for n in told(node, 35.0)] == ["pending", "starting", "ready"], "its pod is made anew"


def test_a_notice_that_outlasts_the_event_takes_nothing_away() -> None:
    steps = timeline([Drain(node="n", at_s=11.0, until_s=30.0, notice_s=19.0)], pod_testbed())
    assert [s.phase for s in steps] == ["onset", "undo"]


def test_a_drained_device_goes_on_with_its_work_when_it_is_back() -> None:
    node = NodeState(device_testbed(), "d0")
    node.submit("d0", job(1, "m"), 0.0)
    drain = Drain(node="d0", at_s=1.0, until_s=2.0)
    played(drain, node, "onset", "undo")
    node.submit("d0", job(2, "m", 1), 2.0)
    assert told(node, 9.0)[-2:] == [("done", 4.0, "r1"), ("done", 5.0, "r2")]


def test_a_request_given_back_does_not_expire_at_the_node_it_left() -> None:
    node, other = working(), NodeState(device_testbed(), "d0")
    short, behind = job(3, deadline_s=15.0), job(4, "m", 9)
    node.submit("n/a", short, 10.5)
    played(Drain(node="n", at_s=11.0, until_s=30.0), node, "onset")
    other.submit("d0", behind, 11.0)
    other.submit("d0", short, 11.0)
    assert "expired" not in [n[0] for n in told(node, 20.0)]
    assert ("expired", 15.0, "r3") in told(other, 16.0)


def test_a_killed_replica_loses_its_callers_and_is_up_again_by_itself() -> None:
    node = working()
    node.submit("n/a", job(3), 10.5)
    played(ReplicaKill(node="n", model="a", at_s=12.5, until_s=20.0), node, "onset", "undo")
    assert told(node, 50.0) == [
        ("starting", 12.5, "n/a"), ("returned", 12.5, "r1"), ("returned", 12.5, "r2"), ("returned", 12.5, "r3"),
        ("starting", 20.0, "n/a"),
        ("ready", 24.0, "n/a"),
    ]  # fmt: skip
    assert node.jobs() == []


def test_a_killed_replica_keeps_finished_prompts_in_the_progress_record() -> None:
    node, waiting = working(), job(3)
    node.submit("n/a", waiting, 10.5)
    first = node.jobs()[0]
    played(ReplicaKill(node="n", model="a", at_s=12.5, until_s=20.0), node, "onset")
    assert (first.prompts_done, waiting.prompts_done) == (2, 0)


def test_a_killed_node_is_away_and_starts_its_replicas_anew() -> None:
    node = working()
    kill = NodeKill(node="n", at_s=12.0, until_s=20.0)
    played(kill, node, "onset")
    assert told(node, 19.0) == [("away", 12.0, "n/a"), ("returned", 12.0, "r1"), ("returned", 12.0, "r2")]
    played(kill, node, "undo")
    assert told(node, 30.0)[-1] == ("ready", 24.0, "n/a")


def test_a_killed_replica_that_is_switched_off_and_on_waits_for_its_process_all_the_same() -> None:
    node, kill = working(), ReplicaKill(node="n", model="a", at_s=12.5, until_s=60.0)
    played(kill, node, "onset")
    node.configure(NodeConfig("n", {}), 20.0)
    node.configure(NodeConfig("n", {"a": "gpu"}), 30.0)
    assert "ready" not in [n[0] for n in told(node, 59.0)]
    played(kill, node, "undo")
    assert told(node, 99.0)[-1] == ("ready", 64.0, "n/a")


def test_a_node_that_is_told_twice_that_it_is_back_does_not_start_anew() -> None:
    node, drain = working(), Drain(node="n", at_s=11.0, until_s=30.0)
    played(drain, node, "onset", "undo", "undo")
    told(node, 30.0)
    played(drain, node, "undo")
    assert told(node, 40.0) == []
