"""Lifecycle cold at a node: a replica is called only when it is up, and only what was asked last counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode
from tests.build.fakes import pod_testbed
from tests.build.nodes import NodeWorld
from tests.build.waiting import in_a_loop, news_arrives, until


class Pods(NodeWorld):
    """Models a and b on one node, whose processes really start and stop."""

    def __init__(self) -> None:
        super().__init__(pod_testbed(), "n", cold=True)

    async def tell(self, **modes: Mode) -> tuple[str, ...]:
        """Configure; what was refused."""
        refused = (await self.core.configure(NodeConfig("n", modes))).violations
        await news_arrives()
        return refused

    async def up(self) -> None:
        """Begin with model a on the GPU."""
        await self.begin()
        await self.tell(a="gpu")
        self.starter.done()
        await news_arrives()
        assert self.states()["n/a"] == "ready"

    async def turn(self, number: int) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(self.core.turn(self.work(number, "n/a", "a")))
        await news_arrives()
        return task

    async def serve(self, number: int) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(self.core.serve(self.work(number, "n/a", "a")))
        await news_arrives()
        return task

    def states(self) -> dict[str, str]:
        return {view.id: view.state for view in self.state.view(self.clock.now_s()).executors}


@in_a_loop
async def test_a_replica_is_called_only_when_its_request_is_in_service() -> None:
    node = Pods()
    await node.begin()
    await node.tell(a="gpu")
    first, second = await node.turn(1), await node.turn(2)
    assert node.starter.asked == [("launch", "a", "gpu")]
    assert not first.done()
    node.starter.done()
    assert await first is None
    assert not second.done()
    served = await node.serve(1)
    node.clock.go_to(1.0)
    assert (await served).outcome == "done"
    assert await second is None


@in_a_loop
async def test_nothing_starts_before_virtual_time_does() -> None:
    node = Pods()
    await node.core.begin_run(node.run())
    await node.tell(a="gpu")
    assert node.starter.asked == []
    await node.core.start(0.0)
    await until(lambda: node.starter.asked)


@in_a_loop
async def test_who_waits_through_a_replica_that_stops_is_detached_and_can_attach_again() -> None:
    node = Pods()
    await node.up()
    assert await (await node.turn(1)) is None
    attached = await node.serve(1)
    node.clock.go_to(0.5)
    await node.tell(a="off")
    assert ((await attached).outcome, (await attached).ended_s) == ("detached", 0.5)
    again = await node.turn(1)
    node.starter.done()
    await node.tell(a="gpu")
    assert not again.done()
    node.starter.done()
    assert await again is None
    served = await node.serve(1)
    node.clock.go_to(5.0)
    assert (await served).outcome == "done"


@in_a_loop
async def test_who_only_queues_is_not_detached_by_a_stop() -> None:
    node = Pods()
    await node.up()
    await node.turn(1)
    queued = await node.turn(2)
    await node.tell(a="off")
    assert not queued.done()


@in_a_loop
async def test_an_executor_whose_process_does_not_start_is_off_again() -> None:
    node = Pods()
    await node.begin()
    await node.tell(a="gpu", b="gpu")
    node.starter.done(ok=False)
    await until(lambda: ("halt", "a") in node.starter.asked)
    assert node.states()["n/a"] == "draining"
    node.starter.done(number=1)
    await until(lambda: node.states()["n/a"] == "off")
    assert node.state.targets() == {"n/a": "off", "n/b": "gpu"}


@pytest.mark.parametrize("ok", [True, False])
@in_a_loop
async def test_a_start_that_was_told_otherwise_meanwhile_is_not_acted_upon(ok: bool) -> None:
    node = Pods()
    await node.begin()
    await node.tell(a="gpu")
    await node.tell(a="off")
    node.starter.done(ok=ok)
    await news_arrives()
    assert node.states()["n/a"] == "draining"
    assert node.starter.asked == [("launch", "a", "gpu"), ("halt", "a")]


@in_a_loop
async def test_a_launcher_that_is_gone_counts_as_a_start_that_failed_and_is_recorded() -> None:
    node = Pods()
    await node.begin()
    node.calls.lose("launcher")
    await node.tell(a="gpu")
    await until(lambda: node.states()["n/a"] == "off")
    await node.core.flush()
    audits = [args[0] for method, args in node.books.entries if method == "audit"]
    assert [(a.cause, a.outcome, a.choice["serve_status"]) for a in audits] == [
        ("start", "rejected", "UNKNOWN"),
        ("stop", "rejected", "UNKNOWN"),
    ]
    assert "launcher" in audits[0].reason


@in_a_loop
async def test_a_start_of_the_run_before_changes_nothing_in_the_next() -> None:
    node = Pods()
    await node.begin()
    await node.tell(a="gpu")
    await node.begin("the next")
    await node.tell(a="gpu")
    assert len(node.starter.asked) == 2
    node.starter.done()
    await news_arrives()
    assert node.states()["n/a"] == "starting"
    node.starter.done()
    await news_arrives()
    assert node.states()["n/a"] == "ready"


@in_a_loop
async def test_a_restarted_node_stops_what_runs_in_another_mode_and_starts_what_is_wanted() -> None:
    node = Pods()
    await node.up()
    await node.restart()
    await until(lambda: len(node.starter.asked) == 3)
    assert node.starter.asked[1:] == [("halt_others", "n/a:gpu", "n/b:off"), ("launch", "a", "gpu")]


@in_a_loop
async def test_a_restarted_node_goes_on_without_its_launcher() -> None:
    node = Pods()
    await node.up()
    node.calls.lose("launcher")
    await node.restart()
    assert node.state.targets()["n/a"] == "gpu"
    queued = await node.turn(1)
    assert not queued.done()
