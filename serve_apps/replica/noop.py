"""A model that takes no time: what remains is what the platform itself costs (benchmarks)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from emulation.domain.measured import Measured
from serve_apps.replica.base import BackendSpec, no_settings
from serve_apps.replica.content import answer, deltas
from serve_apps.wire.messages import Answer, Delta, Served, Work


class Noop:
    """Answers at once."""

    reads_inputs: ClassVar[bool] = False
    real: ClassVar[bool] = False

    def __init__(self, spec: BackendSpec) -> None:
        self._spec = spec

    @classmethod
    def checked(cls, modality: str, given: dict[str, Any]) -> dict[str, Any]:
        """Takes no settings. Raises `ConfigError` for any."""
        return no_settings(given)

    async def serve(self, work: Work) -> Answer:
        """The whole answer, now."""
        at_s = work.dispatched_s
        measured = Measured(output_tokens=work.ask.max_tokens or 1, enqueued_s=at_s, started_s=at_s)
        return answer(self._spec.model, work, Served(outcome="done", ended_s=at_s, measured=measured))

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """The whole answer in one piece, then the end."""
        whole = await self.serve(work)
        for delta in deltas(
            0, whole.completion_tokens, max(whole.completion_tokens // max(len(whole.texts), 1), 1)
        ):
            yield delta
        yield whole
