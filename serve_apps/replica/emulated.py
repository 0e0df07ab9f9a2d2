"""The emulated model: its node's state machines say when, `content.py` says what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from serve_apps.replica.base import BackendSpec, Synthetic
from serve_apps.replica.content import answer, deltas, rest
from serve_apps.wire.messages import Answer, Delta, Served, Work
from serve_apps.wire.names import find, runtime_name


class Emulated(Synthetic):
    """Asks the node runtime for every request: the queue, the sharing and the speed are the node's."""

    def __init__(self, spec: BackendSpec) -> None:
        super().__init__(spec)
        self._runtime: Any = find(runtime_name(spec.node))

    async def serve(self, work: Work) -> Answer:
        """One attempt. If whoever waits for it goes away, the node is told."""
        try:
            served: Served = await self._runtime.serve.remote(work)
        except asyncio.CancelledError:
            self._runtime.cancel.remote(work.request.id)
            raise
        return answer(self._spec.model, work, served)

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, its words at the emulated pace."""
        sent = 0
        over = False
        try:
            async for item in self._chunks(work):
                if isinstance(item, Served):
                    over = True
                    whole = answer(self._spec.model, work, item)
                    for delta in self._rest(whole, sent):
                        yield delta
                    yield whole
                    return
                if self._spec.model.modality == "caption":
                    continue
                produced, total = item
                for delta in deltas(sent, produced, self._each(work, total)):
                    yield delta
                sent = produced
        finally:
            if not over:
                self._runtime.cancel.remote(work.request.id)

    async def _chunks(self, work: Work) -> AsyncIterator[tuple[int, int] | Served]:
        generator = self._runtime.stream.options(num_returns="streaming").remote(work)
        async for reference in generator:
            item: tuple[int, int] | Served = await reference
            yield item

    def _rest(self, whole: Answer, sent: int) -> list[Delta]:
        """What is left to say when the node says it is over. Captions come whole, at the end."""
        if self._spec.model.modality == "caption":
            return [Delta(choice=0, text="\n".join(whole.texts), tokens=whole.completion_tokens)]
        return rest(whole, sent)

    def _each(self, work: Work, total: int) -> int:
        choices = work.request.prompts if self._spec.model.features == "prompts" else 1
        return max(total // choices, 1)
