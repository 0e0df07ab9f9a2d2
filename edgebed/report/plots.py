"""Pictures of what schemes came to, as a whole. Latency of the served never appears without the success ratio."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgebed.report.columns import Columns, of_rows
from edgebed.report.figures import number
from edgebed.report.model import Comparison
from edgebed.report.palette import OUTCOMES, Look, scheme_looks
from edgebed.report.stats import Interval
from edgebed.report.theme import (
    MUTED,
    Drawing,
    area_handle,
    area_style,
    ink,
    legend,
    lettering,
    line_style,
    quiet_x,
    series_handle,
)
from emulation.metrics.view import latency_s

STEPS = 160
"""Points of a distribution, at most."""
LINE_IN = 0.29
"""Distance of two names beside a plot, inches."""


def latency_against_fairness(comparison: Comparison) -> Drawing | None:
    """Each scheme as a point with its 95% intervals, named at the side; None if no point was measured."""
    points = {
        name: (comparison.interval(name, "mean_latency_s"), comparison.interval(name, "fairness_norm"))
        for name in comparison.schemes
    }
    drawn = {name: (x, y) for name, (x, y) in points.items() if x is not None and y is not None}
    if not drawn:
        return None
    said = [f"{comparison.label(n)} {x.mean:.1f} s, {y.mean:.2f}" for n, (x, y) in drawn.items()]
    return Drawing(
        "latency-against-fairness",
        "Latency against fairness",
        f"Mean latency of the served in seconds and normalised Jain index of each scheme: {'; '.join(said)}.",
        (5.6, max(3.4, 0.9 + LINE_IN * len(drawn))),
        partial(_draw_plane, comparison=comparison, points=drawn),
        partial(_plane_data, comparison, drawn),
    )


def _plane_data(comparison: Comparison, points: dict[str, tuple[Interval, Interval]]) -> Columns:
    names = (*_ends_of("mean_latency_s"), *_ends_of("fairness_norm"), *_ends_of("success_ratio"))
    rows = [
        (name, *_ends(x), *_ends(y), *_ends(comparison.interval(name, "success_ratio")))
        for name, (x, y) in points.items()
    ]
    return of_rows(("scheme", *names), rows)


def _ends_of(figure: str) -> tuple[str, str, str]:
    """The columns of a mean over seeds and its 95% interval."""
    return figure, f"{figure}_low", f"{figure}_high"


def _ends(found: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if found is None else (found.mean, found.low, found.high)


def _draw_plane(figure: Figure, comparison: Comparison, points: dict[str, tuple[Interval, Interval]]) -> None:
    axes, side = figure.subplots(1, 2, width_ratios=(1.7, 1.0))
    looks = scheme_looks(comparison.schemes)
    for name, (x, y) in points.items():
        _point(axes, (x.mean, y.mean), (x.half, y.half), looks[name])
    axes.margins(x=0.12, y=0.15)
    axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
    axes.set_ylim(top=min(1.015, axes.get_ylim()[1]))
    axes.set_xlabel("mean latency of the served, s")
    axes.set_ylabel("normalised Jain index, 0 to 1")
    _names(side, comparison, points, looks)


def _point(
    axes: Axes, at: tuple[float, float], halves: tuple[float | None, float | None], look: Look
) -> None:
    style = line_style(look) | {"linestyle": "", "markersize": 7, "elinewidth": 1.1, "capsize": 2.5}
    axes.errorbar(*at, xerr=halves[0], yerr=halves[1], **style)


def _names(
    side: Axes, comparison: Comparison, points: dict[str, tuple[Interval, Interval]], looks: dict[str, Look]
) -> None:
    """The names of the points in a column, from the top in the order in which they stand, with what was served."""
    side.set_axis_off()
    side.set_xlim(0, 1)
    height_in = max(3.4, 0.9 + LINE_IN * len(points)) - 0.7
    ordered = sorted(points, key=lambda n: (-points[n][1].mean, points[n][0].mean))
    for i, name in enumerate(ordered):
        y = 1 - (i + 0.5) * LINE_IN / height_in
        side.plot(0.03, y, **line_style(looks[name]) | {"linestyle": "", "markersize": 6}, clip_on=False)
        success = comparison.interval(name, "success_ratio")
        served = "" if success is None else f"\nsuccess {number(success.mean, 3, share=True)}"
        text = f"{lettering(comparison.label(name), 24)}{served}"
        side.annotate(text, (0.1, y), va="center", fontsize=7.5, linespacing=1.05)
    side.set_ylim(0, 1)


def per_model(comparison: Comparison) -> Drawing:
    """Mean latency and success ratio of every model, schemes side by side, 95% intervals over seeds."""
    return Drawing(
        "per-model",
        "By model",
        "Per model and scheme: mean latency of the served in seconds (left) and success ratio (right), with 95% "
        "intervals over seeds. The table below has every value.",
        (8.6, 3.3),
        partial(_draw_per_model, comparison=comparison),
        partial(_per_model_data, comparison),
    )


def _per_model_data(comparison: Comparison) -> Columns:
    figures = ("mean_latency_s", "success_ratio")
    rows = [
        (scheme, model, *(v for f in figures for v in _ends(comparison.model_interval(scheme, model, f))))
        for model in comparison.models
        for scheme in comparison.schemes
    ]
    return of_rows(("scheme", "model", *(c for f in figures for c in _ends_of(f))), rows)


def _draw_per_model(figure: Figure, comparison: Comparison) -> None:
    models, schemes = comparison.models, list(comparison.schemes)
    looks, width = scheme_looks(schemes), 0.8 / len(schemes)
    panels = figure.subplots(1, 2)
    for axes, name, title in (
        (panels[0], "mean_latency_s", "mean latency of the served, s"),
        (panels[1], "success_ratio", "success ratio"),
    ):
        for i, scheme in enumerate(schemes):
            found = [comparison.model_interval(scheme, m, name) for m in models]
            at = [k + (i - (len(schemes) - 1) / 2) * width for k in range(len(models))]
            points(axes, at, found, looks[scheme])
        for k in range(1, len(models)):
            axes.axvline(k - 0.5, color=ink("grid"), linewidth=0.7)
        axes.set_xlim(-0.5, len(models) - 0.5)
        axes.set_ylabel(title)
        axes.set_xticks(range(len(models)), ticks(models))
        quiet_x(axes)
    panels[0].set_ylim(bottom=0)
    panels[1].set_ylim(0, 1.05)
    legend(figure, [series_handle(looks[s], comparison.label(s)) for s in schemes])


def ticks(names: Sequence[str]) -> list[str]:
    """Names below an axis of half the width of a page, on alternate lines where they are many or long."""
    short = [lettering(name, max(12, 64 // len(names))) for name in names]
    crowded = sum(len(name) for name in short) > 44
    return [f"\n{name}" if crowded and i % 2 else name for i, name in enumerate(short)]


def points(axes: Axes, at: Sequence[float], found: Sequence[Interval | None], look: Look) -> None:
    """Means with their intervals; a dash where nothing was measured."""
    for x, interval in zip(at, found, strict=True):
        if interval is None:
            axes.annotate("–", (x, 0), ha="center", va="bottom", fontsize=8, color=MUTED)
        else:
            _point(axes, (x, interval.mean), (None, interval.half), look)


def latency_distribution(comparison: Comparison) -> Drawing:
    """Share of the requests that were served within so many seconds, all seeds together; all models, then each."""
    models = comparison.models if len(comparison.models) > 1 else ()
    across = min(3, 1 + len(models))
    down = -(-(1 + len(models)) // across)
    return Drawing(
        "latency-distribution",
        "Distribution of latency",
        "Share of the arrived requests that were served within so many seconds, one line per scheme, for all models "
        f"together{' and for each model' if models else ''}. A line ends at the success ratio. Medians and "
        "percentiles of all models are in the table of latencies.",
        (8.6, 0.7 + 2.25 * down),
        partial(_draw_distribution, comparison=comparison, models=models, shape=(down, across)),
        partial(_distribution_data, comparison, models),
    )


def _distribution_data(comparison: Comparison, models: Sequence[str]) -> Columns:
    rows = [
        (scheme, model or "", *map(float, step))
        for model in (None, *models)
        for scheme in comparison.schemes
        for step in _steps(comparison, scheme, model)
    ]
    return of_rows(("scheme", "model", "latency_s", "share_of_arrived"), rows)


def _draw_distribution(
    figure: Figure, comparison: Comparison, models: Sequence[str], shape: tuple[int, int]
) -> None:
    looks = scheme_looks(comparison.schemes)
    grid = np.ravel(figure.subplots(*shape, sharey=True, squeeze=False))
    for axes, model in zip(grid, (None, *models), strict=False):
        for i, name in enumerate(comparison.schemes):
            steps = _steps(comparison, name, model)
            every = max(1, len(steps) // 6)
            if len(steps):
                axes.plot(*steps.T, **line_style(looks[name]), markevery=(i % every, every))
        axes.set_title("all models" if model is None else lettering(model))
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("latency, s")
    for axes in grid[1 + len(models) :]:
        axes.set_axis_off()
    for axes in grid[:: shape[1]]:
        axes.set_ylabel("share of arrived")
    legend(figure, [series_handle(looks[n], comparison.label(n)) for n in comparison.schemes])


def _steps(comparison: Comparison, scheme: str, model: str | None) -> NDArray[np.float64]:
    """(points, 2): seconds, and the share of what arrived that was served within them. Empty if nothing was."""
    counted = [
        r
        for result in comparison.schemes[scheme]
        for r in result.run.requests
        if r.counted and model in (None, r.model)
    ]
    served = np.sort([v for r in counted if (v := latency_s(r)) is not None])
    if not len(served):
        return np.empty((0, 2))
    at = np.unique(np.linspace(0, len(served) - 1, min(STEPS, len(served))).round().astype(int))
    return np.column_stack([served[at], (at + 1) / len(counted)])


def ends_by_outcome(comparison: Comparison) -> Drawing:
    """Share of the counted requests by how they ended, one bar per scheme."""
    return Drawing(
        "ends-by-outcome",
        "How requests ended",
        "Share of the arrived requests by how they ended, one bar per scheme. The table beside it has the counts.",
        (5.6, 1.3 + 0.36 * len(comparison.schemes)),
        partial(_draw_ends, comparison=comparison),
        partial(_ends_data, comparison),
    )


def _ends_data(comparison: Comparison) -> Columns:
    rows: list[tuple[str, str, int, float]] = []
    for name in comparison.schemes:
        of = comparison.summaries(name)
        arrived = max(1, sum(s.arrived for s in of))
        counts = {o: sum(s.ends.get(o, 0) for s in of) for o in OUTCOMES}
        rows += [(name, outcome, count, count / arrived) for outcome, count in counts.items()]
    return of_rows(("scheme", "outcome", "requests", "share_of_arrived"), rows)


def _draw_ends(figure: Figure, comparison: Comparison) -> None:
    schemes = list(comparison.schemes)
    axes = figure.subplots()
    left = np.zeros(len(schemes))
    arrived = np.array([max(1, sum(s.arrived for s in comparison.summaries(n))) for n in schemes])
    seen: list[Any] = []
    for outcome, fill in OUTCOMES.items():
        counts = np.array([sum(s.ends.get(outcome, 0) for s in comparison.summaries(n)) for n in schemes])
        if counts.any():
            axes.barh(range(len(schemes)), counts / arrived, 0.66, left=left, **area_style(fill))
            left = left + counts / arrived
            seen.append(area_handle(fill, outcome))
    axes.set_yticks(range(len(schemes)), [lettering(comparison.label(n), 24) for n in schemes])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the requests that arrived")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    legend(figure, seen)
