"""Several gateways, one testbed: what one has sent somewhere the others know, from the nodes themselves."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from controller.fast_path import FastPath
from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.ports import PerfKey
from emulation.domain.request import Request
from serve_apps.gateway.others import Others
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Served, Work
from serve_apps.wire.names import SCHEDULER
from serve_apps.wire.news import Follower, News
from tests.build.calls import InMemoryCalls
from tests.build.fakes import device_testbed
from tests.build.fast_path import build_fast_path
from tests.build.gateway import Gateway
from tests.build.nodes import NodeWorld
from tests.build.waiting import in_a_loop, news_arrives
from tests.build.works import work_of

TESTBED = device_testbed(nodes=2)


class Site:
    """Two nodes and as many gateways as a test wants."""

    def __init__(self, gateways: int = 2) -> None:
        self.nodes = {n: NodeWorld(TESTBED, n) for n in ("d0", "d1")}
        self.gateways = [One(number) for number in range(gateways)]

    async def begin(self) -> None:
        for node in self.nodes.values():
            await node.begin()
        await self.tell()

    async def send(self, gateway: int, number: int, attempt: int = 1) -> tuple[str, asyncio.Task[Served]]:
        """A request through one gateway: where its fast path put it, and what becomes of it there."""
        work = self.gateways[gateway].work(number, attempt)
        serving = asyncio.ensure_future(self.nodes[work.executor].core.serve(work))
        await news_arrives()
        return work.executor, serving

    async def tell(self) -> None:
        """Every gateway hears what is new at every node."""
        for one in self.gateways:
            for name, node in self.nodes.items():
                heard = await node.core.traffic("run", one.numbers.get(name, 0), 0.0)
                one.numbers[name] = heard.number
                one.others.hear(name, heard)

    def pass_s(self, t_s: float) -> None:
        for node in self.nodes.values():
            node.clock.go_to(t_s)


class One:
    """One gateway's fast path and its view of the others."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.path: FastPath = build_fast_path(TESTBED)
        for executor in ("d0", "d1"):
            self.path.executor_changed(executor, "ready", "gpu", 0.0, 0.0)
        self.others = Others(number, self.path, LiveClock(1.0))
        self.numbers: dict[str, int] = {}

    def work(self, number: int, attempt: int = 1) -> Work:
        request = Request(f"x{number}", "m", "d0", 0.0, inf)
        decision: RoutingDecision = self.path.route(request, 0.0)
        assert decision.executor is not None
        self.path.dispatched(request, decision, 0.0)
        return work_of(request, decision.executor, gateway=self.number, attempt=attempt)

    def backlog(self, executor: str) -> set[str]:
        return set(self.path.view.beliefs[executor].backlog.entries)


@in_a_loop
async def test_what_another_gateway_has_dispatched_keeps_this_one_from_going_there() -> None:
    site = Site()
    await site.begin()
    assert (await site.send(0, 1))[0] == "d0"
    assert site.gateways[1].backlog("d0") == set(), "it cannot know yet"
    await site.tell()
    assert site.gateways[1].backlog("d0") == {"x1"}
    assert (await site.send(1, 2))[0] == "d1"
    await site.tell()
    assert [one.backlog("d1") for one in site.gateways] == [{"x2"}, {"x2"}]


@in_a_loop
async def test_what_another_gateway_had_served_is_learned_from_as_its_own() -> None:
    site = Site()
    await site.begin()
    _, serving = await site.send(0, 1)
    await site.tell()
    site.pass_s(5.0)
    served = await serving
    await site.tell()
    other = site.gateways[1]
    assert served.outcome == "done"
    assert other.backlog("d0") == set()
    assert other.path.perf.predict(PerfKey("d0", "m", "gpu"), (1.0,)).samples == 1
    assert other.others.present() == []


@in_a_loop
async def test_its_own_requests_are_in_its_books_once() -> None:
    site = Site()
    await site.begin()
    await site.send(0, 1)
    await site.tell()
    await site.tell()
    assert site.gateways[0].others.present() == []
    assert site.gateways[0].backlog("d0") == {"x1"}


