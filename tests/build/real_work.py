"""A replica of real work and its node, joined without Ray: time and tokens go on when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from serve_apps.engines.loading import LoadFacts
from serve_apps.engines.pacer import Pacer
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.real import Real
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.messages import Answer, Piece, Work
from tests.build.fakes import device_testbed
from tests.build.nodes import NodeWorld
from tests.build.works import work_of

MODEL = ModelSpec(id="m", modality="text")


def real_node(speedup: float = 1.0) -> NodeWorld:
    """A node whose only model really runs."""
    return NodeWorld(device_testbed(), "d0", backend="transformers", speedup=speedup)


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
        self.node, self.engine = real_node(), Engine()
        self.replica = Real(BackendSpec("d0", MODEL), self.node.calls, self.engine)

    def walk(self, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """What a test does, in a loop of its own, once a run has begun."""

        async def begun() -> None:
            await self.node.begin()
            await steps()

        asyncio.run(begun())

    def ask(self, number: int, prompts: int = 1, **fields: Any) -> asyncio.Task[Answer]:
        request = Request(f"r{number}", "m", "d0", 0.0, fields.pop("deadline_s", inf), prompts=prompts)
        return asyncio.ensure_future(self.replica.serve(work_of(request, "d0", **fields)))
