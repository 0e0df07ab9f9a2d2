"""Pictures of when tokens come: distributions of first token, of the gaps after it, and of the queue."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgebed.report.columns import Columns, of_rows
from edgebed.report.model import Comparison
from edgebed.report.palette import scheme_looks
from edgebed.report.theme import Drawing, legend, line_style, series_handle
from emulation.metrics.pace import pace_of

STEPS = 160
"""Points of a distribution, at most."""
PANELS = (
    ("ttft_s", "time to first token, s", 1.0),
    ("tpot_s", "time per output token, ms", 1000.0),
    ("queue_s", "queue, s", 1.0),
)
"""(value of `Pace`, axis, scale)."""


def serving_distribution(comparison: Comparison) -> Drawing | None:
    """Share of the arrived requests of token models with at most so long a time; None if no first token is known."""
    if not any(len(_steps(comparison, name, "ttft_s")) for name in comparison.schemes):
        return None
    return Drawing(
        "serving-distribution",
        "First token, tokens after it, queue",
        "Share of the arrived requests of language models whose first token came, whose output tokens followed, and "
        "that had waited within so long, one line per scheme, all seeds together. Lines end where the rest was not "
        "served, or has a single token. Medians and percentiles are in the table of serving figures.",
        (8.6, 2.9),
        partial(_draw, comparison=comparison),
        partial(_data, comparison),
    )


def _data(comparison: Comparison) -> Columns:
    rows = [
        (scheme, name, *map(float, step))
        for name, _, _ in PANELS
        for scheme in comparison.schemes
        for step in _steps(comparison, scheme, name)
    ]
    return of_rows(("scheme", "figure", "value_s", "share_of_arrived"), rows)


def _draw(figure: Figure, comparison: Comparison) -> None:
    looks = scheme_looks(comparison.schemes)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (name, title, scale) in zip(panels, PANELS, strict=True):
        for i, scheme in enumerate(comparison.schemes):
            steps = _steps(comparison, scheme, name)
            every = max(1, len(steps) // 6)
            if len(steps):
                axes.plot(
                    steps[:, 0] * scale,
                    steps[:, 1],
                    **line_style(looks[scheme]),
                    markevery=(i % every, every),
                )
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel(title)
    panels[0].set_ylabel("share of arrived")
    legend(figure, [series_handle(looks[n], comparison.label(n)) for n in comparison.schemes])


def _steps(comparison: Comparison, scheme: str, name: str) -> NDArray[np.float64]:
    """(points, 2): seconds, and the share of what arrived for token models that had at most so many."""
    models = {model for _, model, _ in comparison.laws}
    counted = [
        r
        for result in comparison.schemes[scheme]
        for r in result.run.requests
        if r.counted and r.model in models
    ]
    paces = [pace_of(r, comparison.laws) for r in counted]
    values = np.sort([v for p in paces if p is not None and (v := getattr(p, name)) is not None])
    if not len(values):
        return np.empty((0, 2))
    at = np.unique(np.linspace(0, len(values) - 1, min(STEPS, len(values))).round().astype(int))
    return np.column_stack([values[at], (at + 1) / len(counted)])
