"""The node's side of work that is really computed: turns and pace to the replica, its word to the state machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

from serve_apps.node.attempts import Attempts
from serve_apps.wire.messages import Pace, Served, Work


class RealWork:
    """What a node offers to replicas whose models really run."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    async def follow(self, work: Work) -> AsyncIterator[Pace | Served]:
        """Queue one attempt; its turn, every change of pace, at last its end."""
        waiter = self._attempts.waiter(work)
        waiter.attached = True
        ended, told = waiter.ended, Pace(mode="off", factors=None)
        while not ended.done():
            waiter.repaced.clear()
            pace = Pace(mode=waiter.job.mode, factors=self._attempts.state.computed.pace(work.request.id))
            if pace.factors != told.factors:
                told = pace
                yield pace
            else:
                await waiter.until(waiter.repaced)
        yield ended.result()

    def advanced(self, request_id: str, attempt: int, prompts_done: int) -> None:
        """So many prompts of an attempt are finished."""
        if self._attempts.present(request_id, attempt) is not None:
            self._attempts.state.computed.advanced(request_id, prompts_done, self._attempts.advance())
            self._attempts.settle()

    def complete(
        self, request_id: str, attempt: int, service_s: float, output_tokens: int, input_tokens: int | None
    ) -> bool:
        """An attempt is over, and took so long (wall seconds); False if it is not its turn any more."""
        attempts, waiter = self._attempts, self._attempts.present(request_id, attempt)
        if waiter is None:
            return False
        took_s = waiter.work.earlier.service_s + service_s * attempts.clock.speedup
        done = attempts.state.computed.complete(
            request_id, took_s, output_tokens, attempts.advance(), input_tokens
        )
        attempts.settle()
        return done
