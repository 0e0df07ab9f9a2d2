"""Work that somebody really computes: the state machine keeps its turn and hears of its progress and its end."""

from __future__ import annotations

from emulation.executor.job import Job
from emulation.executor.lane import Lane
from emulation.executor.service import Service


class ComputedWork:
    """What happens to real work in service on one node. The node must have been advanced to the time passed in."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def pace(self, request_id: str) -> tuple[float, ...] | None:
        """How many times slower each coefficient is to be at present; None if it is not in service."""
        found = self._computing(request_id)
        return None if found is None else self._service.speed.factors(found[1].request.model)

    def advanced(self, request_id: str, prompts_done: int, now_s: float) -> None:
        """So many of its prompts are finished; nothing changes if it is not in service."""
        found = self._computing(request_id)
        if found is not None:
            lane, job = found
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
        """It is over: what it took, over all attempts, what came out, and what went in by the model's own tokenizer
        (None: it has none). False if it is not in service."""
        found = self._computing(request_id)
        if found is None:
            return False
        lane, job = found
        lane.sync(now_s)
        alone = job.work_s / job.service_s if job.service_s > 0 and job.attempt == 1 else 1.0
        job.service_s = service_s
        job.work_s = service_s * alone  # what the rest of its batch took is not its work
        job.counted_tokens = (input_tokens, output_tokens)
        self._service.finish(lane, now_s)
        return True

    def _computing(self, request_id: str) -> tuple[Lane, Job] | None:
        """The place this work is served at, and the job."""
        for lane in (lane for executor in self._service.executors for lane in executor.lanes):
            job = lane.job
            if job is not None and job.request.id == request_id:
                return (lane, job) if self._service.is_real(job.request.model) else None
        return None
