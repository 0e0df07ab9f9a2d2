"""A replica that crashed is down until its time, whatever is done to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode
from emulation.executor import Changed, NodeState
from tests.build.fakes import pod_testbed

UNTIL_S, INIT_S = 100.0, 4.0


def told(node: NodeState, mode: Mode, now_s: float) -> None:
    node.configure(NodeConfig("n", {} if mode == "off" else {"a": mode}), now_s)


def toggled(node: NodeState) -> None:
    told(node, "off", 20.0)
    told(node, "gpu", 30.0)


def moved(node: NodeState) -> None:
    told(node, "cpu", 20.0)


def away(node: NodeState) -> None:
    node.faults.leave(0, "resume", 20.0)
    node.faults.join(0, 30.0)


def crashed_again(node: NodeState) -> None:
    node.faults.crash(1, "a", 20.0, 50.0)


STORIES = [toggled, moved, away, crashed_again]


def ready_s(node: NodeState) -> list[float]:
    node.advance(1e6)
    return [n.t_s for n in node.take_notices() if isinstance(n, Changed) and n.state == "ready"]


def crashed(external_init: bool = False, until_s: float = UNTIL_S) -> NodeState:
    node = NodeState(pod_testbed(), "n", external_init=external_init)
    told(node, "gpu", 0.0)
    if external_init:
        node.mark_ready("n/a", 5.0)
    node.advance(10.0)
    node.take_notices()
    node.faults.crash(0, "a", 10.0, until_s)
    return node


@pytest.mark.parametrize("story", STORIES)
def test_nothing_brings_it_back_before_its_time(story: Callable[[NodeState], None]) -> None:
    node = crashed()
    story(node)
    assert ready_s(node) == [UNTIL_S + INIT_S]


@pytest.mark.parametrize("story", STORIES)
def test_one_that_never_comes_back_never_does(story: Callable[[NodeState], None]) -> None:
    node = crashed(until_s=inf)
    story(node)
    assert ready_s(node) == []


def test_what_is_switched_on_later_starts_as_ever() -> None:
    node = crashed()
    told(node, "off", 20.0)
    told(node, "gpu", 200.0)
    assert ready_s(node) == [200.0 + INIT_S]


def test_the_other_replicas_of_the_node_are_not_held() -> None:
    node = crashed()
    told(node, "off", 20.0)
    node.configure(NodeConfig("n", {"b": "gpu"}), 30.0)
    assert ready_s(node) == [30.0 + INIT_S]


def test_a_real_process_that_is_up_early_waits_for_its_time() -> None:
    node = crashed(external_init=True)
    told(node, "off", 20.0)
    node.mark_stopped("n/a", 22.0)
    told(node, "gpu", 30.0)
    node.mark_ready("n/a", 33.0)
    assert ready_s(node) == [UNTIL_S]
