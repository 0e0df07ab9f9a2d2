"""Pause and error in the node's state machine: nothing moves, nothing is lost; who fails is decided beforehand."""

from __future__ import annotations

from math import inf, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Error, Event, Pause, Slowdown
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth, fails
from emulation.executor import Ended, Job, NodeState, Returned
from emulation.faults import apply, timeline
from tests.build.fakes import device_testbed, pod_testbed


def job(number: int, model: str = "m", prompts: int = 1, deadline_s: float = inf) -> Job:
    return Job(
        Request(f"r{number}", model, "n", 0.0, deadline_s, prompts=prompts),
        RequestTruth(noise=(1.0,) * prompts),
    )


def play(node: NodeState, testbed: TestbedConfig, *events: Event) -> None:
    """Let these events happen, each step at its time."""
    for step in timeline(events, testbed):
        apply(step, node, step.at_s)


def device(unit_s: float = 10.0) -> tuple[NodeState, TestbedConfig]:
    testbed = device_testbed(unit_s)
    return NodeState(testbed, "d0"), testbed


def pods(real: tuple[str, ...] = ()) -> tuple[NodeState, TestbedConfig]:
    """Pods a and b share one GPU, 1 s a prompt each; both are ready at 10 s."""
    testbed = pod_testbed()
    node = NodeState(testbed, "n", real=real)
    assert node.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), 0.0) == []
    node.advance(10.0)
    node.take_notices()
    return node, testbed


def ends(node: NodeState, until_s: float = 1e6) -> dict[str, tuple[str, float]]:
    node.advance(until_s)
    return {n.job.request.id: (n.outcome, n.t_s) for n in node.take_notices() if isinstance(n, Ended)}


def pause(at_s: float, until_s: float, **fields: str) -> Pause:
    return Pause(**{"node": "d0", "at_s": at_s, "until_s": until_s} | fields)


def test_a_pause_delays_work_in_service_by_exactly_its_length() -> None:
    node, testbed = device()
    work = job(1)
    node.submit("d0", work, 0.0)
    play(node, testbed, pause(3.0, 40.0))
    assert ends(node) == {"r1": ("done", pytest.approx(10 + 37))}
    assert work.service_s == pytest.approx(10 + 37), "a server does not know why it takes so long"


def test_nothing_begins_while_it_lasts_and_the_queue_goes_on_in_order() -> None:
    node, testbed = device(1.0)
    first, second = job(1), job(2)
    (onset, undo) = timeline([pause(0.0, 30.0)], testbed)
    apply(onset, node, 0.0)
    node.submit("d0", first, 5.0)
    node.submit("d0", second, 6.0)
    assert node.next_s() == inf
    assert (first.started_s, second.started_s) == (None, None)
    apply(undo, node, 30.0)
    assert (first.started_s, node.next_s()) == (30.0, 31.0)
    assert ends(node) == {"r1": ("done", 31.0), "r2": ("done", 32.0)}


def test_overlapping_pauses_last_as_long_as_any_of_them() -> None:
    node, testbed = device()
    node.submit("d0", job(1), 0.0)
    play(node, testbed, pause(2.0, 20.0), pause(15.0, 50.0), pause(16.0, 17.0))
    assert ends(node) == {"r1": ("done", pytest.approx(10 + 48))}


def test_a_slowdown_during_a_pause_is_felt_once_it_is_over() -> None:
    node, testbed = device()
    node.submit("d0", job(1), 0.0)
    play(node, testbed, pause(2.0, 20.0), Slowdown(node="d0", at_s=10.0, until_s=24.0, factor=2.0))
    assert ends(node) == {"r1": ("done", pytest.approx(24 + 6))}


