"""Figures 3 and 4 of the E3 paper beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from edgebed.report.palette import Fill, scheme_looks, series_looks
from edgebed.report.theme import (
    BAND,
    MUTED,
    Drawing,
    area_handle,
    area_style,
    legend,
    line_style,
    series_handle,
)
from edgebed.reproduce.e3.results import ORACLE, GapResults
from edgebed.reproduce.e3.settings import TITLES, WARMUP_TASKS, paper_gap
from emulation.domain.scenario import PeriodicSource
from emulation.files import load_scenario

WINDOW = 20
"""Tasks of a moving mean."""
LOOKS = scheme_looks(("fixed-heuristic", "round-robin", "e3", "oracle"))
BUDGETS = {0: "e3-warmup-0", **{n: s for s, n in WARMUP_TASKS.items()}}
"""Tasks of a forced warm-up to the setting in which it is."""
FILLS = {
    "paper": Fill("page", "////"),
    "ours, truth = profile": Fill("tone-2"),
    "ours, random pools": Fill("tone-4"),
}
DYNAMIC = ("e3-semantic-a", "e3-churn", "e3-drift")


def figure_3(results: GapResults) -> Drawing:
    """Warm-up: the gap against the budget (paper and ours), and how ours falls with the task index on random pools."""
    stated = ", ".join(
        f"{n} tasks: paper {_percent(100 * paper_gap(s))}, truth = profile {_percent(_gap(results, s))}, "
        f"random pools {_percent(_gap(results, f'pool4-warmup-{n}'))}"
        for n, s in BUDGETS.items()
    )
    return Drawing(
        "figure-3",
        "Figure 3: warm-up",
        f"Left: gap of E3 to the Oracle against the warm-up budget. {stated}. Right: our gap on random pools by task "
        f"index, as a mean of {WINDOW} tasks, one line per budget.",
        (9.4, 3.7),
        partial(_draw_figure_3, results=results),
    )


def _percent(value: float) -> str:
    return "not run" if np.isnan(value) else f"{value:+.0f}%"


def _draw_figure_3(figure: Figure, results: GapResults) -> None:
    left, right = figure.subplots(1, 2)
    _bars(left, results)
    looks = series_looks([f"warm-up {n}" for n in BUDGETS])
    for n, (label, look) in zip(BUDGETS, looks.items(), strict=True):
        lines = _ratio_by_index(results, f"pool4-warmup-{n}")
        if lines is not None:
            right.plot(100 * (lines - 1), label=label, **line_style(look), markevery=max(1, len(lines) // 7))
    right.axhline(0, color=MUTED, linewidth=0.8)
    right.set(
        xlabel="task index", ylabel=f"gap to Oracle, % (mean of {WINDOW} tasks)", title="ours, random pools"
    )
    if right.lines[1:]:
        right.legend()


def _bars(axes: Axes, results: GapResults) -> None:
    groups: dict[str, list[float]] = {
        "paper": [100 * paper_gap(s) for s in BUDGETS.values()],
        "ours, truth = profile": [_gap(results, s) for s in BUDGETS.values()],
        "ours, random pools": [_gap(results, f"pool4-warmup-{n}") for n in BUDGETS],
    }
    for i, (label, values) in enumerate(groups.items()):
        at = np.arange(len(values)) + (i - 1) * 0.27
        bars = axes.bar(at, values, 0.25, **area_style(FILLS[label]))
        axes.bar_label(
            bars, [_percent(v) if abs(v) >= 10 or np.isnan(v) else f"{v:+.1f}%" for v in values], fontsize=7
        )
    axes.set_xticks(range(len(BUDGETS)), [f"warm-up of\n{n} tasks" for n in BUDGETS])
    axes.set(ylabel="gap to Oracle over all tasks, %", title="gap against the warm-up budget")
    axes.legend(handles=[area_handle(FILLS[label], label) for label in groups])


def _gap(results: GapResults, setting: str) -> float:
    gap = results.gap(setting, "e3")
    return float("nan") if gap is None else 100 * gap.mean.mean


def _ratio_by_index(results: GapResults, setting: str) -> NDArray[np.float64] | None:
    """Mean over pools of moving-mean latency over the Oracle's mean, task by task."""
    ours, best = results.runs(setting, "e3"), results.runs(setting, ORACLE)
    pairs = [
        _moving(run.latencies_s) / np.maximum(_moving(best[seed].latencies_s), 1e-9)
        for seed, run in ours.items()
        if seed in best
    ]
    shape: NDArray[np.float64] | None = np.mean(pairs, axis=0) if pairs else None
    return shape


def _moving(values: Sequence[float]) -> NDArray[np.float64]:
    """Mean over the last `WINDOW` tasks, fewer at the start."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - WINDOW, 0)
    mean: NDArray[np.float64] = (sums[end] - sums[begin]) / (end - begin)
    return mean


def figure_4(results: GapResults) -> Drawing:
    """Dynamic regimes over the task index, events shaded, and the stutter under semantic events."""
    said = "; ".join(_title(results, name) for name in DYNAMIC)
    return Drawing(
        "figure-4",
        "Figure 4: dynamic regimes",
        f"Latency in seconds by task index, a panel per regime, one line per scheme ({', '.join(LOOKS)}), events "
        f"shaded: {said}. Last panel: tasks that stuttered so far under semantic events.",
        (9.4, 6.2),
        partial(_draw_figure_4, results=results),
    )


def _draw_figure_4(figure: Figure, results: GapResults) -> None:
    axes = figure.subplots(2, 2).flatten()
    for name, panel in zip(DYNAMIC, axes, strict=False):
        for label in LOOKS:
            _mean_line(panel, label, [_moving(o.latencies_s) for o in results.runs(name, label).values()])
        _shade(panel, name)
        panel.set(
            title=_title(results, name),
            xlabel="task index",
            ylabel=f"latency, s (mean of {WINDOW} tasks)",
            yscale="log",
        )
        panel.yaxis.set_major_formatter(FuncFormatter(_seconds))
        panel.yaxis.set_minor_formatter(FuncFormatter(_seconds))
    for label in LOOKS:
        _mean_line(axes[3], label, [np.cumsum(o.stutters) for o in results.runs(DYNAMIC[0], label).values()])
    _shade(axes[3], DYNAMIC[0])
    axes[3].set(title="semantic a: stutters so far", xlabel="task index", ylabel="stutters, tasks")
    legend(figure, [series_handle(look, label) for label, look in LOOKS.items()])


def _seconds(value: float, _: object) -> str:
    """A label of a logarithmic axis: 1, 2 and 5 of every decade."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def _mean_line(axes: Axes, label: str, lines: Sequence[NDArray[np.float64] | NDArray[np.int_]]) -> None:
    if lines:
        mean = np.mean(lines, axis=0)
        axes.plot(mean, **line_style(LOOKS[label]), markevery=max(1, len(mean) // 7))


def _title(results: GapResults, name: str) -> str:
    """Name of the regime with the paper's gap and ours."""
    ours = results.gap(name, "e3")
    beside = "" if ours is None else f", ours {100 * ours.mean.mean:+.1f}%"
    return f"{TITLES[name]}: paper's gap {100 * paper_gap(name):+.1f}%{beside}"


def _shade(axes: Axes, name: str) -> None:
    scenario = load_scenario(name)
    source = scenario.workload[0]
    assert isinstance(source, PeriodicSource)
    for event in scenario.events:
        axes.axvspan(event.at_s / source.interval_s, event.until_s / source.interval_s, color=BAND, zorder=0)
