"""The gateway processes that serve the present run: which there are, which are ready, and which still live."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from serve_apps.wire.restart import lives

ALIVE_TIMEOUT_S = 3.0
"""Wall seconds after which a gateway that does not answer counts as gone."""


class Gateways:
    """Handles by source; whoever waits for a gateway is woken."""

    def __init__(self) -> None:
        self.wanted = 1
        """How many a run waits for."""
        self._handles: dict[str, Any] = {}
        self._where: dict[str, Mapping[str, Any]] = {}
        self._ready: set[str] = set()
        self._changed = asyncio.Condition()

    def begin(self) -> None:
        """None is ready for the run that begins."""
        self._ready = set()

    async def joins(self, source: str, actor: Any, where: Mapping[str, Any]) -> None:
        """A gateway is there. `actor`: its own handle, by which it is asked whether it lives, on whatever host;
        `where`: its process, and the address of it alone."""
        self._handles[source], self._where[source] = actor, where
        await self._wake()

    async def ready(self, source: str) -> None:
        """A gateway serves the run."""
        self._ready.add(source)
        await self._wake()

    async def all_ready(self, count: int, limit_s: float) -> bool:
        """Whether so many serve the run within so many wall seconds."""
        self.wanted = count
        try:
            async with asyncio.timeout(limit_s), self._changed:
                return await self._changed.wait_for(lambda: len(self._ready) >= count)
        except TimeoutError:
            return False

    async def alive(self, source: str) -> bool:
        """Whether a gateway lives; one that a restarted recorder has not heard of yet may still say so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ALIVE_TIMEOUT_S), self._changed:
                await self._changed.wait_for(lambda: source in self._handles)
        gateway = self._handles.get(source)
        if gateway is not None and await lives(gateway, ALIVE_TIMEOUT_S, if_silent=False):
            return True
        self._handles.pop(source, None)
        return False

    async def living(self) -> list[str]:
        """The sources that live, of those that were heard of."""
        known = list(self._handles.items())
        alive = await asyncio.gather(*(lives(actor, ALIVE_TIMEOUT_S, if_silent=False) for _, actor in known))
        return [source for (source, _), there in zip(known, alive, strict=True) if there]

    async def listed(self, sources: Sequence[str]) -> list[dict[str, Any]]:
        """Of these, in their order: number, whether it lives, process and URL."""
        known = [(source, self._handles.get(source)) for source in sources]
        alive = await asyncio.gather(
            *(lives(actor, ALIVE_TIMEOUT_S, if_silent=False) for _, actor in known if actor is not None)
        )
        answers = iter(alive)
        return [
            {"number": number, "alive": actor is not None and next(answers), **self._where.get(source, {})}
            for number, (source, actor) in enumerate(known)
        ]

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()
