"""What a node says of itself, to whoever comes late or stays longer than it, and what it is after a restart."""

from __future__ import annotations

import asyncio
from typing import Any

from emulation.domain.actions import NodeConfig
from emulation.domain.events import NodeKill, Pause, Slowdown
from emulation.executor import Changed
from emulation.faults import timeline
from serve_apps.wire.messages import Hinted
from serve_apps.wire.names import RECORDER, runtime_name
from serve_apps.wire.news import Follower
from tests.build.fakes import device_testbed, pod_testbed
from tests.build.nodes import NodeWorld
from tests.build.waiting import in_a_loop, news_arrives

HIDDEN = Slowdown(node="n", at_s=0.0, until_s=99.0, factor=2.0, visible="never")
SEEN = Slowdown(node="n", at_s=0.0, until_s=99.0, factor=2.0, visible="onset", hint="game")


def pods() -> NodeWorld:
    return NodeWorld(pod_testbed(), "n")


def follower(node: NodeWorld, heard: list[Any], run_id: str = "run") -> Follower[Any]:
    return Follower(node.calls, runtime_name("n"), run_id, heard.append)


def said(heard: list[Any]) -> list[Any]:
    """Executors with their states, and hints, as they were heard."""
    return [(n.executor, n.state) if isinstance(n, Changed) else n.hints for n in heard]


async def tell(node: NodeWorld, **modes: Any) -> tuple[str, ...]:
    return (await node.core.configure(NodeConfig("n", modes))).violations


@in_a_loop
async def test_a_follower_that_comes_late_hears_the_state_of_every_executor() -> None:
    node = pods()
    await node.begin()
    await tell(node, a="gpu")
    node.clock.go_to(4.0)
    heard: list[Any] = []
    late = follower(node, heard)
    await late.poll()
    assert said(heard) == [("n/b", "off"), (), ("n/a", "ready")]
    node.clock.go_to(5.0)
    polling = asyncio.ensure_future(late.poll())
    await news_arrives()
    await tell(node, b="gpu", a="gpu")
    await polling
    assert said(heard[3:]) == [("n/b", "starting")]


@in_a_loop
async def test_a_follower_of_the_process_before_hears_all_of_the_one_in_its_place() -> None:
    node = pods()
    await node.begin()
    heard: list[Any] = []
    faithful = follower(node, heard)
    for at_s in range(5):  # the process before says much more than the next one will
        await tell(node, a="gpu" if at_s % 2 == 0 else "off")
        node.clock.go_to(10.0 * (at_s + 1))
        await faithful.poll()
    heard.clear()
    await node.restart()
    await faithful.poll()
    assert {executor for executor, _ in filter(None, said(heard))} == {"n/a", "n/b"}


@in_a_loop
async def test_a_follower_with_few_news_misses_none_of_the_first_of_a_restarted_process() -> None:
    node = pods()
    await node.begin()
    heard: list[Any] = []
    faithful = follower(node, heard)
    await faithful.poll()
    heard.clear()
    await node.restart()
    await tell(node, b="gpu")
    await faithful.poll()
    assert ("n/a", "off") in said(heard)
    assert ("n/b", "starting") in said(heard)


@in_a_loop
async def test_news_are_of_the_run_that_is_followed() -> None:
    node = pods()
    await node.begin()
    heard: list[Any] = []
    early = follower(node, heard, "the next")
    await early.poll(limit_s=0.01)
    assert heard == []
    polling = asyncio.ensure_future(early.poll())
    await news_arrives()
    await node.begin("the next")
    await polling
    assert ("n/a", "off") in said(heard)


@in_a_loop
async def test_hints_are_told_when_they_change_and_only_then() -> None:
    node = pods()
    await node.begin()
    heard: list[Any] = []
    ear = follower(node, heard)
    await ear.poll()
    heard.clear()
    onset, undo = timeline((SEEN,), pod_testbed())
    hidden, _ = timeline((SEEN, HIDDEN), pod_testbed())[1:3]
    await node.core.inject(hidden)
    await ear.poll(limit_s=0.01)
    assert heard == []
    for step in (onset, onset, undo):
        await node.core.inject(step)
        await ear.poll(limit_s=0.01)
    assert [n.hints for n in heard if isinstance(n, Hinted)] == [("game",), ()]
    assert len(heard) == 2


@in_a_loop
async def test_a_configuration_that_cannot_be_is_refused_in_words_and_changes_nothing() -> None:
    node = NodeWorld(pod_testbed(slices=1), "n")
    await node.begin()
    (refused,) = await tell(node, a="gpu", b="gpu")
    assert "n" in refused
    assert set(node.state.targets().values()) == {"off"}
    assert (await node.core.configure(NodeConfig("n", {"a": "gpu"}))).changes == 1


