"""Work that somebody really computes: the state machine keeps its turn and hears of its progress and its end."""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import mypyc_attr

from emulation.executor.job import Job
from emulation.executor.lane import Lane
from emulation.executor.service import Service


@mypyc_attr(allow_interpreted_subclasses=True)
class ComputedWork:
    """What happens to real work in service on one node: `NodeState.computed`."""

    def __init__(
        self, service: Service, advance: Callable[[float], None], refresh: Callable[[], None]
    ) -> None:
        """`advance` brings the node up to a time, `refresh` looks what will happen next there."""
        self._service, self._advance, self._refresh = service, advance, refresh

    def pace(self, request_id: str) -> tuple[float, ...] | None:
        """How many times slower each coefficient is to be at present; None if it is not in service."""
        placed = self._placed(request_id)
        return None if placed is None else self._service.speed.factors(placed[1].request.model)

    def advanced(self, request_id: str, prompts_done: int, now_s: float) -> None:
        """So many of its prompts are finished; nothing changes if it is not in service."""
        self._advance(now_s)
        placed = self._placed(request_id)
        if placed is not None:
            lane, job = placed
            lane.sync(now_s)
            job.prompts_done = max(job.prompts_done, min(prompts_done, len(job.truth.noise) - 1))
            lane.remaining_units = job.remaining_units

    def complete(
        self,
        request_id: str,
        service_s: float,
        output_tokens: int,
        now_s: float,
        input_tokens: int | None = None,
    ) -> bool:
        """The work is over, after so many seconds over all attempts; false if it is not in service.

        Whoever computed says what the attempt took in all: of one that was interrupted, or stood still, the last turn
        cannot be told apart. `input_tokens`: by the model's own tokenizer; None: it has none.
        """
        self._advance(now_s)
        placed = self._placed(request_id)
        if placed is not None:
            lane, job = placed
            lane.sync(now_s)
            emulated_s, job.service_s = job.service_s - job.service_before_s, service_s
            job.told_apart = not job.interrupted and job.stood_s == 0.0
            alone = job.work_s / emulated_s if emulated_s > 0 else 1.0
            job.work_s = (job.turn_s or 0.0) * alone  # what the rest of its batch took is not its work
            job.counted_tokens = (input_tokens, output_tokens)
            self._service.finish(lane, now_s)
        self._refresh()
        return placed is not None

    def _placed(self, request_id: str) -> tuple[Lane, Job] | None:
        placed = self._service.in_service(request_id)
        return placed if placed is not None and self._service.is_real(placed[1].request.model) else None
