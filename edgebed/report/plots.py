"""Plots of a comparison as inline SVG. Latency of the served never appears without the success ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from edgebed.report.model import Comparison
from edgebed.report.stats import Interval
from edgebed.report.theme import BAND, GRID, MUTED, OUTCOME_COLOURS, colours, drawing, quiet_x, svg
from emulation.domain.records import EventRecord
from emulation.domain.request import FATES
from emulation.domain.slots import slot_start_s
from emulation.metrics.series import latency_series
from emulation.metrics.shares import share_percent

BINS = 48
"""Points of a plot over time, at most; never finer than a slot."""

MANY = 4
"""Schemes up to which the range over seeds is drawn."""

PLACES = ((5, 0.05), (-22, -0.07), (28, 0.16), (-46, -0.18))
"""Where the name of a point may stand: points above it, and the same as a share of the height of the axes."""


@dataclass(frozen=True, slots=True)
class EventBand:
    """A stretch of time in which an event of the plan was in force."""

    label: str
    target: str
    start_s: float
    end_s: float


def event_bands(events: Sequence[EventRecord], end_s: float) -> list[EventBand]:
    """Onset to undo of every event that took effect; without an undo, to `end_s`."""
    undone = {e.event: e.t_s for e in events if e.phase == "undo"}
    return [
        EventBand(f"{e.type} {e.target}", e.target, e.t_s, min(undone.get(e.event, end_s), end_s))
        for e in events
        if e.phase == "onset" and e.t_s < end_s
    ]


def shade(axes: Axes, bands: Sequence[EventBand], labels: bool = True) -> None:
    """Shade the bands, and name each above the axes, a line higher where it would run into another."""
    left, right = axes.get_xlim()
    free_s = [left, left, left]
    for band in sorted(bands, key=lambda b: b.start_s):
        axes.axvspan(band.start_s, band.end_s, color=BAND, linewidth=0, zorder=0)
        axes.axvline(band.start_s, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
        if not labels:
            continue
        line = next((i for i, t in enumerate(free_s) if t <= band.start_s), 0)
        free_s[line] = band.start_s + (right - left) * 0.0105 * (len(band.label) + 2)
        axes.annotate(
            band.label,
            (band.start_s, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, 3 + 11 * line),
            textcoords="offset points",
            fontsize=7.5,
            color=MUTED,
            annotation_clip=False,
        )


def latency_over_time(comparison: Comparison) -> str:
    """Mean latency (top) and success ratio (below) by intended send time, one line per scheme, events shaded.

    The line is the mean over seeds, the band around it (for few schemes) the lowest and highest seed.
    """
    header = comparison.results[0].run.header
    slots = ceil(header.slots / BINS)
    middle_s = slot_start_s(slots, header.slot_s) / 2
    palette = colours(comparison.schemes)
    with drawing(9.6, 4.8) as figure:
        top, low = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        for name, results in comparison.schemes.items():
            series = [latency_series(r.run, slots) for r in results]
            t_s = [b.t_s + middle_s for b in series[0]]
            banded = len(series) > 1 and len(comparison.schemes) <= MANY
            tops = [[b.mean_latency_s for b in s] for s in series]
            _line(top, t_s, tops, palette[name], comparison.label(name), banded)
            _line(low, t_s, [[b.success_ratio for b in s] for s in series], palette[name], "", banded)
        low.set_ylim(-0.03, 1.05)
        top.set_ylim(bottom=0)
        top.set_xlim(0, header.horizon_s)
        bands = event_bands(comparison.results[0].run.events, header.horizon_s)
        shade(top, bands)
        shade(low, bands, labels=False)
        top.set_ylabel("mean latency of the served, s")
        low.set_ylabel("success ratio")
        low.set_xlabel("intended send time, virtual s")
        for axes in (top, low):
            quiet_x(axes)
        figure.legend(
            *top.get_legend_handles_labels(), loc="outside upper left", ncols=min(6, len(comparison.schemes))
        )
        return svg(figure, "latency-over-time")


def _line(
    axes: Axes, t_s: list[float], values: list[list[float | None]], colour: str, label: str, banded: bool
) -> None:
    table = np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)
    seen = ~np.isnan(table)
    known = seen.any(axis=0)
    mean, low, high = (np.full(table.shape[1], np.nan) for _ in range(3))
    if known.any():
        part = table[:, known]
        mean[known], low[known], high[known] = np.nanmean(part, 0), np.nanmin(part, 0), np.nanmax(part, 0)
    axes.plot(t_s, mean, color=colour, label=label, marker="o", markersize=2.2)
    if banded:
        axes.fill_between(t_s, low, high, color=colour, alpha=0.15, linewidth=0)


def latency_against_fairness(comparison: Comparison) -> str:
    """Each scheme as a point with its 95% intervals; its name carries the success ratio. May be empty."""
    palette = colours(comparison.schemes)
    points = {
        name: (comparison.interval(name, "mean_latency_s"), comparison.interval(name, "fairness_norm"))
        for name in comparison.schemes
    }
    drawn = {name: (x, y) for name, (x, y) in points.items() if x is not None and y is not None}
    if not drawn:
        return ""
    with drawing(4.7, 3.7) as figure:
        axes = figure.subplots()
        for name, (x, y) in drawn.items():
            look: dict[str, Any] = {
                "fmt": "o",
                "ms": 7,
                "color": palette[name],
                "elinewidth": 1.2,
                "capsize": 3,
            }
            axes.errorbar(x.mean, y.mean, xerr=x.half, yerr=y.half, **look)
        axes.margins(x=0.22, y=0.25)
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
        _name_points(axes, comparison, {n: (x.mean, y.mean) for n, (x, y) in drawn.items()}, palette)
        axes.set_xlabel("mean latency of the served, s")
        axes.set_ylabel("normalised Jain index")
        return svg(figure, "latency-against-fairness")


def _name_points(
    axes: Axes, comparison: Comparison, points: dict[str, tuple[float, float]], palette: dict[str, str]
) -> None:
    """Name each point, its success ratio below; above right, or where that is taken, further up or down."""
    x_span, y_span = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
    taken: list[tuple[float, float]] = []
    for name, (x, y) in sorted(points.items(), key=lambda p: p[1]):
        success = comparison.interval(name, "success_ratio")
        served = "" if success is None else f"\n{share_percent(success.mean)} served"
        free = [
            (offset, rise)
            for offset, rise in PLACES
            if not any(abs(x / x_span - a) < 0.3 and abs(y / y_span + rise - b) < 0.1 for a, b in taken)
        ]
        offset, rise = (free or PLACES)[0]
        taken.append((x / x_span, y / y_span + rise))
        axes.annotate(
            f"{comparison.label(name)}{served}",
            (x, y),
            xytext=(7, offset),
            textcoords="offset points",
            fontsize=8,
            color=palette[name],
        )


def per_model(comparison: Comparison) -> str:
    """Mean latency and success ratio of every model, schemes side by side, 95% intervals over seeds."""
    models, schemes = comparison.models, list(comparison.schemes)
    palette, width = colours(schemes), 0.8 / len(schemes)
    with drawing(9.6, 3.1) as figure:
        panels = figure.subplots(1, 2)
        for axes, name, title in (
            (panels[0], "mean_latency_s", "Mean latency of the served, s"),
            (panels[1], "success_ratio", "Success ratio"),
        ):
            for i, scheme in enumerate(schemes):
                found = [comparison.model_interval(scheme, m, name) for m in models]
                at = [k + (i - (len(schemes) - 1) / 2) * width for k in range(len(models))]
                _bars(axes, at, found, width * 0.9, palette[scheme], comparison.label(scheme))
            axes.set_title(title)
            axes.set_xticks(range(len(models)), models)
            quiet_x(axes)
        panels[1].set_ylim(0, 1.05)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(schemes))
        return svg(figure, "per-model")


def _bars(
    axes: Axes, at: list[float], found: Sequence[Interval | None], width: float, colour: str, label: str
) -> None:
    heights = [0.0 if i is None else i.mean for i in found]
    axes.bar(at, heights, width, color=colour, label=label)
    for x, interval in zip(at, found, strict=True):
        if interval is None:
            axes.annotate("–", (x, 0), ha="center", va="bottom", fontsize=8, color=MUTED)
        elif interval.half is not None:
            axes.errorbar(x, interval.mean, yerr=interval.half, color=MUTED, elinewidth=1.0, capsize=2)


def ends_by_outcome(comparison: Comparison) -> str:
    """Share of the counted requests by how they ended, one bar per scheme."""
    schemes = list(comparison.schemes)
    with drawing(4.7, 0.9 + 0.42 * len(schemes)) as figure:
        axes = figure.subplots()
        left = np.zeros(len(schemes))
        arrived = np.array([max(1, sum(s.arrived for s in comparison.summaries(n))) for n in schemes])
        for outcome in FATES:
            counts = np.array([sum(s.ends.get(outcome, 0) for s in comparison.summaries(n)) for n in schemes])
            if counts.any():
                share = counts / arrived
                axes.barh(
                    range(len(schemes)), share, 0.62, left=left, color=OUTCOME_COLOURS[outcome], label=outcome
                )
                left = left + share
        axes.set_yticks(range(len(schemes)), [comparison.label(n) for n in schemes])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the requests that arrived")
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=8, handlelength=1.0)
        return svg(figure, "ends-by-outcome")
