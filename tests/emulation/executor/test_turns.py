"""What a finished request tells of its executor: the law of who finished it, for the share that one served."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode
from emulation.domain.ports import Completion
from emulation.domain.request import Request
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Ended, Job, NodeState, Returned
from tests.build.fakes import pod_testbed

LAW: dict[Mode, float] = {"gpu": 1.0, "cpu": 6.0}
"""Seconds a prompt takes in each mode of `pod_testbed`."""


def turned(node: NodeState, mode: Mode, now_s: float) -> None:
    node.configure(NodeConfig("n", {} if mode == "off" else {"a": mode}), now_s)


def paused(node: NodeState, now_s: float) -> None:
    node.faults.set_condition(0, Condition(paused=True), now_s)


def thawed(node: NodeState, now_s: float) -> None:
    node.faults.set_condition(0, None, now_s)


HAPPENS: dict[str, Callable[[NodeState, float], None]] = {
    "off": lambda node, now_s: turned(node, "off", now_s),
    "cpu": lambda node, now_s: turned(node, "cpu", now_s),
    "gpu": lambda node, now_s: turned(node, "gpu", now_s),
    "crash": lambda node, now_s: node.faults.crash(0, "a", now_s, now_s + 3.0),
    "pause": paused,
    "go on": thawed,
    "resume": lambda node, now_s: node.faults.leave(0, "resume", now_s),
    "requeue": lambda node, now_s: node.faults.leave(0, "requeue", now_s),
    "back": lambda node, now_s: node.faults.join(0, now_s),
}


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0.1, 25.0), st.sampled_from(sorted(HAPPENS))), max_size=15),
)
def test_whatever_happened_before_it_the_lesson_is_the_law_of_who_finished_it(
    sizes: list[int], story: list[tuple[float, str]]
) -> None:
    here, there = NodeState(pod_testbed(), "n"), NodeState(pod_testbed(), "n")
    turned(here, "gpu", 0.0)
    turned(there, "cpu", 0.0)
    for number, prompts in enumerate(sizes):
        request = Request(f"r{number}", "a", "n", 0.0, inf, prompts=prompts)
        here.submit("n/a", Job(request, RequestTruth(noise=(1.0,) * prompts)), 0.0)
    ended: list[Job] = []

    def heard(now_s: float) -> None:
        for node, other in ((here, there), (there, here)):
            node.advance(now_s)
            for notice in node.take_notices():
                if isinstance(notice, Ended):
                    ended.append(notice.job)
                elif isinstance(notice, Returned):
                    notice.job.attempt += 1
                    other.submit("n/a", notice.job, now_s)

    now_s = 0.0
    for after_s, what in story:
        now_s += after_s
        heard(now_s)
        if what == "requeue" and not there.available:  # one of them must be there to go on
            there.faults.join(0, now_s)
        HAPPENS[what](here, now_s)
        heard(now_s)
        here, there = there, here
    for node in (here, there):
        thawed(node, now_s)
        if not node.available:
            node.faults.join(0, now_s)
        turned(node, "gpu", now_s + 50.0)
        turned(node, "gpu", now_s + 100.0)
    heard(1e6)
    assert len(ended) == len(sizes)
    for job in ended:
        took = job.measured(done=True)
        served = Completion(job.request, "n/a", "done", 0.0, took).served_work(1)
        assert served is not None
        (prompts,), seconds = served
        assert 1 <= prompts <= job.request.prompts
        assert seconds == pytest.approx(LAW[job.mode] * prompts, abs=1e-6)
        assert took.work_s == pytest.approx(seconds, abs=1e-6)


def test_real_work_that_was_interrupted_or_stood_still_tells_nothing() -> None:
    for what in ("crash", "pause"):
        node = NodeState(pod_testbed(init_s=0.0), "n", real=["a"])
        turned(node, "gpu", 0.0)
        job = Job(Request("r1", "a", "n", 0.0, inf), RequestTruth.unknown(1))
        node.submit("n/a", job, 0.0)
        HAPPENS[what](node, 4.0)
        HAPPENS["go on"](node, 9.0)
        assert node.computed.complete("r1", 12.0, 5, 20.0)
        assert job.measured(done=True).turn_s is None
        assert job.measured(done=True).service_s == 12.0


def test_real_work_that_goes_on_elsewhere_tells_of_its_last_attempt() -> None:
    node = NodeState(pod_testbed(init_s=0.0), "n", real=["a"])
    turned(node, "gpu", 0.0)
    earlier = Job(Request("r1", "a", "n", 0.0, inf, prompts=3), RequestTruth.unknown(3), service_s=95.0)
    earlier.prompts_done = 1
    job = Job(earlier.request, earlier.truth, attempt=2)
    job.resume(earlier.measured(done=False))
    node.submit("n/a", job, 0.0)
    assert node.computed.complete("r1", 97.0, 5, 2.5)
    took = job.measured(done=True)
    assert (took.service_s, took.turn_s, took.turn_prompts) == (97.0, 2.0, 2)
