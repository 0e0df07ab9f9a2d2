"""Figures 3 and 4 of the E3 paper beside ours, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgebed.reproduce.e3.results import ORACLE, Results
from edgebed.reproduce.e3.settings import PAPER, TITLES, WARMUP_TASKS
from emulation.domain.scenario import PeriodicSource
from emulation.files import load_scenario

WINDOW = 20
"""Tasks of a moving mean."""
COLOURS = {"fixed-heuristic": "#8d8d8d", "round-robin": "#c9a227", "e3": "#3b7dd8", "oracle": "#2a9d74"}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": None})
    return out.getvalue()


def figure_3(results: Results) -> bytes:
    """Warm-up: the gap against the budget (paper and ours), and how ours falls with the task index on random pools."""
    budgets = {0: "e3-warmup-0", **{n: s for s, n in WARMUP_TASKS.items()}}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.8), layout="constrained")
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


def _bars(axes: Axes, results: Results, budgets: dict[int, str]) -> None:
    groups: list[tuple[str, str, list[float]]] = [
        ("paper", "#d1495b", [100 * PAPER[s].gap for s in budgets.values()]),
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


def _gap(results: Results, setting: str) -> float:
    found = results.gap(setting, "e3")
    return float("nan") if found is None else 100 * found.mean.mean


def _ratio_by_index(results: Results, setting: str) -> NDArray[np.float64] | None:
    """Mean over pools of moving-mean latency over the Oracle's mean, task by task."""
    ours, best = results.outcomes(setting, "e3"), results.outcomes(setting, ORACLE)
    pairs = [
        _moving(a.latencies_s) / np.maximum(_moving(b.latencies_s), 1e-9)
        for a, b in zip(ours, best, strict=False)
        if a.seed == b.seed
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


def figure_4(results: Results) -> bytes:
    """Dynamic regimes over the task index, events shaded, and the stutter under semantic events."""
    panels = ("e3-semantic-a", "e3-churn", "e3-drift")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.2), layout="constrained")
        axes = figure.subplots(2, 2).flatten()
        for name, panel in zip(panels, axes, strict=False):
            for label, colour in COLOURS.items():
                runs = [_moving(o.latencies_s) for o in results.outcomes(name, label)]
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
            stutters = [np.cumsum(o.stutters) for o in results.outcomes("e3-semantic-a", label)]
            if stutters:
                axes[3].plot(np.mean(stutters, axis=0), color=colour, label=label)
        _shade(axes[3], "e3-semantic-a")
        axes[3].set(title="semantic a: stutters so far", xlabel="task index", ylabel="tasks")
        if axes[3].lines:
            axes[3].legend()
        return png(figure)


def _title(results: Results, name: str) -> str:
    """Name of the regime with the paper's gap and ours."""
    ours = results.gap(name, "e3")
    found = "" if ours is None else f", ours {100 * ours.mean.mean:+.1f}%"
    return f"{TITLES[name]}: gap in the paper {100 * PAPER[name].gap:+.1f}%{found}"


def _shade(axes: Axes, name: str) -> None:
    scenario = load_scenario(name)
    source = scenario.workload[0]
    assert isinstance(source, PeriodicSource)
    for event in scenario.events:
        axes.axvspan(
            event.at_s / source.interval_s, event.until_s / source.interval_s, color="#eeeeee", zorder=0
        )
