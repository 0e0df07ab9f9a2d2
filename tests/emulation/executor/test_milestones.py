"""Finished prompts stay finished: whatever interrupts a job, each of its prompts is served once, none is skipped."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.actions import NodeConfig
from emulation.domain.request import Request
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Ended, Job, NodeState, Returned
from tests.build.fakes import pod_testbed

UNIT_S = 6.0
"""Seconds of a prompt of noise 1 on the CPU of `pod_testbed`."""
ON, OFF = NodeConfig("n", {"a": "cpu"}), NodeConfig("n", {})


def job(number: int, noise: tuple[float, ...]) -> Job:
    return Job(Request(f"r{number}", "a", "n", 0.0, inf, prompts=len(noise)), RequestTruth(noise=noise))


def running() -> NodeState:
    node = NodeState(pod_testbed(), "n")
    node.configure(ON, 0.0)
    return node


def test_milestones_tell_when_prompts_finish_and_change_nothing() -> None:
    node = running()
    node.submit("n/a", job(1, (1.0, 0.5, 2.0)), 0.0)
    node.advance(4.0)  # it is up now
    (first,) = node.milestones(4.0 + 0.9 * UNIT_S)
    assert (first.prompts_done, first.next_s) == (0, pytest.approx(4 + UNIT_S))
    (second,) = node.milestones(4.0 + 1.4 * UNIT_S)
    assert second.prompts_done == 1
    assert second.finished_s == pytest.approx(4 + UNIT_S)
    assert second.service_s == pytest.approx(UNIT_S)
    assert second.next_s == pytest.approx(4 + 1.5 * UNIT_S)
    (last,) = node.milestones(4.0 + 2.0 * UNIT_S)
    assert (last.prompts_done, last.next_s) == (2, inf)
    node.advance(1e6)
    assert [n.t_s for n in node.take_notices() if isinstance(n, Ended)] == pytest.approx([4 + 3.5 * UNIT_S])


def test_milestones_follow_a_change_of_speed() -> None:
    node = running()
    node.submit("n/a", job(1, (1.0, 1.0)), 0.0)
    node.faults.set_condition(0, Condition(slowdown=2.0), 4.0 + 0.5 * UNIT_S)
    (found,) = node.milestones(4.0 + 0.5 * UNIT_S)
    assert found.next_s == pytest.approx(4 + 1.5 * UNIT_S)
    (found,) = node.milestones(found.next_s)
    assert (found.prompts_done, found.service_s) == (1, pytest.approx(1.5 * UNIT_S))


Noise = st.lists(st.floats(0.2, 3.0), min_size=2, max_size=6).map(tuple)
Cut = st.tuples(st.floats(0.1, 25.0), st.sampled_from(["off", "crash", "resume", "requeue"]))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(Noise, min_size=1, max_size=4), st.lists(Cut, max_size=12))
def test_no_prompt_is_served_twice_or_skipped_over_any_interruptions(
    noises: list[tuple[float, ...]], cuts: list[tuple[float, str]]
) -> None:
    here, there = running(), running()
    jobs = [job(i, noise) for i, noise in enumerate(noises)]
    wasted_s = dict.fromkeys((j.request.id for j in jobs), 0.0)
    for each in jobs:
        here.submit("n/a", each, 0.0)
    now_s = 0.0
    for after_s, what in cuts:
        now_s += after_s
        there.advance(now_s)
        before = here.milestones(now_s)
        _interrupt(here, what, now_s)
        for m in before:
            kept_s = UNIT_S * sum(m.job.truth.noise[: m.job.prompts_done])
            lost_s = m.job.service_s - wasted_s[m.job.request.id] - kept_s
            assert m.job.prompts_done == m.prompts_done
            assert -1e-6 <= lost_s <= UNIT_S * m.job.truth.noise[m.job.prompts_done] + 1e-6
            wasted_s[m.job.request.id] += lost_s
        for notice in here.take_notices():
            if isinstance(notice, Returned):
                there.submit("n/a", notice.job, now_s)
        here, there = there, here  # the next one hits the other node
    here.advance(1e6)
    there.advance(1e6)
    assert all(j.ended and j.prompts_done == len(j.truth.noise) for j in jobs)
    for j in jobs:
        assert j.service_s - wasted_s[j.request.id] == pytest.approx(UNIT_S * sum(j.truth.noise), abs=1e-6)


def _interrupt(node: NodeState, what: str, now_s: float) -> None:
    if what == "off":
        node.configure(OFF, now_s)
        node.configure(ON, now_s)
    elif what == "crash":
        node.faults.crash(0, "a", now_s, now_s + 1.0)
    else:
        node.faults.leave(0, what, now_s)  # type: ignore[arg-type]
        node.faults.join(0, now_s)
