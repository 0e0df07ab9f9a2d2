"""The critical-difference picture of Demsar 2006: mean ranks on a line, bars over what Nemenyi cannot tell apart."""

from __future__ import annotations

from functools import partial
from math import ceil, floor

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from edgebed.matrix.metrics import METRICS
from edgebed.matrix.stability import Analysis
from edgebed.report.theme import INK, MUTED, POINTS_PER_LETTER, Drawing, lettering

_ROW = 1.0
_BARS = 0.55
"""Height of a name's row, and of a bar."""
_WIDTH_IN = 7.6
_GAP = 6
"""Points between what is drawn and what is said of it, at most."""
_ROUNDS = 12
"""Until the limits hold what is said: it takes more of the axis as that gets longer, less each time."""


def critical_difference_picture(found: Analysis, labels: dict[str, str]) -> Drawing | None:
    """Best on the left; None where nothing was tested. `labels`: names of schemes as tables show them."""
    if found.friedman is None:
        return None
    first, metric = found.overall, METRICS[found.metric]
    said = ", ".join(f"{labels[s]} {r:.2f}" for s, r in zip(first.schemes, first.mean_rank, strict=True))
    bars = "; ".join(" to ".join((labels[g[0]], labels[g[-1]])) for g in found.groups) or "none"
    rows = ceil(len(first.schemes) / 2)
    return Drawing(
        "critical-difference",
        f"Mean ranks by {metric.label} over {len(found.blocks)} cells",
        f"Mean rank of each scheme, 1 is best: {said}. Critical difference {found.friedman.critical_difference:.2f};"
        f" not told apart: {bars}.",
        (_WIDTH_IN, 1.1 + 0.24 * rows + 0.14 * len(found.groups)),
        partial(_draw, found=found, labels=labels),
    )


def _draw(figure: Figure, found: Analysis, labels: dict[str, str]) -> None:
    assert found.friedman is not None
    axes = figure.subplots()
    ranks = found.overall.mean_rank
    low, high = floor(min(ranks)), max(ceil(max(ranks)), floor(min(ranks)) + 1)
    _axis(axes, low, high)
    _critical(axes, low, found.friedman.critical_difference)
    top = 0.4
    for group in found.groups:
        inside = [r for s, r in zip(found.overall.schemes, ranks, strict=True) if s in group]
        reach = 0.012 * (high - low)
        axes.plot(
            [inside[0] - reach, inside[-1] + reach],
            [-top, -top],
            color=INK,
            linewidth=3.2,
            solid_capstyle="butt",
        )
        top += _BARS
    _names(axes, found, labels, low, high, top)
    axes.set_xlim(_limits(axes, low - 0.42 * (high - low), high + 0.42 * (high - low)))


def _limits(axes: Axes, left: float, right: float) -> tuple[float, float]:
    """At least these, and so far apart that they hold what is drawn and what is said beside it."""
    ends = [float(x) for line in axes.lines for x in np.asarray(line.get_xdata())]
    left, right = min(left, *ends), max(right, *ends)
    beside = [
        text
        for text in axes.texts
        if isinstance(text, Annotation) and text.get_horizontalalignment() != "center"
    ]
    for _ in range(_ROUNDS):
        each = (right - left) / (72 * _WIDTH_IN)
        for text in beside:
            long = each * (_GAP + POINTS_PER_LETTER * len(text.get_text()))
            if text.get_horizontalalignment() == "right":
                left = min(left, float(text.xy[0]) - long)
            else:
                right = max(right, float(text.xy[0]) + long)
    return left, right


def _axis(axes: Axes, low: int, high: int) -> None:
    axes.set_axis_off()
    axes.plot([low, high], [0, 0], color=MUTED, linewidth=1)
    for rank in range(low, high + 1):
        axes.plot([rank, rank], [0, 0.25], color=MUTED, linewidth=1)
        axes.annotate(str(rank), (rank, 0.3), ha="center", va="bottom", fontsize=8.5, color=MUTED)


def _critical(axes: Axes, low: int, width: float) -> None:
    """The critical difference as a length above the axis."""
    y = 1.9
    axes.plot([low, low + width], [y, y], color=INK, linewidth=1.2)
    for x in (low, low + width):
        axes.plot([x, x], [y - 0.18, y + 0.18], color=INK, linewidth=1.2)
    axes.annotate(f"critical difference {width:.2f}", (low + width, y), (_GAP, 0), textcoords="offset points",
                  va="center", fontsize=8.5)  # fmt: skip


def _names(axes: Axes, found: Analysis, labels: dict[str, str], low: int, high: int, top: float) -> None:
    """The better half on the left, the rest on the right, each with a line to its mean rank."""
    schemes, ranks = found.overall.schemes, found.overall.mean_rank
    half = ceil(len(schemes) / 2)
    for i, (scheme, rank) in enumerate(zip(schemes, ranks, strict=True)):
        left = i < half
        row = i if left else len(schemes) - 1 - i
        y = -(top + 0.2 + _ROW * row)
        x = low - 0.04 * (high - low) if left else high + 0.04 * (high - low)
        axes.plot([rank, rank, x], [0, y, y], color=MUTED, linewidth=0.8)
        parts = [lettering(labels[scheme], 30), f"{rank:.2f}"]
        text = "  ".join(parts if left else parts[::-1])
        axes.annotate(text, (x, y), (-4 if left else 4, 0), textcoords="offset points",
                      ha="right" if left else "left", va="center", fontsize=8.5)  # fmt: skip
    axes.set_ylim(-(top + 0.2 + _ROW * (half - 0.4)), 2.4)