@in_a_loop
async def test_a_request_that_is_at_another_node_by_now_stays_in_view_there() -> None:
    site = Site()
    await site.begin()
    _, first = await site.send(0, 1)
    await site.tell()
    await site.nodes["d0"].core.cancel("x1", "given back")
    await first
    site.gateways[0].path.view.beliefs["d0"].state = "away"
    moved = site.gateways[0].work(1, attempt=2)
    moved = work_of(moved.request, "d1", gateway=0, attempt=2)
    asyncio.ensure_future(site.nodes["d1"].core.serve(moved))  # noqa: RUF006
    await news_arrives()
    for name in ("d1", "d0"):  # the news of the node it left come last
        one = site.gateways[1]
        one.others.hear(name, await site.nodes[name].core.traffic("run", one.numbers[name], 0.0))
    assert (site.gateways[1].backlog("d0"), site.gateways[1].backlog("d1")) == (set(), {"x1"})


@in_a_loop
async def test_what_a_gateway_that_died_left_behind_is_seen_by_its_successor_until_it_is_done() -> None:
    site = Site()
    await site.begin()
    _, serving = await site.send(0, 1)
    site.gateways[0] = One(2)
    await site.tell()
    assert site.gateways[0].backlog("d0") == {"x1"}
    site.pass_s(5.0)
    await serving
    await site.tell()
    assert site.gateways[0].backlog("d0") == set()


@in_a_loop
async def test_a_node_that_was_restarted_has_nothing_of_what_it_had() -> None:
    site = Site()
    await site.begin()
    await site.send(0, 1)
    await site.tell()
    await site.nodes["d0"].restart()
    await site.tell()
    assert site.gateways[1].backlog("d0") == set()


def test_a_successor_forgets_what_its_predecessor_had_in_view_and_will_hear_it_anew() -> None:
    path = build_fast_path(TESTBED)
    path.executor_changed("d0", "ready", "gpu", 0.0, 0.0)
    foreign = Request("x1", "m", "d0", 0.0, inf)
    path.dispatched(foreign, RoutingDecision("d0", "route", "by another gateway"), 0.0)
    gateway = Gateway()
    gateway.dispatcher.restore((path, [(foreign, "d0")], 0))
    assert not path.view.beliefs["d0"].backlog.entries


@pytest.mark.parametrize("gateways", [1, 3])
@in_a_loop
async def test_of_many_requests_none_is_left_in_any_view(gateways: int) -> None:
    site = Site(gateways)
    await site.begin()
    serving = []
    for number in range(12):
        serving.append((await site.send(number % gateways, number))[1])
        if number % 3 == 0:
            await site.tell()
    site.pass_s(60.0)
    for one in serving:
        await one
    await site.tell()
    for one in site.gateways:
        assert one.others.present() == []
        own = {f"x{n}" for n in range(12) if n % gateways == one.number}
        assert one.backlog("d0") | one.backlog("d1") == own, "of its own it hears from its replicas"


@in_a_loop
async def test_what_is_decided_for_all_reaches_every_gateway_and_one_that_comes_later_too() -> None:
    source: News[MacroPolicy | RouteGuide] = News()
    source.begin("run")
    calls = InMemoryCalls({SCHEDULER: source})
    gateways = [Gateway(), Gateway(), Gateway()]
    hearing = [Follower(calls, SCHEDULER, "run", g.dispatcher.commanded) for g in gateways]
    first, second = RouteGuide(masked=frozenset({"d0"})), RouteGuide(masked=frozenset({"d1"}))
    source.publish(first)
    await asyncio.gather(*(follower.poll() for follower in hearing[:2]))
    source.publish(second)
    await asyncio.gather(*(follower.poll() for follower in hearing))
    assert [g.path.commands for g in gateways] == [[first, second], [first, second], [second]]
