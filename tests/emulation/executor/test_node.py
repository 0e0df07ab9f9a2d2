"""The node state machine: sharing, lifecycle, condition, leaving and returning."""

from __future__ import annotations

import tracemalloc
from math import inf

import pytest

from emulation.domain.actions import NodeConfig
from emulation.domain.request import Request
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Changed, Ended, Job, NodeState, Returned
from tests.build.fakes import device_testbed, pod_testbed


def job(number: int, model: str = "a", prompts: int = 1, deadline_s: float = inf) -> Job:
    request = Request(f"r{number}", model, "n", 0.0, deadline_s, prompts=prompts)
    return Job(request, RequestTruth(noise=(1.0,) * prompts))


def ends(node: NodeState, until_s: float = 1e6) -> dict[str, float]:
    node.advance(until_s)
    return {n.job.request.id: n.t_s for n in node.take_notices() if isinstance(n, Ended)}


def ready(modes: dict[str, str], **changes: float) -> NodeState:
    node = NodeState(pod_testbed(**changes), "n")  # type: ignore[arg-type]
    assert node.configure(NodeConfig("n", modes), 0.0) == []  # type: ignore[arg-type]
    node.advance(10.0)
    node.take_notices()
    return node


def test_two_busy_executors_share_one_gpu_with_overhead() -> None:
    node = ready({"a": "gpu", "b": "gpu"})
    node.submit("n/a", job(1, "a", 2), 10.0)
    node.submit("n/b", job(2, "b", 1), 10.0)
    assert ends(node) == pytest.approx({"r2": 10 + 2.2, "r1": 10 + 2.2 + 1.0})


def test_cpu_pods_split_the_cores_whether_busy_or_not() -> None:
    node = ready({"a": "cpu", "b": "cpu"})
    node.submit("n/a", job(1), 10.0)
    assert ends(node)["r1"] == pytest.approx(10 + 6 * 2**0.7)


def test_a_queue_waits_while_its_executor_is_off_and_is_served_once_it_starts() -> None:
    node = NodeState(pod_testbed(), "n")
    node.submit("n/a", job(1), 0.0)
    node.advance(50.0)
    assert not [n for n in node.take_notices() if isinstance(n, Ended)]
    node.configure(NodeConfig("n", {"a": "gpu"}), 50.0)
    assert ends(node) == {"r1": 50 + 4 + 1}


def test_an_interrupted_job_resumes_after_its_last_finished_prompt() -> None:
    node = ready({"a": "gpu"})
    node.submit("n/a", job(1, prompts=4), 10.0)
    node.configure(NodeConfig("n", {}), 12.5)
    node.configure(NodeConfig("n", {"a": "gpu"}), 20.0)
    assert ends(node) == {"r1": 20 + 4 + 2}


def test_a_draining_executor_holds_its_resources_until_it_has_unloaded() -> None:
    node = ready({"a": "gpu"}, slices=1)
    node.configure(NodeConfig("n", {"b": "gpu"}), 20.0)
    states = {e.id: e.state for e in node.view(21.0).executors}
    assert states == {"n/a": "draining", "n/b": "pending"}
    assert {e.id: e.state for e in node.view(22.0).executors} == {"n/a": "off", "n/b": "starting"}
    assert {e.id: e.state for e in node.view(26.0).executors} == {"n/a": "off", "n/b": "ready"}


def test_while_a_pod_is_pending_further_growth_is_voided_but_shrinking_is_not() -> None:
    node = ready({"a": "gpu"}, slices=2)
    node.configure(NodeConfig("n", {"a": "gpu", "b": "cpu"}), 20.0)
    refused = node.configure(NodeConfig("n", {"a": "cpu", "b": "cpu"}), 21.0)
    assert len(refused) == 1
    assert "n/a" in refused[0]
    assert "pending" in refused[0]
    assert node.configure(NodeConfig("n", {"b": "cpu"}), 22.0) == []
    assert node.targets() == {"n/a": "off", "n/b": "cpu"}


def test_an_infeasible_pattern_is_refused_whole() -> None:
    node = ready({"a": "gpu"}, slices=1)
    refused = node.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), 20.0)
    assert refused
    assert node.targets() == {"n/a": "gpu", "n/b": "off"}


def test_a_slowdown_changes_the_speed_of_work_in_service() -> None:
    node = NodeState(device_testbed(10.0), "d0")
    node.submit("d0", job(1, "m"), 0.0)
    node.faults.set_condition(0, Condition(slowdown=2.0), 5.0)
    node.faults.set_condition(0, None, 9.0)
    assert ends(node) == pytest.approx({"r1": 9 + 3})


def test_a_late_call_does_not_move_what_happened() -> None:
    node = NodeState(device_testbed(1.0), "d0")
    for i in range(3):
        node.submit("d0", job(i, "m"), 0.0)
    assert ends(node, 100.0) == {"r0": 1.0, "r1": 2.0, "r2": 3.0}


