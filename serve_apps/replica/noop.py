"""A model that takes no time: what remains is what the platform itself costs (benchmarks)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from emulation.domain.measured import Measured
from serve_apps.replica.base import Synthetic
from serve_apps.replica.content import answer, rest
from serve_apps.wire.messages import Answer, Delta, Served, Work


class Noop(Synthetic):
    """Answers at once."""

    async def serve(self, work: Work) -> Answer:
        """The whole answer, now."""
        at_s = work.dispatched_s
        tokens = (work.ask.max_tokens or 1) * work.request.prompts
        measured = Measured(output_tokens=tokens, enqueued_s=at_s, started_s=at_s)
        return answer(self._spec.model, work, Served(outcome="done", ended_s=at_s, measured=measured))

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """The whole answer in one piece, then the end."""
        whole = await self.serve(work)
        for delta in rest(self._spec.model, whole, 0):
            yield delta
        yield whole
