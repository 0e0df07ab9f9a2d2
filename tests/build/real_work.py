"""A replica of real work and its node, joined without Ray: time and tokens go on when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from typing import Any

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor import Ended, Job, NodeState, Returned
from serve_apps.engines.loading import LoadFacts
from serve_apps.engines.pacer import Pacer
from serve_apps.node.real_work import RealWork
from serve_apps.node.waiters import Waiter
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.real import Real
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Answer, Piece, Served, Work
from tests.build.fakes import device_testbed
from tests.build.works import work_of

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
            job = Job(work.request, RequestTruth.unknown(work.request.prompts), work.attempt)
            job.resume(work.earlier)
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
                self._end(notice.job, notice.outcome)
            elif isinstance(notice, Returned):
                self._end(notice.job, "returned")
        self._repace()

    def _end(self, job: Job, outcome: Any) -> None:
        waiter = self._waiters.pop(job.request.id)
        measured = job.measured(outcome == "done")
        waiter.answer(Served(outcome=outcome, ended_s=self.now, measured=measured))

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
        self.held = threading.Event()
        """Set once a thread stands still because its node is paused."""
        self.at_work = 0
        """Threads in `run`."""
        self.runs: list[tuple[str, int]] = []
        self.computed: list[str] = []
        self.broken = False

    def pacer(self) -> Pacer:
        return _TellingPacer(self.held)

    def choices(self, work: Work) -> int:
        return work.request.prompts

    def check(self, work: Work) -> None:
        if work.ask.max_tokens == 13:
            raise BadAsk("13 is too many", "max_tokens")

    def run(self, work: Work, index: int, pacer: Pacer, emit: Callable[[str, int], None]) -> Piece:
        self.runs.append((work.request.id, index))
        self.at_work += 1
        try:
            return self._run(work, index, pacer, emit)
        finally:
            self.at_work -= 1

    def _run(self, work: Work, index: int, pacer: Pacer, emit: Callable[[str, int], None]) -> Piece:
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
        return Piece(text="".join(t for t, _ in said), tokens=self._tokens, prompt_tokens=5, said=tuple(said))

    def let(self, tokens: int) -> None:
        for _ in range(tokens):
            self.go.release()


class _TellingPacer(Pacer):
    """Says when it makes its thread wait for as long as its node is paused."""

    def __init__(self, held: threading.Event) -> None:
        super().__init__()
        wait = self._changed.wait

        def telling(timeout: float | None = None) -> bool:
            if timeout is None:
                held.set()
            return wait(timeout)

        self._changed.wait = telling  # type: ignore[method-assign]


class World:
    """One node, one replica, one engine."""

    def __init__(self) -> None:
        self.node, self.engine = Node(), Engine()
        self.replica = Real(BackendSpec("d0", MODEL), Handle(self.node), self.engine)

    def ask(self, number: int, prompts: int = 1, **fields: Any) -> asyncio.Task[Answer]:
        request = Request(f"r{number}", "m", "d0", 0.0, fields.pop("deadline_s", inf), prompts=prompts)
        return asyncio.ensure_future(self.replica.serve(work_of(request, "d0", **fields)))
