"""A model that takes no time: what remains is what the platform itself costs (benchmarks).

It is sent all that a real model would be, the pictures too, and answers pictures as large as photographs are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

from emulation.domain.measured import Measured
from emulation.png import noise
from serve_apps.replica.base import Synthetic
from serve_apps.replica.content import DEFAULT_SIZE, answer, rest
from serve_apps.wire.messages import Answer, Delta, Served, Work


class Noop(Synthetic):
    """Answers at once."""

    reads_inputs: ClassVar[bool] = True

    async def serve(self, work: Work) -> Answer:
        """The whole answer, now."""
        at_s = work.dispatched_s
        tokens = (work.ask.max_tokens or 1) * work.request.prompts
        measured = Measured(output_tokens=tokens, enqueued_s=at_s, started_s=at_s)
        served = Served(outcome="done", ended_s=at_s, measured=measured)
        if self._spec.model.modality == "image":
            picture = noise(*(work.ask.size or DEFAULT_SIZE))
            return Answer(served=served, images=(picture,) * work.request.prompts)
        return answer(self._spec.model, work, served)

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """The whole answer word by word, then the end."""
        whole = await self.serve(work)
        for delta in rest(self._spec.model, whole, 0):
            for number, word in enumerate(delta.text.split(" ")):
                text = f" {word}" if number else word
                yield Delta(choice=delta.choice, text=text, tokens=1)
        yield whole
