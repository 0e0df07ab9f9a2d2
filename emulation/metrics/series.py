"""Figures over time: latency and success per bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulation.domain.records import RequestRecord
from emulation.domain.slots import slot_of, slot_start_s
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


def latency_series(run: RunView, slots: int = 1, model: str | None = None) -> list[SeriesBin]:
    """Latency and success of the counted requests, by the slots they were meant to be sent in, so many to a bin.

    Every bin up to the horizon; the last may hold fewer slots. Raises `ValueError` unless `slots` is at least 1.
    """
    if slots < 1:
        raise ValueError(f"slots of a bin must be >= 1, not {slots}")
    slot_s = run.header.slot_s
    bins: list[list[RequestRecord]] = [[] for _ in range(0, run.header.slots, slots)]
    for record in run.requests:
        index = slot_of(record.intended_s, slot_s) // slots
        if record.counted and 0 <= index < len(bins) and model in (None, record.model):
            bins[index].append(record)
    return [_bin(slot_start_s(i * slots, slot_s), records) for i, records in enumerate(bins)]


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
