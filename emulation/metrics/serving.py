"""Serving figures of a run: time to first token, time per output token, inter-token latency, queue, and SLO goodput.

Definitions as MLPerf Inference and serving benchmarks have them: TPOT = (end to end - TTFT) / (output tokens - 1), a
value per request; inter-token latency weighs the same gaps by token, so that long answers count more. What of a time is
the first token's: `pace.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emulation.domain.records import RequestRecord
from emulation.domain.slo import Slo
from emulation.metrics.buckets import FIRST_TOKEN_S, LATENCY_S, PER_TOKEN_S, histogram
from emulation.metrics.pace import Laws, Pace, meets, pace_of
from emulation.metrics.view import mean, percentile, ratio

BOUNDS: Mapping[str, Sequence[float]] = {
    "ttft_s": FIRST_TOKEN_S, "tpot_s": PER_TOKEN_S, "e2e_s": LATENCY_S, "queue_s": LATENCY_S
}  # fmt: skip
"""Upper bounds of the buckets of every histogram, as at `/metrics`."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Over the served requests of one model, or of all; virtual seconds. None: not measured, or undefined."""

    ttft_mean_s: float | None = None
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_mean_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p95_s: float | None = None
    tpot_p99_s: float | None = None
    itl_p50_s: float | None = None
    """Percentiles over all gaps between tokens, not over requests."""
    itl_p95_s: float | None = None
    itl_p99_s: float | None = None
    e2e_p50_s: float | None = None
    e2e_p95_s: float | None = None
    e2e_p99_s: float | None = None
    queue_mean_s: float | None = None
    queue_p50_s: float | None = None
    queue_p95_s: float | None = None
    ttft_client_p50_s: float | None = None
    """By the clients of streamed requests, live only: the platform's part is in it."""
    slo_share: float | None = None
    """Of what arrived for models that have an SLO: served, with every condition met."""
    slo_goodput: float | None = None
    """Of these per second of horizon."""
    histograms: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Requests per bucket of `BOUNDS`, the last above all bounds."""


@dataclass(frozen=True, slots=True)
class ServingFigures:
    """Of all requests together, and of every model."""

    all: Serving
    per_model: Mapping[str, Serving]


def serving_figures(
    counted: Sequence[RequestRecord],
    laws: Laws,
    slo: Mapping[str, Slo],
    span_s: float,
    side: Mapping[int, Mapping[str, Any]],
) -> ServingFigures:
    """Figures of the requests that count. `span_s`: seconds of horizon; `side`: rows beside the record."""
    streamed = _first_at_client(side)
    rows = [(r, pace_of(r, laws)) for r in counted]
    models = dict.fromkeys(r.model for r in counted)
    per_model = {
        m: _figures([row for row in rows if row[0].model == m], slo, span_s, streamed) for m in models
    }
    return ServingFigures(_figures(rows, slo, span_s, streamed), per_model)


def _figures(
    rows: Sequence[tuple[RequestRecord, Pace | None]],
    slo: Mapping[str, Slo],
    span_s: float,
    streamed: Mapping[str, float],
) -> Serving:
    paces = [p for _, p in rows if p is not None]
    ttft = [p.ttft_s for p in paces if p.ttft_s is not None]
    tpot = [(p.tpot_s, p.gaps) for p in paces if p.tpot_s is not None]
    each, e2e, queue = [t for t, _ in tpot], [p.e2e_s for p in paces], [p.queue_s for p in paces]
    judged = [meets(p, slo[r.model]) for r, p in rows if r.model in slo]
    client = [streamed[r.request_id] - r.intended_s for r, _ in rows if r.request_id in streamed]
    found: dict[str, Sequence[float]] = {"ttft_s": ttft, "tpot_s": each, "e2e_s": e2e, "queue_s": queue}
    spread: dict[str, Any] = {
        "ttft_mean_s": mean(ttft),
        "tpot_mean_s": mean(each),
        "queue_mean_s": mean(queue),
    }
    for q in (50, 95, 99):
        spread[f"ttft_p{q}_s"], spread[f"tpot_p{q}_s"] = percentile(ttft, q), percentile(each, q)
        spread[f"itl_p{q}_s"], spread[f"e2e_p{q}_s"] = _weighted(tpot, q), percentile(e2e, q)
    return Serving(
        **spread,
        queue_p50_s=percentile(queue, 50),
        queue_p95_s=percentile(queue, 95),
        ttft_client_p50_s=percentile(client, 50),
        slo_share=ratio(sum(judged), len(judged)),
        slo_goodput=ratio(sum(judged), span_s) if judged else None,
        histograms={name: histogram(values, BOUNDS[name]) for name, values in found.items() if values},
    )


def _weighted(values: Iterable[tuple[float, int]], q: float) -> float | None:
    """The smallest value of which, and of all below it, q percent of the weight is; None of nothing."""
    pairs = sorted(values)
    if not pairs:
        return None
    weight = np.cumsum([w for _, w in pairs])
    return pairs[int(np.searchsorted(weight, q / 100 * weight[-1]))][0]


def _first_at_client(side: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Request to when its client had the first token, of streams whose log was joined."""
    found = ((row.get("request_id"), row.get("client_first_token_s")) for row in side.values())
    return {str(name): float(at) for name, at in found if name is not None and at is not None}
