"""The node's side of work that is really computed: turns and pace to the replica, its word to the
state machine."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from emulation.executor import NodeState
from serve_apps.node.waiters import Waiter
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Pace, Served, Work


class RealWork(ABC):
    """What a node runtime offers to replicas whose models really run."""

    _state: NodeState
    _clock: LiveClock
    _waiters: dict[str, Waiter]

    async def follow(self, work: Work) -> AsyncIterator[Pace | Served]:
        """Queue one attempt; its turn, every change of pace, at last its end."""
        waiter = await self._waiter(work)
        waiter.attached = True
        ended, told = waiter.ended, Pace(mode="off", factors=None)
        while not ended.done():
            waiter.repaced.clear()
            pace = Pace(mode=waiter.job.mode, factors=self._state.computed.pace(work.request.id))
            if pace.factors != told.factors:
                told = pace
                yield pace
                continue
            news = asyncio.ensure_future(waiter.repaced.wait())
            await asyncio.wait((ended, news), return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
        yield ended.result()

    async def advanced(self, request_id: str, attempt: int, prompts_done: int) -> None:
        """So many prompts of an attempt are finished."""
        if self._present(request_id, attempt) is not None:
            self._state.computed.advanced(request_id, prompts_done, self._advance())
            self._settle()

    async def complete(
        self,
        request_id: str,
        attempt: int,
        service_s: float,
        output_tokens: int,
        input_tokens: int | None = None,
    ) -> bool:
        """An attempt is over, and took so long (wall seconds); False if it is not its turn any more.

        `input_tokens`: by the model's own tokenizer; None for one that reads no text.
        """
        waiter = self._present(request_id, attempt)
        if waiter is None:
            return False
        took_s = waiter.work.earlier.service_s + service_s * self._clock.speedup
        done = self._state.computed.complete(request_id, took_s, output_tokens, self._advance(), input_tokens)
        self._settle()
        return done

    async def failed(self, request_id: str, attempt: int, reason: str) -> None:
        """The model broke over this attempt."""
        if self._present(request_id, attempt) is not None:
            self._state.cancel(request_id, self._advance(), "error", reason)
            self._settle()

    def _repace(self) -> None:
        """Something happened: whoever follows looks again."""
        for waiter in self._waiters.values():
            waiter.repaced.set()

    def _present(self, request_id: str, attempt: int) -> Waiter | None:
        waiter = self._waiters.get(request_id)
        return waiter if waiter is not None and waiter.work.attempt == attempt else None

    @abstractmethod
    async def _waiter(self, work: Work) -> Waiter: ...

    @abstractmethod
    def _advance(self) -> float: ...

    @abstractmethod
    def _settle(self) -> None: ...
