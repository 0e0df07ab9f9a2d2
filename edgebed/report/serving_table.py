"""What serving people look at, by model and scheme: first token, tokens after it, queue, and what met its SLO."""

from __future__ import annotations

from typing import Any

from edgebed.report.cells import TableCell
from edgebed.report.figures import decimals_for, with_interval
from edgebed.report.model import Comparison
from edgebed.report.stats import Interval, mean_interval
from emulation.metrics.serving import BOUNDS, Serving

SERVING_COLUMNS = (
    ("ttft_p50_s", "TTFT p50", "s"), ("ttft_p95_s", "TTFT p95", "s"), ("tpot_p50_s", "TPOT p50", "ms"),
    ("tpot_p95_s", "TPOT p95", "ms"), ("itl_p99_s", "ITL p99", "ms"), ("e2e_p50_s", "E2E p50", "s"),
    ("e2e_p95_s", "E2E p95", "s"), ("queue_mean_s", "queue mean", "s"), ("queue_p95_s", "queue p95", "s"),
    ("ttft_client_p50_s", "client TTFT p50", "s"), ("slo_share", "SLO met", ""), ("slo_goodput", "under SLO", "req/s"),
)  # fmt: skip
"""(figure of `Serving`, heading, unit); a column that nothing was measured for is left out."""
_PLAIN = tuple(name for name in Serving.__dataclass_fields__ if name != "histograms")


def serving_columns(comparison: Comparison) -> list[tuple[str, str, str]]:
    """The columns for which anything was measured."""
    rows = [(m, s) for m in comparison.models for s in comparison.schemes]
    return [
        c
        for c in SERVING_COLUMNS
        if any(serving_interval(comparison, s, m, c[0]) is not None for m, s in rows)
    ]


def serving_headings(comparison: Comparison) -> list[str]:
    """Headings of these columns, with their units."""
    return [f"{label}, {unit}" if unit else label for _, label, unit in serving_columns(comparison)]


def serving_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """A row per model and scheme: `scheme`, `model` and a cell per column of `serving_columns`; means over seeds."""
    columns = serving_columns(comparison)
    decimals = {name: _decimals(comparison, name, unit) for name, _, unit in columns}
    return [
        {
            "scheme": scheme,
            "model": model,
            "cells": [
                _cell(serving_interval(comparison, scheme, model, name), decimals[name], unit)
                for name, _, unit in columns
            ],
        }
        for model in comparison.models
        for scheme in comparison.schemes
    ]


def serving_interval(comparison: Comparison, scheme: str, model: str, name: str) -> Interval | None:
    """Mean and 95% interval over seeds of a figure of `Serving`; None for a model it never saw."""
    found = (s.serving.per_model.get(model) for s in comparison.summaries(scheme) if s.serving is not None)
    return mean_interval([getattr(f, name) for f in found if f is not None])


def serving_json(comparison: Comparison, scheme: str) -> dict[str, Any] | None:
    """Every figure of `Serving` per model and for `all`, means over seeds, with histograms summed over seeds."""
    runs = [s.serving for s in comparison.summaries(scheme) if s.serving is not None]
    if not runs:
        return None
    return {
        "bounds": {name: list(bounds) for name, bounds in BOUNDS.items()},
        "all": _json([r.all for r in runs]),
        "per_model": {
            m: _json([r.per_model[m] for r in runs if m in r.per_model])
            for m in comparison.models
        },
    }  # fmt: skip


def _json(runs: list[Serving]) -> dict[str, Any]:
    means = {name: mean_interval([getattr(r, name) for r in runs]) for name in _PLAIN}
    return {
        **{name: None if i is None else i.mean for name, i in means.items()},
        "histograms": {
            name: [sum(column) for column in zip(*own, strict=True)]
            for name in BOUNDS
            if (own := [r.histograms[name] for r in runs if name in r.histograms])
        },
    }


def _scale(unit: str) -> float:
    return 1000.0 if unit == "ms" else 1.0


def _decimals(comparison: Comparison, name: str, unit: str) -> int:
    places = [(s, m) for m in comparison.models for s in comparison.schemes]
    means = [i.mean for s, m in places if (i := serving_interval(comparison, s, m, name)) is not None]
    return decimals_for([_scale(unit) * mean for mean in means], 3 if name == "slo_share" else None)


def _cell(found: Interval | None, decimals: int, unit: str) -> TableCell:
    text, half = with_interval(found, decimals, _scale(unit), share=unit == "")
    return TableCell(text, half if unit == "" else "")
