"""What telemetry counts is exact, and no sum of what is hidden."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor import Job, NodeState
from tests.build.fakes import device_testbed

Noise = st.lists(st.floats(0.05, 5.0), min_size=1, max_size=9).map(tuple)


def left(node: NodeState, now_s: float) -> float:
    (executor,) = node.view(now_s).executors
    return executor.backlog_prompts.get("m", 0.0)


@pytest.mark.slow
@given(st.lists(Noise, min_size=1, max_size=5))
def test_work_nobody_has_touched_is_a_whole_number_of_prompts(noises: list[tuple[float, ...]]) -> None:
    node = NodeState(device_testbed(), "d0")
    for number, noise in enumerate(noises):
        request = Request(f"r{number}", "m", "d0", 0.0, inf, prompts=len(noise))
        node.submit("d0", Job(request, RequestTruth(noise=noise)), 0.0)
    assert left(node, 0.0) == sum(map(len, noises))


@given(Noise)
def test_what_is_finished_is_counted_prompt_by_prompt(noise: tuple[float, ...]) -> None:
    node = NodeState(device_testbed(), "d0")
    node.submit(
        "d0", Job(Request("r", "m", "d0", 0.0, inf, prompts=len(noise)), RequestTruth(noise=noise)), 0.0
    )
    end_s = 0.0
    for number, units in enumerate(noise):
        middle_s, end_s = end_s + units / 2, end_s + units
        assert left(node, middle_s) == pytest.approx(len(noise) - number - 0.5, abs=1e-6)
    node.faults.leave(0, "resume", sum(noise[:-1]) + noise[-1] / 2)
    assert left(node, 1e6) == 1.0, "what was broken off is to be done again, and nothing else"