@in_a_loop
async def test_a_restarted_node_is_configured_as_before_and_has_the_faults_in_force() -> None:
    node = pods()
    await node.begin()
    await tell(node, a="gpu")
    await node.core.inject(timeline((SEEN,), pod_testbed())[0])
    await news_arrives()
    node.clock.go_to(10.0)
    await node.restart()
    assert node.state.targets() == {"n/a": "gpu", "n/b": "off"}
    heard: list[Any] = []
    await follower(node, heard).poll()
    assert [n.hints for n in heard if isinstance(n, Hinted)] == [("game",)]
    node.clock.go_to(14.0)
    one = asyncio.ensure_future(node.core.serve(node.work(1, "n/a", "a")))
    await news_arrives()
    node.clock.go_to(20.0)
    assert (await one).ended_s == 16.0  # twice as slow, and up 4 s after the restart


@in_a_loop
async def test_what_comes_before_a_restarted_node_has_taken_up_its_run_waits_and_loses_nothing() -> None:
    node = pods()
    await node.begin()
    await tell(node, a="gpu")
    await news_arrives()
    node.calls.silence(RECORDER)
    restarting = asyncio.ensure_future(node.restart())
    await news_arrives()
    (onset, _) = timeline((SEEN,), pod_testbed())
    early = asyncio.ensure_future(node.core.inject(onset))
    await news_arrives()
    assert not early.done()
    node.calls.back(RECORDER)
    await restarting
    await early
    await news_arrives()
    kept = node.books.checkpoints[runtime_name("n")]
    assert (kept.run_id, kept.steps) == ("run", (onset,))
    assert kept.config == NodeConfig("n", {"a": "gpu", "b": "off"})


@in_a_loop
async def test_a_restarted_node_asks_the_recorder_until_it_answers(monkeypatch: Any) -> None:
    monkeypatch.setattr("serve_apps.wire.restart.AGAIN_S", 0.01)
    node = pods()
    await node.begin()
    node.calls.lose(RECORDER)
    restarting = asyncio.ensure_future(node.restart())
    await news_arrives()
    node.calls.back(RECORDER)
    await restarting
    assert (await node.core.telemetry()).id == "n"


@in_a_loop
async def test_a_restart_between_runs_takes_up_nothing_and_is_ready_for_the_next() -> None:
    node = pods()
    await node.restart()
    await node.begin()
    await tell(node, a="gpu")
    await node.core.resume()  # asked again, as it was not heard
    assert node.state.targets()["n/a"] == "gpu"


@in_a_loop
async def test_a_run_that_begins_while_a_restarted_node_asks_for_the_last_one_stays() -> None:
    node = pods()
    await node.begin()
    node.calls.silence(RECORDER)
    restarting = asyncio.ensure_future(node.restart())
    await news_arrives()
    await node.core.begin_run(node.run("the next"))
    await tell(node, a="gpu")
    node.calls.back(RECORDER)
    await restarting
    assert node.state.targets()["n/a"] == "gpu"


@in_a_loop
async def test_a_paused_device_is_paused_after_its_restart() -> None:
    node = NodeWorld(device_testbed(), "d0")
    await node.begin()
    onset, undo = timeline((Pause(node="d0", at_s=0.0, until_s=9.0),), device_testbed())
    await node.core.inject(onset)
    await news_arrives()
    await node.restart()
    one = asyncio.ensure_future(node.core.serve(node.work(1, "d0")))
    await news_arrives()
    node.clock.go_to(9.0)
    await node.core.inject(undo)
    node.clock.go_to(20.0)
    assert (await one).ended_s == 10.0


@in_a_loop
async def test_what_a_kill_leaves_behind_is_away_until_its_undo_and_then_starts_anew() -> None:
    node = pods()
    await node.begin()
    await tell(node, a="gpu")
    node.clock.go_to(10.0)
    onset, undo = timeline([NodeKill(node="n", at_s=10.0, until_s=30.0)], pod_testbed())
    await node.core.inject(onset)
    assert node.state.available, "what is to be killed hands nothing over"
    await node.restart()
    assert not node.state.available
    assert [e.state for e in node.state.view(10.0).executors] == ["away", "away"]
    node.clock.go_to(30.0)
    await node.core.inject(undo)
    node.clock.go_to(40.0)
    assert {e.id: e.state for e in node.state.view(40.0).executors} == {"n/a": "ready", "n/b": "off"}
