"""A dispatcher without Ray: a fast path, nodes, replicas and a recorder that do what a test tells them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from math import inf
from typing import Any

from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.ports import Believed, Completion
from emulation.domain.request import Request
from emulation.executor import Changed
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.records.books import SEALED
from serve_apps.wire.ask import Ask
from serve_apps.wire.calls import Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Answer, Delta, GatewayRun, Items, Served, Work
from serve_apps.wire.names import RECORDER, app_name, runtime_name
from tests.build.calls import InMemoryCalls
from tests.build.fakes import device_testbed

Serving = Callable[[Work], Coroutine[Any, Any, Answer]]
Streaming = Callable[[Work], AsyncIterator[Delta | Answer]]


class Path:
    """A fast path that follows `plan` (executor, or None to hold, or a refusal), then the first one not away."""

    def __init__(self) -> None:
        self.plan: deque[str | None] = deque()
        self.again_s: float | None = None
        """Said with every hold and refusal."""
        self.sent: list[str] = []
        self.ends: list[tuple[str, str]] = []
        """(executor, outcome) of everything fed back."""
        self.completions: list[Completion] = []
        self.commands: list[Any] = []
        self.away: set[str] = set()
        self.before: Path | None = None
        """In whose place it goes on."""

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        choice = (
            self.plan.popleft() if self.plan else next((e for e in ("d0", "d1") if e not in self.away), None)
        )
        if choice is None:
            return RoutingDecision(None, "hold", "nobody is there", again_s=self.again_s)
        if choice in ("reject", "no_host"):
            again_s = self.again_s
            return RoutingDecision(None, choice, "by the test", again_s=again_s)  # type: ignore[arg-type]
        return RoutingDecision(choice, "route", "by the test")

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        self.sent.append(decision.executor or "")

    def completed(self, completion: Completion) -> None:
        self.completions.append(completion)
        self.ends.append((completion.executor, completion.outcome))

    def executor_changed(self, executor: str, state: str, mode: str, ready_at_s: float, now_s: float) -> None:
        (self.away.add if state == "away" else self.away.discard)(executor)

    def guide(self, guide: RouteGuide) -> None:
        self.commands.append(guide)

    def policy(self, policy: MacroPolicy) -> None:
        self.commands.append(policy)

    def take_over(self, before: Path) -> None:
        self.before = before

    def believed(self, now_s: float) -> list[Believed]:
        return [Believed(e, e, 1.5, risky=e in self.away, masked=False) for e in ("d0", "d1")]

    def limits_s(self) -> dict[str, float]:
        return {"m": 20.0}


class Runtime:
    """A node runtime that knows nothing but what it was asked."""

    def __init__(self) -> None:
        self.cancelled: list[tuple[str, int | None]] = []
        """(request id, attempt)"""
        self.turns: deque[Served | None] = deque()
        """Lifecycle cold: what its queue says of the next attempts; None: it is its turn."""

    async def cancel(self, request_id: str, reason: str = "", attempt: int | None = None) -> bool:
        self.cancelled.append((request_id, attempt))
        return True

    async def turn(self, work: Work) -> Served | None:
        return self.turns.popleft() if self.turns else None


class Books:
    """The recorder's progress record."""

    def __init__(self) -> None:
        self.finished: dict[str, Measured] = {}

    async def take_over(self, run_id: str, request_id: str, attempt: int) -> Measured:
        return self.finished.get(request_id, Measured())


class Batch:
    """Records as they are handed over."""

    full, trouble = False, ""

    def __init__(self) -> None:
        self.entries: list[tuple[str, tuple[Any, ...]]] = []

    def add(self, method: str, *args: Any) -> None:
        self.entries.append((method, args))

    def seal(self) -> None:
        if (SEALED, ()) not in self.entries:
            self.add(SEALED)

    def ends(self) -> list[tuple[str, str, Measured | None, str, dict[str, Any]]]:
        """(request id, outcome, measured, reason, side) of every end."""
        return [
            (args[0].id, args[1], args[3], args[5], args[6]) for how, args in self.entries if how == "end"
        ]

    def routed(self) -> list[tuple[str, str]]:
        """(request id, action) of everything the fast path decided that is recorded."""
        return [(args[0].id, args[1].action) for how, args in self.entries if how == "route"]


