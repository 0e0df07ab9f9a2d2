"""Figures 5 and 6 of the second paper from our runs; the paper's stated points beside them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgebed.report import Comparison
from edgebed.report.palette import scheme_looks
from edgebed.report.theme import INK, MUTED, PAGE, Drawing, ink, legend, line_style, quiet_x, series_handle
from edgebed.reproduce.ma.settings import COMPARED, DEPLOY_FIRST, REFERENCE, STARVED, TESTBEDS

LOOKS = scheme_looks(COMPARED)
PAPER_POINTS = {"RF": (406.0, 0.62), "MA": (74.0, 0.90)}
"""Mean latency in seconds and Jain index, as the paper's text has them."""

HOW: Mapping[str, dict[str, Any]] = {
    "given plan": {},
    "the same, deploy first": {"fillstyle": "left", "markerfacecoloralt": PAGE},
    "own plan": {"markerfacecolor": PAGE},
}
"""How points of one scheme are filled, by the scenario's plan and order within a slot."""

Comparisons = Mapping[str, Comparison]


def figure_5(comparisons: Comparisons) -> Drawing:
    """Latency against normalised fairness, a panel per testbed."""
    given = [name for name in TESTBEDS if name in comparisons]
    said = "; ".join(f"{name}: {_points_text(comparisons[name])}" for name in given)
    return Drawing(
        "figure-5",
        "Figure 5: latency against fairness",
        f"Mean latency of the served in seconds against normalised fairness, a panel per testbed. {said}. Beside "
        "them the independent reference and the paper's stated points.",
        (4.9 * max(len(given), 1), 5.0),
        partial(_draw_figure_5, comparisons=comparisons, given=given),
    )


def _points_text(comparison: Comparison) -> str:
    found = {
        s: (comparison.interval(s, "mean_latency_s"), comparison.interval(s, "fairness_norm"))
        for s in comparison.schemes
    }
    return ", ".join(f"{s} {x.mean:.0f} s {y.mean:.2f}" for s, (x, y) in found.items() if x and y)


def _draw_figure_5(figure: Figure, comparisons: Comparisons, given: list[str]) -> None:
    for axes, name in zip(np.ravel(figure.subplots(1, max(len(given), 1))), given, strict=False):
        _plane(axes, comparisons, name)
    how = {
        **{label: {"marker": "o", "color": INK, **style} for label, style in HOW.items()},
        "independent reference": {"marker": "+", "color": INK},
        "paper (RF: raw Jain?)": {"marker": "*", "color": INK, "markersize": 11},
    }
    plans = [Line2D([], [], linestyle="", label=label, **style) for label, style in how.items()]
    legend(figure, [*(series_handle(look, s) for s, look in LOOKS.items()), *plans], below=True)


def _plane(axes: Axes, comparisons: Comparisons, name: str) -> None:
    for scheme, reference in REFERENCE[name].items():
        colour = ink(LOOKS[scheme].ink)
        axes.plot(reference.mean_s, reference.fairness_norm, "+", color=colour, markersize=8)
    fairness = [reference.fairness_norm for reference in REFERENCE[name].values()]
    scenarios = (name, DEPLOY_FIRST[name], TESTBEDS[name])
    for scenario, style in zip(scenarios, HOW.values(), strict=True):
        if scenario in comparisons:
            of = comparisons[scenario]
            fairness += [_point(axes, of, scheme, style) for scheme in of.schemes]
    for scheme, (mean_s, jain) in PAPER_POINTS.items():
        colour = ink(LOOKS[scheme].ink)
        axes.plot(mean_s, jain, "*", color=colour, markersize=13, markeredgecolor=INK)
        axes.annotate(
            f"paper {scheme}",
            (mean_s, jain),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set(
        xlabel="mean latency Tw of the served, s",
        ylabel="F_norm, 0 to 1",
        title=f"{name}: ± 95% over seeds",
    )
    axes.set_xlim(left=0)
    axes.set_ylim(min(0.5, min(fairness) - 0.05), 1.01)


def _point(axes: Axes, comparison: Comparison, scheme: str, how: dict[str, Any]) -> float:
    """The fairness of a scheme whose point is drawn; 1 if it was not measured."""
    x, y = (comparison.interval(scheme, n) for n in ("mean_latency_s", "fairness_norm"))
    if x is None or y is None:
        return 1.0
    colour = ink(LOOKS[scheme].ink)
    style = line_style(LOOKS[scheme]) | {"linestyle": "", "markersize": 7, "elinewidth": 1}
    style |= how | ({"markeredgecolor": colour} if how else {})
    axes.errorbar(x.mean, y.mean, xerr=x.half, yerr=y.half, **style)
    return y.mean


def figure_6(comparisons: Comparisons) -> Drawing:
    """Latency (left) and success (right) of each model, a row per testbed, given plans."""
    given = [name for name in TESTBEDS if name in comparisons]
    return Drawing(
        "figure-6",
        "Figure 6: latency and success of each model",
        f"Mean latency of the served in seconds (left) and success ratio (right) of each model, a row per testbed "
        f"({', '.join(given)}), one marker per scheme ({', '.join(LOOKS)}). Its table has every value.",
        (10.6, 0.7 + 3.0 * max(len(given), 1)),
        partial(_draw_figure_6, comparisons=comparisons, given=given),
    )


def _draw_figure_6(figure: Figure, comparisons: Comparisons, given: list[str]) -> None:
    grid = figure.subplots(max(len(given), 1), 2, squeeze=False)
    for (left, right), name in zip(grid, given, strict=False):
        _points(left, comparisons[name], "mean_latency_s")
        _points(right, comparisons[name], "success_ratio")
        left.set(ylabel="mean latency of the served, s", title=f"{name}: latency")
        right.set(ylabel="success ratio", title=f"{name}: success (dashed: 0.4)", ylim=(0, 1.08))
        left.set_ylim(bottom=0)
        right.axhline(0.4, color=MUTED, linewidth=0.8, linestyle="--")
    legend(figure, [series_handle(look, s) for s, look in LOOKS.items()])


def _points(axes: Axes, comparison: Comparison, name: str) -> None:
    names = [f"{m} (LM4)" if m == STARVED else m for m in comparison.models] + ["all"]
    schemes = list(comparison.schemes)
    width = 0.8 / len(schemes)
    for i, scheme in enumerate(schemes):
        by_model = [comparison.model_interval(scheme, model, name) for model in comparison.models]
        style = line_style(LOOKS[scheme]) | {"linestyle": "", "markersize": 5.5, "elinewidth": 0.9}
        for k, interval in enumerate([*by_model, comparison.interval(scheme, name)]):
            if interval is not None:
                at = k + (i - (len(schemes) - 1) / 2) * width
                axes.errorbar(at, interval.mean, yerr=interval.half, **style)
    for k in range(1, len(names)):
        axes.axvline(k - 0.5, color=ink("grid"), linewidth=0.7)
    axes.set_xticks(range(len(names)), names)
    quiet_x(axes)
