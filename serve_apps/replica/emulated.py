"""The emulated model: its node's state machines say when, `content.py` says what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from serve_apps.replica.base import BackendSpec, Synthetic
from serve_apps.replica.content import answer, deltas, rest, text_of
from serve_apps.wire.calls import LONGEST_S, Calls, RayCalls
from serve_apps.wire.messages import Answer, Delta, Served, Work
from serve_apps.wire.names import runtime_name


class Emulated(Synthetic):
    """Asks the node runtime for every request: the queue, the sharing and the speed are the node's."""

    def __init__(self, spec: BackendSpec, calls: Calls | None = None) -> None:
        """`calls`: in place of Ray's."""
        super().__init__(spec)
        self._calls: Calls = calls or RayCalls()
        self._node = runtime_name(spec.node)

    async def serve(self, work: Work) -> Answer:
        """One attempt. If whoever waits for it goes away, the node is told."""
        try:
            served: Served = await self._calls.call(self._node, "serve", work, limit_s=LONGEST_S)
        except asyncio.CancelledError:
            self._give_up(work)
            raise
        return answer(self._spec.model, work, served)

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, its words at the emulated pace; captions come whole, at the end."""
        model, sent, over = self._spec.model, 0, False
        choices = work.request.prompts
        try:
            async for item in self._calls.stream(self._node, "stream", work):
                if isinstance(item, Served):
                    over = True
                    whole = answer(model, work, item)
                    for delta in rest(model, whole, sent):
                        yield delta
                    yield whole
                    return
                if model.modality != "caption":
                    produced, total = item
                    for delta in deltas(text_of(work.ask, total // choices)[0], sent, produced):
                        yield delta
                    sent = produced
        finally:
            if not over:
                self._give_up(work)

    def _give_up(self, work: Work) -> None:
        self._calls.tell(self._node, "cancel", work.request.id, "the client gave up", work.attempt)
