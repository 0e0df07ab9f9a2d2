"""What every executor did over time: one row per executor, one chart per scheme."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from edgebed.report.plots import EventBand, event_bands, shade
from edgebed.report.theme import GRID, INK, MODE_COLOURS, drawing, svg
from emulation.domain.records import ExecutorRecord
from emulation.metrics.view import node_of
from emulation.recording import Run

ROW_IN = 0.17
"""Height of one executor's row, inches."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """An executor in one state; `look` is gpu, cpu, starting or away."""

    executor: str
    start_s: float
    end_s: float
    look: str


def stretches(changes: Sequence[ExecutorRecord], end_s: float) -> list[Stretch]:
    """What each executor was from one change to the next, up to `end_s`; time off is left out."""
    by_executor: dict[str, list[ExecutorRecord]] = defaultdict(list)
    for change in changes:
        by_executor[change.executor].append(change)
    found = []
    for executor, own in by_executor.items():
        for look, group in groupby(zip(own, [*own[1:], None], strict=True), key=lambda pair: _look(pair[0])):
            pairs = list(group)
            last = pairs[-1][1]
            until_s = min(end_s if last is None else last.t_s, end_s)
            if look and until_s > pairs[0][0].t_s:
                found.append(Stretch(executor, pairs[0][0].t_s, until_s, look))
    return found


def _look(change: ExecutorRecord) -> str:
    if change.state == "away":
        return "away"
    if change.state in ("starting", "pending"):
        return "starting"
    return change.mode if change.state in ("ready", "draining") and change.mode in ("gpu", "cpu") else ""


def executor_modes(run: Run, name: str, legend: bool = True) -> str:
    """Modes of every executor of one run, grouped by node, events shaded; empty if none was recorded."""
    end_s = run.header.horizon_s
    found = stretches(run.executors, end_s)
    if not found:
        return ""
    rows = _rows({c.executor for c in run.executors}, run.header.models)
    with drawing(9.6, 1.0 + ROW_IN * len(rows)) as figure:
        axes = figure.subplots()
        bars: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for s in found:
            bars[s.executor, s.look].append((s.start_s, s.end_s - s.start_s))
        for (executor, look), spans in bars.items():
            axes.broken_barh(spans, (rows[executor] - 0.4, 0.8), facecolors=MODE_COLOURS[look], linewidth=0)
        axes.set_yticks(list(rows.values()), list(rows), fontsize=7.5)
        for row in _node_starts(list(rows)):
            axes.axhline(row - 0.5, color=GRID, linewidth=0.8)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, end_s)
        axes.grid(visible=False)
        axes.set_xlabel("virtual s")
        bands = event_bands(run.events, end_s)
        shade(axes, bands)
        for band in bands:
            _outline(axes, band, rows)
        if legend:
            handles = [Patch(color=c, label=look) for look, c in MODE_COLOURS.items()]
            figure.legend(handles=handles, loc="outside upper left", ncols=4, fontsize=8, handlelength=1.0)
        return svg(figure, name)


def _outline(axes: Axes, band: EventBand, rows: Mapping[str, int]) -> None:
    """A frame round the executors an event hits, for as long as it is in force."""
    hit = [row for executor, row in rows.items() if band.target in (executor, node_of(executor))]
    if hit:
        corner, height = (band.start_s, min(hit) - 0.5), max(hit) - min(hit) + 1
        axes.add_patch(
            Rectangle(corner, band.end_s - band.start_s, height, fill=False, edgecolor=INK, linewidth=1.1)
        )


def _rows(executors: set[str], models: Sequence[str]) -> dict[str, int]:
    def order(executor: str) -> tuple[str, int, str]:
        model = executor.partition("/")[2]
        return (node_of(executor), models.index(model) if model in models else -1, executor)

    return {executor: row for row, executor in enumerate(sorted(executors, key=order))}


def _node_starts(executors: Sequence[str]) -> list[int]:
    pairs = zip(executors, executors[1:], strict=False)
    return [i + 1 for i, (one, next_one) in enumerate(pairs) if node_of(one) != node_of(next_one)]