class ReplicasHere:
    """Replicas of this process. By executor a queue of what they do with the next attempts; then they serve."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.serving: dict[str, deque[Serving]] = {"d0": deque(), "d1": deque()}
        self.streaming: dict[str, deque[Streaming]] = {"d0": deque(), "d1": deque()}

    async def serve(self, app: str, work: Work) -> Answer:
        assert app == app_name(work.executor, "m")
        self.works.append(work)
        queue = self.serving[work.executor]
        return await (queue.popleft() if queue else served)(work)

    async def stream(self, app: str, work: Work) -> AsyncIterator[Items]:
        assert app == app_name(work.executor, "m")
        self.works.append(work)
        queue = self.streaming[work.executor]
        async for item in (queue.popleft() if queue else said("a b c d"))(work):
            yield (item,)


class Gateway:
    """Everything a dispatcher needs, in one process: two devices `d0` and `d1` that serve model `m`."""

    def __init__(self, cold: bool = False, speedup: float = 1.0) -> None:
        self.nodes = {"d0": Runtime(), "d1": Runtime()}
        self.books, self.batch, self.path, self.replicas = Books(), Batch(), Path(), ReplicasHere()
        self.calls = InMemoryCalls(
            {runtime_name(n): r for n, r in self.nodes.items()} | {RECORDER: self.books}
        )
        self.followed_anew: list[str] = []
        run = GatewayRun(
            run_id="run",
            scheme="test",
            testbed=device_testbed(nodes=2),
            speedup=speedup,
            slot_s=20.0,
            deadline_s=None,
            length_knowledge="exact",
            fast_path=b"",
            cold=cold,
        )
        clock = LiveClock(speedup, time.time())
        self.dispatcher = Dispatcher(
            run, self.path, clock, self.batch, self.replicas, self.calls, self.followed_anew.append  # type: ignore[arg-type]
        )  # fmt: skip

    def request(self, number: int = 1, deadline_s: float = inf) -> Request:
        """Request `r<number>`, sent now."""
        now_s = self.dispatcher.clock.now_s()
        return Request(f"r{number}", "m", "d0", now_s, now_s + deadline_s)

    def answer(self, number: int = 1, deadline_s: float = inf) -> asyncio.Task[Answer]:
        """Its way through the gateway."""
        request = self.request(number, deadline_s)
        return asyncio.ensure_future(self.dispatcher.answer(request, Ask(model="m")))

    async def text(self, number: int = 1, deadline_s: float = inf) -> str:
        """What a client that streams has when it is over."""
        heard = ""
        request = self.request(number, deadline_s)
        async for batch in self.dispatcher.stream(request, Ask(model="m", stream=True)):
            heard += "".join(item.text for item in batch if isinstance(item, Delta))
        return heard

    def changed(self, executor: str, state: Any) -> None:
        """News of an executor."""
        self.dispatcher.executor_changed(Changed(self.dispatcher.clock.now_s(), executor, state, "gpu", 0.0))


async def served(work: Work) -> Answer:
    """Done at once."""
    measured = Measured(
        attempt=work.attempt,
        executor=work.executor,
        dispatched_s=work.dispatched_s,
        started_s=0.0,
        service_s=1.0,
    )
    return Answer(
        served=Served(outcome="done", ended_s=work.dispatched_s, measured=measured), texts=("done",)
    )


def ending(outcome: Any, **measured: Any) -> Serving:
    """An attempt that ends in this way."""

    async def end(work: Work) -> Answer:
        took = Measured(attempt=work.attempt, executor=work.executor, **measured)
        served = Served(outcome=outcome, ended_s=work.dispatched_s, reason=f"it is {outcome}", measured=took)
        return Answer(served=served)

    return end


def raising(error: Exception) -> Serving:
    """An attempt whose replica is lost."""

    async def fail(work: Work) -> Answer:
        raise error

    return fail


def hanging(entered: asyncio.Event | None = None) -> Serving:
    """An attempt that nothing comes back from."""

    async def hang(work: Work) -> Answer:
        if entered is not None:
            entered.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return hang


def said(text: str, then: Exception | str | None = "done") -> Streaming:
    """An attempt that says these words one by one, and then is done, ends otherwise, breaks, or (None) just ends."""

    async def stream(work: Work) -> AsyncIterator[Delta | Answer]:
        for number, word in enumerate(text.split()):
            yield Delta(choice=0, text=word if number == 0 else f" {word}", tokens=1)
        if isinstance(then, Exception):
            raise then
        if then is not None:
            yield await (served if then == "done" else ending(then))(work)

    return stream


async def items_of(batches: AsyncIterator[Items]) -> AsyncGenerator[Delta | Answer]:
    """A stream item by item."""
    async for batch in batches:
        for item in batch:
            yield item


GONE = Unreached("its process is gone")


def walk(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 30.0))


def story(steps: Callable[[Gateway], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test whose steps happen in one event loop, at one gateway."""

    def told() -> None:
        async def begin() -> None:
            await steps(Gateway())

        walk(begin())

    told.__name__ = steps.__name__
    return told
