"""Figure 7 and the adaptation."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebed.report.palette import series_looks
from edgebed.report.theme import (
    BAND,
    MUTED,
    Drawing,
    legend,
    line_style,
    series_handle,
)
from edgebed.reproduce.ma.epochs import NEAR, WINDOW, moving
from edgebed.reproduce.ma.figures import LOOKS
from edgebed.reproduce.ma.recovery import rolling
from edgebed.reproduce.ma.results import AdaptationResults, EpochResults
from edgebed.reproduce.ma.settings import ADAPTING, MEMORY, NO_MEMORY, PHASES, POOR, REFERENCE_RUN, TRUE

KEYS = ((POOR, MEMORY), (POOR, NO_MEMORY), (TRUE, MEMORY), (TRUE, NO_MEMORY))
LINES = dict(zip(KEYS, series_looks([f"{start}, {memory}" for start, memory in KEYS]).values(), strict=True))
SMOOTH = 5
"""Slots of a mean in the pictures of the adaptation."""


def figure_7(results: EpochResults) -> Drawing:
    """J per epoch, and its mean over three epochs against the truth's."""
    said = "; ".join(
        f"{start}, {memory}: J {means[0].mean:.3f} in the first epoch, {means[-1].mean:.3f} in the last"
        for start, memory in results.keys
        if (means := results.by_epoch((start, memory)))
    )
    return Drawing(
        "figure-7",
        "Figure 7: the objective over epochs",
        f"Left: objective J by epoch with 95% intervals over seeds. {said}. Right: by how many percent means over "
        f"{WINDOW} epochs lie above plans searched with the truth.",
        (10.2, 4.2),
        partial(_draw_figure_7, results=results),
    )


def _draw_figure_7(figure: Figure, results: EpochResults) -> None:
    left, right = figure.subplots(1, 2)
    for key in results.keys:
        means, style = results.by_epoch(key), line_style(LINES[key])
        at = np.arange(1, len(means) + 1)
        left.plot(at, [i.mean for i in means], **style, markevery=max(1, len(means) // 8))
        if all(i.half is not None for i in means):
            low, high = zip(*((i.low, i.high) for i in means), strict=True)
            left.fill_between(at, low, high, color=style["color"], alpha=0.13, linewidth=0)
        if key != REFERENCE_RUN:
            _against(right, results, key)
    right.axhline(0, color=MUTED, linewidth=0.8)
    right.axhline(100 * NEAR, color=MUTED, linewidth=0.8, linestyle=":")
    left.set(
        xlabel="epoch of 50 slots", ylabel="J by arrivals of the epoch", title="objective, ± 95% over seeds"
    )
    right.set(
        xlabel="epoch from which the mean is taken",
        ylabel="J above plans searched with the truth, %",
        title=f"means over {WINDOW} epochs and all seeds; dotted: {NEAR:.0%}",
    )
    if left.lines:
        top = max(float(np.max(np.asarray(line.get_ydata(), dtype=float))) for line in left.lines)
        left.set_ylim(0, 1.25 * top)
    names = {
        key: f"{key[0]}, {key[1]}" + (" (reference)" if key == REFERENCE_RUN else "") for key in results.keys
    }
    legend(figure, [series_handle(LINES[key], label) for key, label in names.items()])


def _against(axes: Axes, results: EpochResults, key: tuple[str, str]) -> None:
    ours, truth = results.objectives(key), results.objectives(REFERENCE_RUN)
    seeds = sorted(ours.keys() & truth.keys())
    if seeds:
        a, b = (np.mean([side[s] for s in seeds], axis=0) for side in (ours, truth))
        ratio = 100 * (moving(a) / moving(b) - 1)
        every = max(1, len(ratio) // 8)
        axes.plot(np.arange(1, len(ratio) + 1), ratio, **line_style(LINES[key]), markevery=every)


def figure_adaptation(results: AdaptationResults) -> Drawing:
    """Latency (left, the lost counted with the deadline) and success (right) by slot of arrival, changes shaded."""
    names = [name for name in PHASES if results.labels(name)]
    said = "; ".join(f"{n}: {', '.join(p.name for p in PHASES[n])}" for n in names)
    return Drawing(
        "adaptation",
        "Adaptation: back within 10% of the new steady state",
        "Latency in seconds (left, a lost request counted with the deadline) and success ratio (right) by slot of "
        f"arrival, one line per scheme ({', '.join(ADAPTING)}), changes shaded. {said}. Its table has the figures.",
        (10.6, 0.6 + 3.3 * len(names)),
        partial(_draw_adaptation, results=results, names=names),
    )


def _draw_adaptation(figure: Figure, results: AdaptationResults, names: list[str]) -> None:
    grid = figure.subplots(len(names), 2, squeeze=False)
    for (left, right), name in zip(grid, names, strict=False):
        for i, label in enumerate(results.labels(name)):
            _series(left, right, results, name, label, i)
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
    run = [label for label in LOOKS if any(label in results.labels(name) for name in names)]
    legend(figure, [series_handle(LOOKS[label], label) for label in run])


def _series(left: Axes, right: Axes, results: AdaptationResults, name: str, label: str, place: int) -> None:
    runs = list(results.runs(name, label).values())
    asked = np.sum([r.arrived.sum(axis=1) for r in runs], axis=0)
    done = np.sum([r.done.sum(axis=1) for r in runs], axis=0)
    cost_s = np.sum([r.cost_s for r in runs], axis=0)
    middle = np.arange(len(asked) - SMOOTH + 1) + SMOOTH / 2
    every = max(1, len(middle) // 8)
    style = line_style(LOOKS[label]) | {"markevery": (place * every // 5, every), "linewidth": 1.2}
    left.plot(middle, rolling(cost_s, asked, SMOOTH), **style)
    right.plot(middle, rolling(done, asked, SMOOTH), **style)


def _changes(axes: Axes, name: str, height: float) -> None:
    for phase in PHASES[name]:
        axes.axvline(phase.start, color=MUTED, linewidth=0.8, linestyle=":")
        if phase.away or phase.name == "text to image":
            axes.axvspan(phase.start, phase.end, color=BAND, linewidth=0, zorder=0)
            axes.annotate(
                phase.name.replace(" to ", " → ") if not phase.away else phase.name.split(" at ")[0].split(" in ")[0],
                (phase.start, height), xycoords=("data", "axes fraction"), xytext=(2, 0), textcoords="offset points",
                fontsize=8, va="top" if height > 0.5 else "bottom",
            )  # fmt: skip