def test_deadlines_go_on_during_a_pause() -> None:
    node, testbed = device()
    node.submit("d0", job(1, deadline_s=12.0), 0.0)
    node.submit("d0", job(2, deadline_s=15.0), 0.0)
    node.submit("d0", job(3), 0.0)
    play(node, testbed, pause(2.0, 30.0))
    assert ends(node) == {"r1": ("expired", 12.0), "r2": ("expired", 15.0), "r3": ("done", 40.0)}


def test_a_paused_replica_leaves_its_share_of_the_gpu_to_the_others() -> None:
    node, testbed = pods()
    node.submit("n/a", job(1, "a", 10), 10.0)
    node.submit("n/b", job(2, "b", 4), 10.0)
    play(node, testbed, pause(10.0, 14.0, node="n", model="a"))
    found = ends(node)
    assert found == {"r2": ("done", pytest.approx(14.0)), "r1": ("done", pytest.approx(24.0))}


def test_only_the_paused_model_stands_still() -> None:
    node, testbed = pods()
    play_at = timeline([pause(10.0, 50.0, node="n", model="a")], testbed)
    apply(play_at[0], node, 10.0)
    node.submit("n/a", job(1, "a"), 11.0)
    node.submit("n/b", job(2, "b"), 11.0)
    assert ends(node, 49.0) == {"r2": ("done", pytest.approx(12.0))}
    apply(play_at[1], node, 50.0)
    assert ends(node) == {"r1": ("done", pytest.approx(51.0))}


def test_milestones_stand_still_too_and_nothing_finished_is_forgotten() -> None:
    node, testbed = pods()
    node.submit("n/a", job(1, "a", 4), 10.0)
    onset, undo = timeline([pause(12.5, 50.0, node="n")], testbed)
    apply(onset, node, 12.5)
    (stone,) = node.milestones(30.0)
    assert (stone.prompts_done, stone.next_s) == (2, inf)
    assert stone.finished_s <= 30.0
    assert node.progress("r1", 30.0) == pytest.approx(2.5 / 4)
    apply(undo, node, 50.0)
    (stone,) = node.milestones(50.0)
    assert (stone.prompts_done, stone.next_s) == (2, pytest.approx(50.5))
    assert ends(node)["r1"] == ("done", pytest.approx(51.5))


@pytest.mark.parametrize("policy", ["requeue", "fail", "resume"])
def test_a_node_that_leaves_during_a_pause_keeps_its_policy_and_is_still_paused_on_return(
    policy: str,
) -> None:
    node, testbed = pods()
    node.submit("n/a", job(1, "a", 4), 10.0)
    onset, undo = timeline([pause(12.5, 60.0, node="n")], testbed)
    apply(onset, node, 12.5)
    node.faults.leave(0, policy, 20.0)  # type: ignore[arg-type]
    notices = node.take_notices()
    returned = [n.job for n in notices if isinstance(n, Returned)]
    lost = [n.job.request.id for n in notices if isinstance(n, Ended) and n.outcome == "node_lost"]
    assert ([j.prompts_done for j in returned], lost) == {
        "requeue": ([2], []),
        "fail": ([], ["r1"]),
        "resume": ([], []),
    }[policy]
    node.faults.join(0, 30.0)
    node.submit("n/b", job(2, "b"), 40.0)
    assert ends(node, 59.0) == {}
    apply(undo, node, 60.0)
    kept = {"r1": ("done", pytest.approx(62 + 1.2))} if policy == "resume" else {}
    assert ends(node) == {"r2": ("done", pytest.approx(60 + (2.2 if policy == "resume" else 1.0)))} | kept


def test_a_replica_that_crashes_during_a_pause_comes_back_paused() -> None:
    node, testbed = pods()
    node.submit("n/a", job(1, "a", 4), 10.0)
    onset, undo = timeline([pause(12.5, 60.0, node="n", model="a")], testbed)
    apply(onset, node, 12.5)
    node.faults.crash(0, "a", 20.0, 25.0)
    assert ends(node, 59.0) == {}
    apply(undo, node, 60.0)
    assert ends(node) == {"r1": ("done", pytest.approx(62.0))}


