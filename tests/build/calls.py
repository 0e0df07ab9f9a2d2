"""Actors as plain objects of this process, called as the live world calls them; any can be lost or fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any

from serve_apps.wire.calls import CALL_LIMIT_S, LONGEST_S, Unreached


class InMemoryCalls:
    """The `Calls` of tests. As with Ray, a caller that goes away does not end what it asked for."""

    def __init__(self, actors: Mapping[str, Any] | None = None) -> None:
        self.actors = dict(actors or {})
        self.asked: list[tuple[str, str]] = []
        """(name, method) of every call, in order."""
        self._lost: set[str] = set()
        self._silent: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Future[Any]] = set()

    def lose(self, name: str) -> None:
        """Its process is gone: open calls fail, and so do new ones until it is `back`."""
        self._lost.add(name)
        self._wake()

    def silence(self, name: str) -> None:
        """It hangs: calls are answered when it is `back`, or not in time."""
        self._silent.add(name)
        self._wake()

    def back(self, name: str, actor: Any = None) -> None:
        """It answers again, or another in its place does."""
        self._lost.discard(name)
        self._silent.discard(name)
        if actor is not None:
            self.actors[name] = actor
        self._wake()

    async def call(self, name: str, method: str, *args: Any, limit_s: float = CALL_LIMIT_S) -> Any:
        self.asked.append((name, method))
        try:
            async with asyncio.timeout(limit_s):
                return await self._answered(name, self._begun(name, method, args))
        except TimeoutError as error:
            raise Unreached(f"{name}.{method}: no answer in time") from error

    async def stream(
        self, name: str, method: str, *args: Any, limit_s: float = LONGEST_S
    ) -> AsyncIterator[Any]:
        self.asked.append((name, method))
        items = getattr(self._actor(name), method)(*args)
        while True:
            try:
                yield await self._answered(name, anext(items))
            except StopAsyncIteration:
                return

    def tell(self, name: str, method: str, *args: Any) -> None:
        self.asked.append((name, method))
        if name in self.actors and name not in self._lost:
            self._keep(asyncio.ensure_future(self._begun(name, method, args)))

    async def _begun(self, name: str, method: str, args: tuple[Any, ...]) -> Any:
        while name in self._silent and name not in self._lost:
            await self._changed.wait()
        return await getattr(self._actor(name), method)(*args)

    async def _answered(self, name: str, answer: Awaitable[Any]) -> Any:
        """What it answers, unless it is lost before it does."""
        work = self._keep(asyncio.ensure_future(answer))
        while not work.done() and name not in self._lost:
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait((work, changed), return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        if not work.done():
            raise Unreached(f"{name} is gone")
        try:
            return work.result()
        except (ValueError, Unreached, StopAsyncIteration):
            raise
        except Exception as error:  # as Ray: whatever an actor raises comes back as a failed call
            raise Unreached(f"{name}: {type(error).__name__}: {error}") from error

    def _actor(self, name: str) -> Any:
        if name in self._lost or name not in self.actors:
            raise Unreached(f"no actor {name!r}")
        return self.actors[name]

    def _keep(self, task: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
