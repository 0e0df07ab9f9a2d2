"""Where a job in service stands among its prompts: how many are finished, and when the next one will be.

Read-only: whoever keeps a progress record looks here, and the state machine knows nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from emulation.executor.job import Job
from emulation.executor.lane import Lane

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Milestone:
    """The last finished prompt of a job in service."""

    job: Job
    prompts_done: int
    """Over all attempts. The last prompt is never among them: with it the job ends."""
    finished_s: float
    """When the last of them was finished, reckoned at the present speed; if none was, when service began."""
    service_s: float
    """Seconds in service up to then, over all attempts."""
    next_s: float
    """When the next prompt will be finished; infinity if it is the last."""


def milestone(lane: Lane, now_s: float) -> Milestone | None:
    """Where the job in service stands at `now_s`; None if there is none, or it has a single prompt.

    Its node must have been advanced to `now_s`, and is not changed. Prompts count as finished by the rule of
    `Job.settle`, so that an interruption at this instant would keep exactly these.
    """
    job = lane.job
    if job is None or len(job.truth.noise) < 2:
        return None
    noise, unit_s = job.truth.noise, lane.unit_s / lane.share
    units = lane.remaining_units - max(0.0, now_s - lane.synced_s) / unit_s
    done, left = job.prompts_done, sum(noise[job.prompts_done :])
    finished_units, next_units = left, 0.0
    while done < len(noise) - 1:
        left -= noise[done]
        if left < units - _ROUNDING:
            next_units = left
            break
        done, finished_units = done + 1, left
    if unit_s == inf:  # paused, or real work, which says itself how far it is
        return Milestone(job, done, lane.synced_s, job.service_s, inf)
    finished_s = min(lane.synced_s + (lane.remaining_units - finished_units) * unit_s, now_s)
    next_s = lane.synced_s + (lane.remaining_units - next_units) * unit_s
    return Milestone(
        job,
        done,
        finished_s,
        job.service_s + finished_s - lane.synced_s,
        next_s if done < len(noise) - 1 else inf,
    )