def test_a_paused_replica_can_be_cancelled_and_switched_off() -> None:
    node, testbed = pods()
    node.submit("n/a", job(1, "a", 2), 10.0)
    node.submit("n/a", job(2, "a"), 10.0)
    onset, undo = timeline([pause(11.5, 60.0, node="n")], testbed)
    apply(onset, node, 11.5)
    assert node.cancel("r1", 20.0)
    node.configure(NodeConfig("n", {"b": "gpu"}), 21.0)
    node.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), 30.0)
    apply(undo, node, 60.0)
    assert ends(node) == {"r1": ("aborted", 20.0), "r2": ("done", pytest.approx(61.0))}


def test_real_work_is_told_to_stand_still_and_the_next_one_gets_no_turn() -> None:
    node, testbed = pods(real=("a",))
    node.submit("n/a", job(1, "a"), 10.0)
    node.submit("n/a", job(2, "a"), 10.0)
    onset, undo = timeline([pause(12.0, 60.0, node="n")], testbed)
    apply(onset, node, 12.0)
    assert node.computed.pace("r1") == (inf, inf)
    assert node.computed.complete("r1", 2.0, 5, 12.1)  # its last token was on its way
    assert node.computed.pace("r2") is None
    apply(undo, node, 60.0)
    assert node.computed.pace("r2") == (1.0, 1.0)


def test_the_truth_of_a_paused_or_failing_executor_is_that_it_serves_nothing() -> None:
    node, testbed = device(1.0)
    asked = job(7)
    assert node.oracle.service_s("d0", asked.request, asked.truth) == 1.0
    onset, undo = timeline([pause(0.0, 9.0)], testbed)
    apply(onset, node, 0.0)
    node.submit("d0", job(1), 0.0)
    assert node.oracle.service_s("d0", asked.request, asked.truth) == inf
    assert node.oracle.backlog_s("d0", 1.0) == inf
    assert node.oracle.stutters("m")
    apply(undo, node, 9.0)
    assert node.oracle.backlog_s("d0", 9.0) == pytest.approx(1.0)
    assert not node.oracle.stutters("m")
    apply(timeline([Error(node="d0", at_s=9.5, until_s=20.0)], testbed)[0], node, 9.5)
    node.submit("d0", job(2), 9.6)
    assert node.oracle.service_s("d0", asked.request, asked.truth) == inf
    assert node.oracle.backlog_s("d0", 9.75) == pytest.approx(0.25), "what waits will fail, and take no time"


def test_an_error_ends_requests_when_they_would_start_and_spares_what_is_in_service() -> None:
    node, testbed = device(1.0)
    work = [job(i) for i in range(4)]
    onset, undo = timeline([Error(node="d0", at_s=0.5, until_s=10.0)], testbed)
    node.submit("d0", work[0], 0.0)
    node.submit("d0", work[1], 0.0)
    apply(onset, node, 0.5)
    assert ends(node, 5.0) == {"r0": ("done", 1.0), "r1": ("error", 1.0)}
    node.submit("d0", work[2], 6.0)
    assert ends(node, 9.0) == {"r2": ("error", 6.0)}
    assert (work[1].started_s, work[2].started_s) == (None, None)
    apply(undo, node, 10.0)
    node.submit("d0", work[3], 11.0)
    assert ends(node) == {"r3": ("done", 12.0)}


def test_half_of_the_requests_fail_at_rate_one_half_and_the_same_ones_everywhere() -> None:
    count, event = 2000, Error(node="d0", at_s=0.0, until_s=1e9, rate=0.5)
    hit = []
    for unit_s, late_s in ((1e-3, 1.0), (5.0, 0.0)):
        node, testbed = device(unit_s)
        apply(timeline([event], testbed)[0], node, 0.0)
        for i in range(count):
            node.submit("d0", job(i), late_s * i)
        hit.append({i for i, (outcome, _) in ends(node).items() if outcome == "error"})
    assert hit[0] == hit[1] == {f"r{i}" for i in range(count) if fails(0.5, 0, 0, f"r{i}", 1)}
    assert abs(len(hit[0]) - count / 2) < 4 * (count / 4) ** 0.5