def test_work_is_dropped_at_its_deadline_in_service_and_in_the_queue() -> None:
    node = NodeState(device_testbed(4.0), "d0")
    node.submit("d0", job(1, "m", deadline_s=3.0), 0.0)
    node.submit("d0", job(2, "m", deadline_s=2.0), 0.0)
    node.submit("d0", job(3, "m"), 0.0)
    node.advance(100.0)
    found = {n.job.request.id: (n.outcome, n.t_s) for n in node.take_notices() if isinstance(n, Ended)}
    assert found == {"r2": ("expired", 2.0), "r1": ("expired", 3.0), "r3": ("done", 7.0)}


@pytest.mark.parametrize("policy", ["requeue", "fail", "resume"])
def test_leaving_follows_the_in_flight_policy(policy: str) -> None:
    node = ready({"a": "gpu"})
    node.submit("n/a", job(1, prompts=4), 10.0)
    node.submit("n/a", job(2), 10.0)
    node.faults.leave(0, policy, 12.5)  # type: ignore[arg-type]
    notices = node.take_notices()
    given_back = [n.job.request.id for n in notices if isinstance(n, Returned)]
    lost = [n.job.request.id for n in notices if isinstance(n, Ended) and n.outcome == "node_lost"]
    assert given_back == (["r1", "r2"] if policy == "requeue" else [])
    assert lost == (["r1", "r2"] if policy == "fail" else [])
    assert any(isinstance(n, Changed) and n.state == "away" for n in notices)
    node.faults.join(0, 30.0)
    expected = {"r1": 30 + 4 + 2, "r2": 30 + 4 + 3} if policy == "resume" else {}
    assert ends(node) == pytest.approx(expected)


def test_a_crashed_replica_comes_back_by_itself_with_its_queue() -> None:
    node = ready({"a": "gpu"})
    node.submit("n/a", job(1, prompts=2), 10.0)
    node.faults.crash(0, "a", 11.5, 20.0)
    assert ends(node) == pytest.approx({"r1": 20 + 4 + 1})


def test_a_cancelled_job_frees_its_executor() -> None:
    node = NodeState(device_testbed(4.0), "d0")
    node.submit("d0", job(1, "m"), 0.0)
    node.submit("d0", job(2, "m"), 0.0)
    assert node.cancel("r1", 1.0)
    assert not node.cancel("r1", 1.0)
    assert ends(node) == pytest.approx({"r1": 1.0, "r2": 5.0})


def test_the_starts_of_one_pattern_do_not_void_each_other() -> None:
    node = NodeState(pod_testbed(slices=2), "n")
    assert node.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), 0.0) == []
    assert {e.id: e.state for e in node.view(0.0).executors} == {"n/a": "starting", "n/b": "starting"}


def test_a_pod_that_waits_for_what_another_of_its_pattern_gives_back_starts_when_that_is_free() -> None:
    node = ready({"a": "gpu"}, slices=1)
    assert node.configure(NodeConfig("n", {"a": "cpu", "b": "gpu"}), 20.0) == []
    assert node.targets() == {"n/a": "cpu", "n/b": "gpu"}
    assert {e.id: e.state for e in node.view(21.0).executors} == {"n/a": "draining", "n/b": "pending"}
    assert {e.id: e.mode for e in node.view(40.0).executors if e.state == "ready"} == {
        "n/a": "cpu",
        "n/b": "gpu",
    }


def test_a_draining_pod_is_not_pending() -> None:
    node = ready({"a": "gpu"}, slices=2)
    node.configure(NodeConfig("n", {}), 20.0)
    seen = node.view(21.0)
    assert [e.state for e in seen.executors] == ["draining", "off"]
    assert not seen.pending
    assert node.configure(NodeConfig("n", {"b": "gpu"}), 21.0) == []


@pytest.mark.parametrize(("at_s", "voided"), [(21.0, True), (23.0, True), (27.0, False)])
def test_growth_is_voided_from_the_next_action_until_the_new_pod_is_ready(at_s: float, voided: bool) -> None:
    """b needs a's slice (2 s to unload), then 4 s to start: it is pending from 20 to 26 s."""
    node = ready({"a": "gpu"}, slices=1)
    node.configure(NodeConfig("n", {"b": "gpu"}), 20.0)
    assert bool(node.configure(NodeConfig("n", {"a": "cpu", "b": "gpu"}), at_s)) is voided


def test_a_pod_that_waits_for_a_slice_gets_it_from_the_holder_that_is_told_to_move() -> None:
    node = ready({"a": "gpu"}, slices=1)
    for number in range(3):
        node.submit("n/b", job(number, "b", prompts=2), 15.0)
    for t_s in (20.0, 50.0):  # b's queue is the longer: it starts first, and waits for what a holds
        node.configure(NodeConfig("n", {"a": "cpu", "b": "gpu"}), t_s)
    assert {e.id: (e.state, e.mode) for e in node.view(60.0).executors} == {
        "n/a": ("ready", "cpu"),
        "n/b": ("ready", "gpu"),
    }
    assert len(ends(node)) == 3


def kept_bytes(others: int) -> int:
    """Memory of one node of a testbed that has so many others."""
    testbed = device_testbed(nodes=others + 1)
    first = testbed.nodes[0].id
    NodeState(testbed, first)  # what is looked up for all of them together is made once
    tracemalloc.start()
    node = NodeState(testbed, first)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del node
    return kept


def test_a_node_keeps_nothing_of_every_other_node() -> None:
    assert kept_bytes(2000) < 1.2 * kept_bytes(1)
