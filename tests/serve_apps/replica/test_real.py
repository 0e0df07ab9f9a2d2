"""The walk of real work between replica and node: the true node runtime and backend, joined without Ray."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Ended, Job, NodeState, Returned
from serve_apps.engines.loading import LoadFacts
from serve_apps.engines.pacer import Pacer
from serve_apps.gateway.openai_api import BadAsk
from serve_apps.node.real_work import RealWork
from serve_apps.node.waiters import Waiter, measured
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.real import Real
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Answer, Delta, Pace, Piece, Served, Work
from tests.build.fakes import device_testbed

pytestmark = pytest.mark.models

MODEL = ModelSpec(id="m", modality="text")


class Node(RealWork):
    """A node runtime without timers and records: time goes on when a test says so."""

    def __init__(self, speedup: float = 1.0) -> None:
        self._state = NodeState(device_testbed(), "d0", real=("m",))
        self._clock = LiveClock(speedup)
        self._waiters: dict[str, Waiter] = {}
        self.now = 0.0

    @property
    def state(self) -> NodeState:
        return self._state

    async def _waiter(self, work: Work) -> Waiter:
        waiter = self._waiters.get(work.request.id)
        if waiter is None:
            job = Job(work.request, RequestTruth(noise=(1.0,) * work.request.prompts), work.attempt)
            job.prompts_done = work.progress.prompts_done
            waiter = Waiter(job, work, asyncio.get_running_loop().create_future())
            self._waiters[work.request.id] = waiter
            self._state.submit(work.executor, job, self.now)
            self._settle()
        return waiter

    def _advance(self) -> float:
        self._state.advance(self.now)
        return self.now

    def _settle(self) -> None:
        for notice in self._state.take_notices():
            if isinstance(notice, Ended):
                self._end(notice.job, notice.outcome, notice.job.truth.output_tokens)
            elif isinstance(notice, Returned):
                self._end(notice.job, "returned", 0)
        self._repace()

    def _end(self, job: Job, outcome: Any, tokens: int) -> None:
        waiter = self._waiters.pop(job.request.id)
        waiter.answer(Served(outcome, self.now, output_tokens=tokens, **measured(job)))

    def change(self, what: Callable[[NodeState], Any]) -> None:
        what(self._state)
        self._settle()

    async def cancel(self, request_id: str) -> bool:
        found = self._state.cancel(request_id, self.now)
        self._settle()
        return found


class Remote:
    """A method of the node as Ray would offer it: `.remote(...)`, and `.options(...)` for streams."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def options(self, **_: Any) -> Remote:
        return self

    def remote(self, *given: Any) -> Any:
        found = self._method(*given)
        if hasattr(found, "__aiter__"):
            return self._references(found)
        return asyncio.ensure_future(found)

    async def _references(self, items: AsyncIterator[Any]) -> AsyncIterator[Awaitable[Any]]:
        async for item in items:
            done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            done.set_result(item)
            yield done


