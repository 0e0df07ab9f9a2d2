"""What an epoch came to, from the counts a planner is told."""

from __future__ import annotations

from collections.abc import Mapping

from controller.objective import Objective
from emulation.domain.snapshot import TypeStats
from emulation.metrics.fairness import Counted, EpochResult, epoch_result_of


def epoch_result(stats: Mapping[str, TypeStats], terms: Objective) -> EpochResult | None:
    """The result over the requests that ended; None if none did.

    Success is served over ended, not over arrived: what still waits has no outcome yet.
    """
    counts = {m: Counted(s.done + s.failed, s.done, s.latency_sum_s) for m, s in sorted(stats.items())}
    ended = any(c.asked for c in counts.values())
    return epoch_result_of(counts, terms.scale_s, terms.weight) if ended else None