def test_other_events_seeds_and_attempts_hit_other_requests() -> None:
    names = [f"r{i}" for i in range(500)]
    sets = [
        {n for n in names if fails(0.5, seed, event, n, attempt)}
        for seed, event, attempt in ((0, 0, 1), (1, 0, 1), (0, 1, 1), (0, 0, 2))
    ]
    for i, one in enumerate(sets):
        for other in sets[i + 1 :]:
            assert 0.3 < len(one & other) / len(one) < 0.7, "independent draws"
    assert all(fails(1.0, 0, 3, n, 1) for n in names)


Cut = st.tuples(
    st.floats(0.1, 20.0),
    st.sampled_from(["pause", "pause a", "go", "error", "well", "off", "crash", "resume", "requeue", "slow"]),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0.0, 60.0), min_size=1, max_size=8), st.lists(Cut, max_size=14))
def test_whatever_happens_every_request_ends_once_and_service_is_never_lost(
    arrivals_s: list[float], cuts: list[tuple[float, str]]
) -> None:
    node, testbed = pods()
    jobs = [job(i, "ab"[i % 2], 1 + i % 3) for i in range(len(arrivals_s))]
    told: list[str] = []
    todo = sorted(zip(arrivals_s, jobs, strict=True), key=lambda pair: pair[0])
    now_s = 10.0
    for after_s, what in [*cuts, (1.0, "end")]:
        while todo and todo[0][0] + 10.0 <= now_s + after_s:
            node.submit(f"n/{todo[0][1].request.model}", todo[0][1], max(todo[0][0] + 10.0, now_s))
            todo.pop(0)
        now_s += after_s
        _do(node, testbed, what, now_s)
        for notice in node.take_notices():
            if isinstance(notice, Returned):
                node.submit(f"n/{notice.job.request.model}", notice.job, now_s)
            elif isinstance(notice, Ended):
                told.append(notice.job.request.id)
        assert all(e.remaining_units >= 0 and isfinite(e.remaining_units) for e in node._executors)
    for _, late in todo:
        node.submit(f"n/{late.request.model}", late, now_s + 100.0)
    told += [i for i in ends(node)]
    assert sorted(told) == sorted(j.request.id for j in jobs)


def _do(node: NodeState, testbed: TestbedConfig, what: str, now_s: float) -> None:
    events: dict[str, Event] = {
        "pause": Pause(node="n", at_s=1, until_s=2),
        "pause a": Pause(node="n", model="a", at_s=1, until_s=2),
        "error": Error(node="n", at_s=1, until_s=2, rate=0.5),
        "slow": Slowdown(node="n", at_s=1, until_s=2, factor=3.0),
    }
    steps = timeline(tuple(events.values()), testbed)
    if what in events:
        number = list(events).index(what)
        apply(next(s for s in steps if s.event == number and s.phase == "onset"), node, now_s)
    elif what in ("go", "well", "end"):
        for step in steps:
            ends_it = what == "end" or (step.spec.kind == "error") == (what == "well")
            if step.phase == "undo" and ends_it:
                apply(step, node, now_s)
    elif what == "off":
        node.configure(NodeConfig("n", {}), now_s)
        node.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), now_s)
    elif what == "crash":
        node.faults.crash(0, "a", now_s, now_s + 1.0)
    else:
        node.faults.leave(0, what, now_s)  # type: ignore[arg-type]
        node.faults.join(0, now_s)
    if what == "end":
        node.configure(NodeConfig("n", {"a": "gpu", "b": "gpu"}), now_s + 60.0)