class Handle:
    """The node as an actor handle."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Remote:
        return Remote(getattr(self._node, name))


class Engine:
    """A model that says one token whenever the test lets it."""

    facts = LoadFacts("here", "cpu", "float32", 1, 1, 0.0, 0.0, 0.0, 0.0, 0.0)

    def __init__(self, tokens: int = 3) -> None:
        self._tokens = tokens
        self.go = threading.Semaphore(0)
        """One token each."""
        self.runs: list[tuple[str, int]] = []
        self.computed: list[str] = []
        self.broken = False

    def pacer(self) -> Pacer:
        return Pacer()

    def choices(self, work: Work) -> int:
        return work.request.prompts

    def check(self, work: Work) -> None:
        if work.max_tokens == 13:
            raise BadAsk("13 is too many", "max_tokens")

    def run(self, work: Work, index: int, pacer: Pacer, emit: Callable[[str, int], None]) -> Piece:
        self.runs.append((work.request.id, index))
        pacer.begin()
        said = []
        for number in range(self._tokens):
            assert self.go.acquire(timeout=20)
            if self.broken:
                raise RuntimeError("out of memory")
            self.computed.append(f"{work.request.id}/{index}.{number}")
            pacer.lap()
            said.append((f" {index}.{number}", 1))
            emit(*said[-1])
        return Piece("".join(t for t, _ in said), tokens=self._tokens, prompt_tokens=5, said=tuple(said))

    def let(self, tokens: int) -> None:
        for _ in range(tokens):
            self.go.release()


class World:
    """One node, one replica, one engine."""

    def __init__(self) -> None:
        self.node, self.engine = Node(), Engine()
        self.replica = Real(BackendSpec("d0", MODEL), Handle(self.node), self.engine)

    def ask(self, number: int, prompts: int = 1, **fields: Any) -> asyncio.Task[Answer]:
        request = Request(f"r{number}", "m", "d0", 0.0, fields.pop("deadline_s", inf), prompts=prompts)
        return asyncio.ensure_future(self.replica.serve(Work(request, "d0", 1, 0.0, 0.0, **fields)))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.engine.let(1000)  # whatever happened, no thread stays behind


async def news_arrives() -> None:
    """Let what the node said reach the replica."""
    for _ in range(50):
        await asyncio.sleep(0)


async def until(what: Callable[[], Any]) -> None:
    for _ in range(2000):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to this")


def test_requests_are_computed_one_after_the_other_in_the_nodes_order(world: World) -> None:
    async def walk() -> None:
        first, second = world.ask(1), world.ask(2)
        world.engine.let(5)
        answer = await first
        assert (answer.served.outcome, answer.texts, answer.completion_tokens) == (
            "done",
            (" 0.0 0.1 0.2",),
            3,
        )
        assert answer.served.output_tokens == 3
        assert answer.timing is not None
        assert answer.served.service_s == answer.timing.service_s > 0
        assert not second.done()
        world.engine.let(1)
        await second
        assert [c.partition("/")[0] for c in world.engine.computed] == ["r1"] * 3 + ["r2"] * 3

    asyncio.run(walk())


def test_a_cancelled_request_frees_its_replica_within_one_token(world: World) -> None:
    async def walk() -> None:
        first, second = world.ask(1), world.ask(2)
        world.engine.let(1)
        await until(lambda: world.engine.computed)
        await world.node.cancel("r1")
        assert (await first).served.outcome == "aborted"
        world.engine.let(4)  # one for the token that was under way
        assert (await second).served.outcome == "done"
        assert len(world.engine.computed) == 5

    asyncio.run(walk())


def test_a_caller_that_goes_away_cancels_the_work(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1)
        await until(lambda: world.engine.runs)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await until(lambda: not world.node.state.jobs())

    asyncio.run(walk())


def test_a_deadline_ends_work_in_service(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1, deadline_s=9.0)
        await until(lambda: world.engine.runs)
        world.node.now = 10.0
        world.node._advance()
        world.node._settle()
        assert (await first).served.outcome == "expired"

    asyncio.run(walk())


def test_what_is_finished_is_kept_for_the_next_attempt_when_its_node_leaves(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1, prompts=3)
        world.engine.let(4)
        await until(lambda: len(world.engine.computed) == 4)
        world.node.change(lambda state: state.leave("requeue", 1.0))
        answer = await first
        assert (answer.served.outcome, answer.served.prompts_done) == ("returned", 1)
        assert [p.text for p in answer.kept] == [" 0.0 0.1 0.2"]
        world.node.change(lambda state: state.join(2.0))
        world.engine.let(7)
        again = await world.ask(1, prompts=3, kept=answer.kept)
        assert again.texts == (" 0.0 0.1 0.2", " 1.0 1.1 1.2", " 2.0 2.1 2.2")
        assert [r for r in world.engine.runs if r[1] == 0] == [("r1", 0)]

    asyncio.run(walk())


def test_a_stream_goes_on_where_it_stopped_when_its_node_comes_back(world: World) -> None:
    async def walk() -> None:
        request = Request("r1", "m", "d0", 0.0, inf, prompts=2)
        said: list[Delta] = []
        ends: list[Answer] = []

        async def listen() -> None:
            async for item in world.replica.stream(Work(request, "d0", 1, 0.0, 0.0)):
                said.append(item) if isinstance(item, Delta) else ends.append(item)

        listening = asyncio.ensure_future(listen())
        world.engine.let(5)
        await until(lambda: len(said) == 5)
        world.node.change(lambda state: state.leave("resume", 1.0))
        await news_arrives()
        world.engine.let(1)  # the token under way: then the thread lets go
        world.node.change(lambda state: state.join(2.0))
        world.engine.let(3)
        await listening
        assert "".join(d.text for d in said) == " 0.0 0.1 0.2 1.0 1.1 1.2"
        assert sum(d.tokens for d in said) == ends[0].completion_tokens == 6

    asyncio.run(walk())


def test_a_kept_choice_is_told_again_so_that_a_stream_is_whole(world: World) -> None:
    async def walk() -> None:
        kept = (Piece(" x y", tokens=2, said=((" x", 1), (" y", 1))),)
        work = Work(Request("r1", "m", "d0", 0.0, inf, prompts=2), "d0", 2, 0.0, 0.0, kept=kept)
        world.engine.let(3)
        items = [item async for item in world.replica.stream(work)]
        assert [(i.choice, i.text) for i in items[:3] if isinstance(i, Delta)] == [
            (0, " x"),
            (0, " y"),
            (1, " 1.0"),
        ]

    asyncio.run(walk())


def test_a_slowdown_holds_from_its_onset_and_ends_with_it(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1)
        await until(lambda: world.engine.runs)
        world.node.change(lambda state: state.set_condition(1, Condition(slowdown=inf), 1.0))
        await news_arrives()
        world.engine.let(3)
        await until(lambda: world.engine.computed)
        await asyncio.sleep(0.05)
        assert len(world.engine.computed) == 1  # paused at its first token
        world.node.change(lambda state: state.set_condition(1, None, 2.0))
        assert (await first).completion_tokens == 3

    asyncio.run(walk())


def test_a_model_that_breaks_ends_the_request_as_an_error_and_serves_the_next(world: World) -> None:
    async def walk() -> None:
        first, second = world.ask(1), world.ask(2)
        world.engine.broken = True
        world.engine.let(1)
        answer = await first
        assert answer.served.outcome == "error"
        world.engine.broken = False
        world.engine.let(3)
        assert (await second).served.outcome == "done"

    asyncio.run(walk())


def test_what_no_model_could_serve_is_refused_before_it_queues(world: World) -> None:
    async def walk() -> None:
        answer = await world.ask(1, max_tokens=13)
        assert (answer.served.outcome, answer.served.reason, answer.fault) == (
            "rejected", "13 is too many", "max_tokens",
        )  # fmt: skip
        assert not world.node.state.jobs()

    asyncio.run(walk())


def test_captions_of_several_pictures_are_lines_of_one_text(world: World) -> None:
    async def walk() -> None:
        world.replica._spec = replace(world.replica._spec, model=ModelSpec(id="m", modality="caption"))
        world.engine.let(6)
        work = Work(Request("r1", "m", "d0", 0.0, inf, prompts=2), "d0", 1, 0.0, 0.0)
        items = [item async for item in world.replica.stream(work)]
        said = "".join(i.text for i in items if isinstance(i, Delta))
        assert said == " 0.0 0.1 0.2\n 1.0 1.1 1.2"
        assert {i.choice for i in items if isinstance(i, Delta)} == {0}
        assert isinstance(items[-1], Answer)
        assert items[-1].texts == (" 0.0 0.1 0.2", " 1.0 1.1 1.2")

    asyncio.run(walk())


def test_the_seconds_a_stand_in_computes_count_speedup_times() -> None:
    async def walk() -> None:
        node = Node(speedup=4.0)
        request = Request("r1", "m", "d0", 0.0, inf)
        heard = node.follow(Work(request, "d0", 1, 0.0, 0.0))
        assert isinstance(await anext(heard), Pace)
        assert await node.complete("r1", 1, 1.5, 4)
        served = await anext(heard)
        assert isinstance(served, Served)
        assert served.service_s == 6.0

    asyncio.run(walk())


def test_pace_is_told_when_it_changes_and_not_otherwise() -> None:
    async def walk() -> None:
        node = Node()
        heard: list[Pace | Served] = []
        request = Request("r1", "m", "d0", 0.0, inf)

        async def listen() -> None:
            async for news in node.follow(Work(request, "d0", 1, 0.0, 0.0)):
                heard.append(news)

        listening = asyncio.ensure_future(listen())
        await until(lambda: heard)
        node.change(lambda state: state.set_condition(1, Condition(slowdown=2.0), 1.0))
        await until(lambda: len(heard) == 2)
        node.change(lambda state: state.set_condition(2, Condition(slowdown=2.0), 1.0, "b"))
        await asyncio.sleep(0.02)
        assert not await node.complete("r1", 2, 1.0, 4)  # of another attempt
        assert await node.complete("r1", 1, 1.0, 4)
        await listening
        assert [p.factors for p in heard if isinstance(p, Pace)] == [(1.0, 1.0), (2.0, 2.0)]
        assert isinstance(heard[-1], Served)
        assert (heard[-1].service_s, heard[-1].output_tokens) == (1.0, 4)

    asyncio.run(walk())
