"""Figures over time: latency and success per bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emulation.domain.records import RequestRecord
from emulation.metrics.view import RunView, latency_s, mean, percentile, ratio


@dataclass(frozen=True, slots=True)
class SeriesBin:
    """What became of the requests that were meant to be sent in one stretch of time."""

    t_s: float
    """Start of the bin."""
    arrived: int
    done: int
    mean_latency_s: float | None
    p95_s: float | None
    success_ratio: float | None


def latency_series(run: RunView, bin_s: float, model: str | None = None) -> list[SeriesBin]:
    """Latency and success of the counted requests, binned by intended send time; every bin up to the horizon.

    Raises `ValueError` if `bin_s` is not positive.
    """
    if bin_s <= 0:
        raise ValueError(f"bin_s must be > 0, not {bin_s:g}")
    bins: list[list[RequestRecord]] = [
        [] for _ in range(max(1, math.ceil(run.header.horizon_s / bin_s - 1e-9)))
    ]
    for record in run.requests:
        index = int(record.intended_s // bin_s)
        if record.counted and 0 <= index < len(bins) and model in (None, record.model):
            bins[index].append(record)
    return [_bin(i * bin_s, records) for i, records in enumerate(bins)]


def _bin(t_s: float, records: Sequence[RequestRecord]) -> SeriesBin:
    latencies = [v for r in records if (v := latency_s(r)) is not None]
    return SeriesBin(
        t_s=t_s,
        arrived=len(records),
        done=len(latencies),
        mean_latency_s=mean(latencies),
        p95_s=percentile(latencies, 95),
        success_ratio=ratio(len(latencies), len(records)),
    )
