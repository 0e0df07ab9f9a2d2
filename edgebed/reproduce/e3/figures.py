"""Figures 3 and 4 of the E3 paper beside ours, as PNG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from edgebed.report.theme import plain_drawing, png
from edgebed.reproduce.e3.results import ORACLE, GapResults
from edgebed.reproduce.e3.settings import TITLES, WARMUP_TASKS, paper_gap
from emulation.domain.scenario import PeriodicSource
from emulation.files import load_scenario

WINDOW = 20
"""Tasks of a moving mean."""
COLOURS = {"fixed-heuristic": "#8d8d8d", "round-robin": "#c9a227", "e3": "#3b7dd8", "oracle": "#2a9d74"}


def figure_3(results: GapResults) -> bytes:
    """Warm-up: the gap against the budget (paper and ours), and how ours falls with the task index on random pools."""
    budgets = {0: "e3-warmup-0", **{n: s for s, n in WARMUP_TASKS.items()}}
    with plain_drawing(10, 3.8) as figure:
        left, right = figure.subplots(1, 2)
        _bars(left, results, budgets)
        for n in budgets:
            lines = _ratio_by_index(results, f"pool4-warmup-{n}")
            if lines is not None:
                right.plot(100 * (lines - 1), label=f"warm-up {n}")
        right.axhline(0, color="#999999", linewidth=0.8)
        right.set(
            xlabel="task index",
            ylabel=f"gap to Oracle, % (mean of {WINDOW} tasks)",
            title="ours, random pools",
        )
        if right.lines[1:]:
            right.legend()
        return png(figure)


def _bars(axes: Axes, results: GapResults, budgets: dict[int, str]) -> None:
    groups: list[tuple[str, str, list[float]]] = [
        ("paper", "#d1495b", [100 * paper_gap(s) for s in budgets.values()]),
        ("ours, truth = profile", "#9bbfe8", [_gap(results, s) for s in budgets.values()]),
        ("ours, random pools", "#3b7dd8", [_gap(results, f"pool4-warmup-{n}") for n in budgets]),
    ]
    for i, (label, colour, values) in enumerate(groups):
        at = np.arange(len(values)) + (i - 1) * 0.27
        bars = axes.bar(at, values, 0.25, label=label, color=colour)
        axes.bar_label(bars, [f"{v:+.0f}" if abs(v) >= 10 else f"{v:+.1f}" for v in values], fontsize=7.5)
    axes.set_xticks(range(len(budgets)), [f"warm-up {n}" for n in budgets])
    axes.set(ylabel="gap to Oracle over all tasks, %", title="gap against the warm-up budget")
    axes.legend()


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


def figure_4(results: GapResults) -> bytes:
    """Dynamic regimes over the task index, events shaded, and the stutter under semantic events."""
    panels = ("e3-semantic-a", "e3-churn", "e3-drift")
    with plain_drawing(11, 6.2) as figure:
        axes = figure.subplots(2, 2).flatten()
        for name, panel in zip(panels, axes, strict=False):
            for label, colour in COLOURS.items():
                runs = [_moving(o.latencies_s) for o in results.runs(name, label).values()]
                if runs:
                    panel.plot(np.mean(runs, axis=0), color=colour, label=label, linewidth=1.6)
            _shade(panel, name)
            panel.set(
                title=_title(results, name),
                xlabel="task index",
                ylabel=f"latency, s (mean of {WINDOW})",
                yscale="log",
            )
        for label, colour in COLOURS.items():
            stutters = [np.cumsum(o.stutters) for o in results.runs("e3-semantic-a", label).values()]
            if stutters:
                axes[3].plot(np.mean(stutters, axis=0), color=colour, label=label)
        _shade(axes[3], "e3-semantic-a")
        axes[3].set(title="semantic a: stutters so far", xlabel="task index", ylabel="tasks")
        if axes[3].lines:
            axes[3].legend()
        return png(figure)


def _title(results: GapResults, name: str) -> str:
    """Name of the regime with the paper's gap and ours."""
    ours = results.gap(name, "e3")
    beside = "" if ours is None else f", ours {100 * ours.mean.mean:+.1f}%"
    return f"{TITLES[name]}: gap in the paper {100 * paper_gap(name):+.1f}%{beside}"


def _shade(axes: Axes, name: str) -> None:
    scenario = load_scenario(name)
    source = scenario.workload[0]
    assert isinstance(source, PeriodicSource)
    for event in scenario.events:
        axes.axvspan(
            event.at_s / source.interval_s, event.until_s / source.interval_s, color="#eeeeee", zorder=0
        )
