"""Real work in the node's state machine: the queue waits until somebody says that it is over."""

from __future__ import annotations

from math import inf

import pytest

from emulation.domain.actions import NodeConfig
from emulation.domain.request import Request
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Ended, Job, NodeState, Returned
from tests.build.fakes import pod_testbed


def job(number: int, model: str = "a", prompts: int = 1, deadline_s: float = inf) -> Job:
    request = Request(f"r{number}", model, "n", 0.0, deadline_s, prompts=prompts)
    return Job(request, RequestTruth(noise=(1.0,) * prompts))


@pytest.fixture
def node() -> NodeState:
    """Model `a` really computes, `b` is emulated (1 s a prompt); both are ready on one GPU at 10 s."""
    found = NodeState(pod_testbed(), "n", real=("a",))
    assert found.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), 0.0) == []
    found.advance(10.0)
    found.take_notices()
    return found


def ended(node: NodeState) -> list[Ended]:
    return [n for n in node.take_notices() if isinstance(n, Ended)]


def test_service_lasts_until_it_is_said_to_be_over_and_then_the_next_one_has_its_turn(
    node: NodeState,
) -> None:
    first, second = job(1), job(2)
    node.submit("n/a", first, 10.0)
    node.submit("n/a", second, 11.0)
    node.advance(5000.0)
    assert not ended(node)
    assert (node.computed.pace("r1"), node.computed.pace("r2")) == ((1.0, 1.0), None)
    assert not node.computed.complete("r2", 1.0, 5, 5000.0)
    assert node.computed.complete("r1", 7.5, 12, 5000.0)
    assert (node.computed.pace("r1"), node.computed.pace("r2")) == (None, (1.0, 1.0))
    (end,) = ended(node)
    assert (end.outcome, end.t_s) == ("done", 5000.0)
    assert (first.service_s, first.work_s, first.measured(done=True).output_tokens) == (7.5, 7.5, 12)
    assert second.started_s == 5000.0
    assert not node.computed.complete("r1", 7.5, 12, 5001.0)


def test_an_emulated_neighbour_keeps_its_own_time(node: NodeState) -> None:
    node.submit("n/b", job(2, "b"), 10.0)
    node.advance(12.0)
    assert [e.t_s for e in ended(node)] == [pytest.approx(11.0)]


def test_conditions_tell_how_slow_to_be(node: NodeState) -> None:
    node.submit("n/a", job(1), 10.0)
    node.faults.set_condition(1, Condition(slowdown=2.0), 11.0, "a")
    node.faults.set_condition(2, Condition(per_coefficient=(1.0, 3.0)), 12.0)
    assert node.computed.pace("r1") == (2.0, 6.0)
    node.faults.set_condition(1, None, 13.0)
    assert node.computed.pace("r1") == (1.0, 3.0)
    assert node.next_s() == inf


def test_finished_prompts_stay_finished_when_it_is_interrupted(node: NodeState) -> None:
    work = job(1, prompts=3)
    node.submit("n/a", work, 10.0)
    node.computed.advanced("r1", 2, 12.0)
    (stone,) = node.milestones(12.5)
    assert (stone.prompts_done, stone.finished_s, stone.next_s) == (2, 12.0, inf)
    node.faults.leave(0, "resume", 13.0)
    assert node.computed.pace("r1") is None
    assert (work.prompts_done, work.interrupted) == (2, True)
    node.computed.advanced("r1", 3, 13.5)  # said too late: not in service
    assert work.prompts_done == 2
    node.faults.join(0, 20.0)
    node.advance(40.0)
    assert node.computed.pace("r1") == (1.0, 1.0)
    assert node.computed.complete("r1", 9.0, 0, 41.0)


def test_a_node_that_leaves_gives_real_work_back_and_a_deadline_ends_it(node: NodeState) -> None:
    node.submit("n/a", job(1, deadline_s=30.0), 10.0)
    node.submit("n/a", job(2), 10.0)
    node.advance(31.0)
    assert [(e.job.request.id, e.outcome) for e in ended(node)] == [("r1", "expired")]
    assert node.computed.pace("r2") is not None
    node.faults.leave(0, "requeue", 32.0)
    assert [n.job.request.id for n in node.take_notices() if isinstance(n, Returned)] == ["r2"]
    assert node.computed.pace("r2") is None


def test_telemetry_sees_real_work_as_busy_with_the_prompts_that_are_left(node: NodeState) -> None:
    node.submit("n/a", job(1, prompts=4), 10.0)
    node.computed.advanced("r1", 1, 20.0)
    view = next(e for e in node.view(25.0).executors if e.id == "n/a")
    assert view.busy
    assert view.backlog_prompts == {"a": 3.0}
