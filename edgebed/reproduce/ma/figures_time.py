"""Figure 7 and the adaptation, as PNG."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from edgebed.report.theme import plain_drawing, png
from edgebed.reproduce.ma.epochs import NEAR, WINDOW, moving
from edgebed.reproduce.ma.figures import COLOURS
from edgebed.reproduce.ma.recovery import rolling
from edgebed.reproduce.ma.results import AdaptationResults, EpochResults
from edgebed.reproduce.ma.settings import MEMORY, NO_MEMORY, PHASES, POOR, REFERENCE_RUN, TRUE

LINES = {
    (POOR, MEMORY): ("#3b7dd8", "-"),
    (POOR, NO_MEMORY): ("#e07b39", "-"),
    (TRUE, MEMORY): ("#2a9d74", "--"),
    (TRUE, NO_MEMORY): ("#555555", "--"),
}
SMOOTH = 5
"""Slots of a mean in the pictures of the adaptation."""


def figure_7(results: EpochResults) -> bytes:
    """J per epoch, and its mean over three epochs against the truth's."""
    with plain_drawing(12, 4.4) as figure:
        left, right = figure.subplots(1, 2)
        for key in results.keys:
            colour, style = LINES[key]
            means = results.by_epoch(key)
            at = np.arange(1, len(means) + 1)
            label = f"{key[0]}, {key[1]}" + (" (reference)" if key == REFERENCE_RUN else "")
            left.plot(at, [i.mean for i in means], style, color=colour, label=label, linewidth=1.6)
            if all(i.half is not None for i in means):
                low, high = zip(*((i.low, i.high) for i in means), strict=True)
                left.fill_between(at, low, high, color=colour, alpha=0.13, linewidth=0)
            if key != REFERENCE_RUN:
                _against(right, results, key)
        right.axhline(0, color="#999999", linewidth=0.8)
        right.axhline(100 * NEAR, color="#999999", linewidth=0.8, linestyle=":")
        left.set(
            xlabel="epoch of 50 slots",
            ylabel="J by arrivals of the epoch",
            title="objective, ± 95% over seeds",
        )
        right.set(
            xlabel="epoch from which the mean is taken",
            ylabel="J above plans searched with the truth, %",
            title=f"means over {WINDOW} epochs and all seeds; dotted: {NEAR:.0%}",
        )
        if left.lines:
            top = max(float(np.max(np.asarray(line.get_ydata(), dtype=float))) for line in left.lines)
            left.set_ylim(0, 1.5 * top)
            left.legend(fontsize=8)
        return png(figure)


def _against(axes: Axes, results: EpochResults, key: tuple[str, str]) -> None:
    ours, truth = results.objectives(key), results.objectives(REFERENCE_RUN)
    seeds = sorted(ours.keys() & truth.keys())
    if seeds:
        a, b = (np.mean([side[s] for s in seeds], axis=0) for side in (ours, truth))
        colour, style = LINES[key]
        ratio = 100 * (moving(a) / moving(b) - 1)
        axes.plot(np.arange(1, len(ratio) + 1), ratio, style, color=colour, linewidth=1.6)


def figure_adaptation(results: AdaptationResults) -> bytes:
    """Latency (left, the lost counted with the deadline) and success (right) by slot of arrival, changes shaded."""
    names = [name for name in PHASES if results.labels(name)]
    with plain_drawing(13, 3.8 * len(names)) as figure:
        grid = figure.subplots(len(names), 2, squeeze=False)
        for (left, right), name in zip(grid, names, strict=False):
            for label in results.labels(name):
                _series(left, right, results, name, label)
            _changes(left, name, 0.99)
            _changes(right, name, 0.03)
            left.set(
                title=name,
                xlabel="slot of arrival",
                ylabel=f"latency, s (mean of {SMOOTH} slots)",
                ylim=(0, None),
            )
            right.set(
                title=f"{name}: success", xlabel="slot of arrival", ylabel="success ratio", ylim=(None, 1.01)
            )
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(COLOURS))
        return png(figure)


def _series(left: Axes, right: Axes, results: AdaptationResults, name: str, label: str) -> None:
    runs = list(results.runs(name, label).values())
    asked = np.sum([r.arrived.sum(axis=1) for r in runs], axis=0)
    done = np.sum([r.done.sum(axis=1) for r in runs], axis=0)
    cost_s = np.sum([r.cost_s for r in runs], axis=0)
    middle = np.arange(len(asked) - SMOOTH + 1) + SMOOTH / 2
    left.plot(middle, rolling(cost_s, asked, SMOOTH), color=COLOURS[label], label=label, linewidth=1.4)
    right.plot(middle, rolling(done, asked, SMOOTH), color=COLOURS[label], linewidth=1.4)


def _changes(axes: Axes, name: str, height: float) -> None:
    for phase in PHASES[name]:
        axes.axvline(phase.start, color="#999999", linewidth=0.8, linestyle=":")
        if phase.away or phase.name == "text to image":
            axes.axvspan(phase.start, phase.end, color="#eeeeee", linewidth=0, zorder=0)
            axes.annotate(
                phase.name.replace(" to ", " → ") if not phase.away else phase.name.split(" at ")[0].split(" in ")[0],
                (phase.start, height), xycoords=("data", "axes fraction"), xytext=(2, 0), textcoords="offset points",
                fontsize=8, va="top" if height > 0.5 else "bottom",
            )  # fmt: skip
