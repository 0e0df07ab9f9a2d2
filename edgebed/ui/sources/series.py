"""How a run went over time: its requests in buckets by when they ended, each bucket reckoned once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf, log10

import numpy as np

from edgebed.ui.sources.first_token import FirstTokens
from edgebed.ui.sources.requests import Requests
from edgebed.ui.sources.sorted import Floats, Ints
from edgebed.ui.views import ModelSeries, Series
from emulation.domain.slots import slot_of, slots_until
from emulation.metrics.fairness import jain, jain_normalised

MOST = 240
"""Buckets."""
_LATEST = 400
"""Predictions held against what was measured."""
_SLACK_S = 1e-6
"""A request that ends at its deadline is in time, whatever the rounding of the sum."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """What ended of one model in one bucket."""

    p50_s: float | None
    p95_s: float | None
    success: float | None
    done: float | None
    """Share that was done, in time or not: what fairness is of."""


_EMPTY = _Cell(None, None, None, None)


def bucket_of(length_s: float) -> float:
    """Length of a bucket, 1, 2 or 5 times a power of ten, such that `MOST` of them cover this."""
    least = max(length_s / MOST, 1e-3)
    if not least < inf:
        return inf
    step = 10.0 ** floor(log10(least))
    return next(step * times for times in (1, 2, 5, 10) if step * times >= least)


class Buckets:
    """The series of one run. Of requests that count, as every figure of a report."""

    def __init__(self, requests: Requests, first_tokens: FirstTokens) -> None:
        self._requests, self._first = requests, first_tokens
        self._shape: tuple[float, float, float | None, tuple[str, ...]] = (0.0, 0.0, None, ())
        self._cells: list[list[_Cell]] = []
        """Bucket to the cell of each model."""

    def series(
        self,
        models: Sequence[str],
        from_s: float,
        to_s: float,
        end_s: float,
        until_s: float,
        deadline_s: float | None,
    ) -> Series:
        """Every bucket that is over by `until_s`, of a run recorded up to `to_s` and planned up to `end_s`."""
        bucket_s = bucket_of(max(end_s, to_s) - from_s)
        count = max(0, min(MOST, slots_until(to_s - from_s, bucket_s)))
        self._reckon(tuple(models), from_s, bucket_s, count, deadline_s)
        shown = count if until_s >= to_s else max(0, min(count, slot_of(until_s - from_s, bucket_s)))
        ends = np.array([from_s + bucket_s * (i + 1) for i in range(shown)])
        cells = self._cells[:shown]
        arrived = self._arrived(models, from_s, bucket_s, ends)
        first = self._first.medians(models, np.concatenate([[from_s], ends]))
        return Series(
            bucket_s=bucket_s,
            t_s=tuple(ends.tolist()),
            models={
                model: ModelSeries(
                    p50_s=tuple(row[m].p50_s for row in cells),
                    p95_s=tuple(row[m].p95_s for row in cells),
                    success=tuple(row[m].success for row in cells),
                    first_token_s=first[m],
                    arrived_per_s=arrived[m],
                )
                for m, model in enumerate(models)
            },
            fairness=tuple(map(_fairness, cells)),
            predicted=tuple(self._requests.predictions(until_s, _LATEST)),
        )

    def _reckon(
        self, models: tuple[str, ...], from_s: float, bucket_s: float, count: int, deadline_s: float | None
    ) -> None:
        """Fill in the buckets that are new, or into which something came since."""
        requests, shape = self._requests, (from_s, bucket_s, deadline_s, models)
        if shape != self._shape:
            self._shape, self._cells = shape, []
        if requests.fresh_s < inf:
            kept = max(0, slots_until(requests.fresh_s - from_s, bucket_s) - 1)
            del self._cells[kept:]
            requests.fresh_s = inf
        while len(self._cells) < count:
            i = len(self._cells)
            after_s = from_s + i * bucket_s if i else -inf
            rows = requests.by_end.between(after_s, from_s + (i + 1) * bucket_s)
            self._cells.append(self._row(rows[requests["counted"][rows]], models, deadline_s))

    def _row(self, rows: Ints, models: tuple[str, ...], deadline_s: float | None) -> list[_Cell]:
        requests = self._requests
        model = requests["model"][rows]
        done = requests["outcome"][rows] == requests.names["outcome"]["done"]
        latency = requests["ended_s"][rows] - requests["intended_s"][rows]
        found = []
        for name in models:
            own = model == requests.code("model", name)
            found.append(_cell(latency[own & done], int(own.sum()), deadline_s))
        return found

    def _arrived(
        self, models: Sequence[str], from_s: float, bucket_s: float, ends: Floats
    ) -> list[tuple[float, ...]]:
        found = []
        for model in models:
            moments = self._requests.of_model(model).sorted
            counts = np.diff(moments.searchsorted(ends, side="right"), prepend=0)
            found.append(tuple((counts / bucket_s).tolist()))
        return found


def _cell(latencies: Floats, ended: int, deadline_s: float | None) -> _Cell:
    if not ended:
        return _EMPTY
    in_time = len(latencies) if deadline_s is None else int((latencies <= deadline_s + _SLACK_S).sum())
    p50_s, p95_s = np.percentile(latencies, (50, 95)).tolist() if len(latencies) else (None, None)
    return _Cell(p50_s, p95_s, in_time / ended, len(latencies) / ended)


def _fairness(row: Sequence[_Cell]) -> float | None:
    """F_norm over the models of which something ended."""
    ratios = [cell.done for cell in row if cell.done is not None]
    return jain_normalised(jain(ratios), len(ratios))
