"""Figures 5 and 6 of the second paper from our runs, as PNG; the paper's stated points beside them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from edgebed.report import Comparison
from edgebed.report.theme import SCHEME_COLOURS, plain_drawing, png
from edgebed.reproduce.ma.settings import COMPARED, DEPLOY_FIRST, REFERENCE, STARVED, TESTBEDS

COLOURS = dict(zip(COMPARED, SCHEME_COLOURS, strict=True))
PAPER_POINTS = {"RF": (406.0, 0.62), "MA": (74.0, 0.90)}
"""Mean latency in seconds and Jain index, as the paper's text has them."""

Comparisons = Mapping[str, Comparison]


def figure_5(comparisons: Comparisons) -> bytes:
    """Latency against normalised fairness, a panel per testbed."""
    given = [name for name in TESTBEDS if name in comparisons]
    with plain_drawing(6.2 * max(len(given), 1), 5.2) as figure:
        for axes, name in zip(np.ravel(figure.subplots(1, max(len(given), 1))), given, strict=False):
            _plane(axes, comparisons, name)
        if given:
            shown = figure.axes[0].get_legend_handles_labels()
            figure.legend(*shown, loc="outside lower center", ncols=7, fontsize=8)
        return png(figure)


def _plane(axes: Axes, comparisons: Comparisons, name: str) -> None:
    for scheme, reference in REFERENCE[name].items():
        axes.plot(
            reference.mean_s, reference.fairness_norm, "x", color=COLOURS[scheme], markersize=6, alpha=0.7
        )
    fairness = [reference.fairness_norm for reference in REFERENCE[name].values()]
    for scenario, marker, how in (
        (name, "o", ""), (TESTBEDS[name], "D", ", own plan"), (DEPLOY_FIRST[name], "s", ", deploy first"),
    ):  # fmt: skip
        if scenario in comparisons:
            of = comparisons[scenario]
            fairness += [_point(axes, of, scheme, marker, f"{scheme}{how}") for scheme in of.schemes]
    for scheme, (mean_s, jain) in PAPER_POINTS.items():
        axes.plot(mean_s, jain, "*", color=COLOURS[scheme], markersize=13, markeredgecolor="black")
        axes.annotate(
            f"paper {scheme}",
            (mean_s, jain),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.plot([], [], "x", color="#555555", label="independent reference")
    axes.plot([], [], "*", color="#555555", label="paper (RF: raw Jain?)")
    axes.set(xlabel="mean latency Tw of the served, s", ylabel="F_norm", title=f"{name}: ± 95% over seeds")
    axes.set_xlim(left=0)
    axes.set_ylim(min(0.5, min(fairness) - 0.05), 1.01)


def _point(axes: Axes, comparison: Comparison, scheme: str, marker: str, label: str) -> float:
    """The fairness of a scheme whose point is drawn; 1 if it was not measured."""
    x, y = (comparison.interval(scheme, n) for n in ("mean_latency_s", "fairness_norm"))
    if x is None or y is None:
        return 1.0
    face = COLOURS[scheme] if marker == "o" else "white"
    axes.errorbar(
        x.mean, y.mean, xerr=x.half, yerr=y.half, fmt=marker, color=COLOURS[scheme], markerfacecolor=face,
        markersize=7, elinewidth=1, label=label,
    )  # fmt: skip
    return y.mean


def figure_6(comparisons: Comparisons) -> bytes:
    """Latency (left) and success (right) of each model, a row per testbed, given plans."""
    given = [name for name in TESTBEDS if name in comparisons]
    with plain_drawing(13, 3.6 * max(len(given), 1)) as figure:
        grid = figure.subplots(max(len(given), 1), 2, squeeze=False)
        for (left, right), name in zip(grid, given, strict=False):
            _bars(left, comparisons[name], "mean_latency_s")
            _bars(right, comparisons[name], "success_ratio")
            left.set(ylabel="mean latency of the served, s", title=f"{name}: latency")
            right.set(ylabel="success ratio", title=f"{name}: success", ylim=(0, 1.08))
            left.set_ylim(bottom=0)
            right.axhline(0.4, color="#999999", linewidth=0.8, linestyle="--")
        if given:
            figure.legend(
                *grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(COMPARED)
            )
        return png(figure)


def _bars(axes: Axes, comparison: Comparison, name: str) -> None:
    names = [f"{m} (LM4)" if m == STARVED else m for m in comparison.models] + ["all"]
    schemes = list(comparison.schemes)
    width = 0.8 / len(schemes)
    for i, scheme in enumerate(schemes):
        by_model = [comparison.model_interval(scheme, model, name) for model in comparison.models]
        intervals = [*by_model, comparison.interval(scheme, name)]
        at = np.arange(len(names)) + (i - (len(schemes) - 1) / 2) * width
        means = [np.nan if i is None else i.mean for i in intervals]
        halves = [0.0 if i is None or i.half is None else i.half for i in intervals]
        axes.bar(
            at, means, width, yerr=halves, color=COLOURS[scheme], label=scheme, error_kw={"elinewidth": 0.7}
        )
    axes.set_xticks(range(len(names)), names)
