"""What every executor did over time, one chart per scheme: a row per executor, decisions and epochs marked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from edgebed.report.columns import Columns, of_rows
from edgebed.report.palette import MODES
from edgebed.report.plots_time import LINES, EventBand, bands_text, event_bands, name_bands, shade
from edgebed.report.theme import (
    GRID,
    INK,
    MUTED,
    Drawing,
    area_handle,
    area_style,
    ink,
    legend,
    lettering,
)
from emulation.domain.records import DecisionRecord, ExecutorRecord
from emulation.metrics.view import node_of
from emulation.recording import Run

ROW_IN = 0.17
"""Height of one executor's row, inches."""
EPOCHS = 40
"""Epochs whose begin is marked, at most."""
ACTORS = ("planner", "meta", "scheduler", "deployer")
"""Kinds of actors whose decisions are marked, one row each; of deployers only those that changed a mode."""


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


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision in the row of its kind of actor."""

    t_s: float
    kind: str
    refused: bool


def decision_marks(decisions: Sequence[DecisionRecord], end_s: float) -> list[Mark]:
    """Decisions above the router within the run, each once: those of deployers only where a mode changed."""
    found: dict[Mark, None] = {}
    for decision in decisions:
        kind = decision.actor.split(":", 1)[0]
        refused = decision.outcome != "applied" or bool(decision.violations)
        told = kind != "deployer" or decision.changes > 0 or refused
        if kind in ACTORS and told and decision.t_s < end_s:
            found[Mark(decision.t_s, kind, refused)] = None
    return list(found)


def executor_modes(run: Run, name: str, label: str) -> Drawing | None:
    """Modes of every executor of one run of a scheme called `label`; None if none was recorded."""
    end_s = run.header.horizon_s
    found = stretches(run.executors, end_s)
    if not found:
        return None
    rows = _rows({c.executor for c in run.executors}, run.header.models)
    marks, bands = decision_marks(run.decisions, end_s), event_bands(run.events, end_s)
    kinds = [k for k in ACTORS if any(m.kind == k for m in marks)]
    alt = (
        f"Modes of the {len(rows)} executors under {label}, seed {run.header.seed}, over {end_s:.0f} s, a row each; "
        f"above them the decisions of {', '.join(kinds) or 'no controller above the router'}, with "
        f"{sum(m.refused for m in marks)} refused.{bands_text(bands)}"
    )
    height_in = 1.2 + ROW_IN * (len(rows) + 1.4 * len(kinds)) + 0.14 * min(LINES, len(bands))
    draw = partial(_draw, run=run, rows=rows, found=found, marks=marks, kinds=kinds)
    return Drawing(name, label, alt, (8.6, height_in), draw, partial(_data, run, found, marks))


def _data(run: Run, found: Sequence[Stretch], marks: Sequence[Mark]) -> Columns:
    """A row per stretch of an executor, and one without a length per decision that is marked."""
    head = (run.header.scheme, run.header.seed)
    rows: list[tuple[Any, ...]] = [(*head, s.executor, s.start_s, s.end_s, s.look) for s in found]
    rows += [(*head, m.kind, m.t_s, m.t_s, "refused" if m.refused else "decision") for m in marks]
    return of_rows(("scheme", "seed", "row", "start_s", "end_s", "state"), rows)


def _draw(
    figure: Figure,
    run: Run,
    rows: Mapping[str, int],
    found: Sequence[Stretch],
    marks: Sequence[Mark],
    kinds: Sequence[str],
) -> None:
    end_s = run.header.horizon_s
    bands = event_bands(run.events, end_s)
    heights = [1.4 * len(kinds), len(rows)] if kinds else [len(rows)]
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    modes = panels[-1]
    _bars(modes, found, rows)
    modes.set_xlim(0, end_s)
    if kinds:
        _marks(panels[0], marks, kinds)
    for axes in panels:
        shade(axes, bands)
        axes.grid(visible=False)
        _epochs(axes, run)
    for band in bands:
        _outline(modes, band, rows)
    name_bands(panels[0], bands, 7.0)
    modes.set_xlabel("virtual s" + (", dashed: begin of an epoch" if _epoch_starts(run) else ""))
    legend(figure, [*(area_handle(fill, look) for look, fill in MODES.items()), *_mark_handles(kinds, marks)])


def _bars(axes: Axes, found: Sequence[Stretch], rows: Mapping[str, int]) -> None:
    bars: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for s in found:
        bars[s.executor, s.look].append((s.start_s, s.end_s - s.start_s))
    for (executor, look), spans in bars.items():
        axes.broken_barh(spans, (rows[executor] - 0.4, 0.8), **area_style(MODES[look]))
    axes.set_yticks(list(rows.values()), [lettering(name) for name in rows], fontsize=7.5)
    for row in _node_starts(list(rows)):
        axes.axhline(row - 0.5, color=GRID, linewidth=0.8)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _marks(axes: Axes, marks: Sequence[Mark], kinds: Sequence[str]) -> None:
    for refused in (False, True):
        own = [m for m in marks if m.refused is refused]
        at = [kinds.index(m.kind) for m in own]
        axes.plot([m.t_s for m in own], at, **_mark_style(refused))
    axes.set_yticks(range(len(kinds)), kinds, fontsize=7.5)
    axes.set_ylim(len(kinds) - 0.4, -0.6)
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)


def _mark_style(refused: bool) -> dict[str, Any]:
    if refused:
        return {"linestyle": "", "marker": "x", "markersize": 6, "markeredgewidth": 1.6, "color": ink("bad")}
    return {"linestyle": "", "marker": "|", "markersize": 7, "markeredgewidth": 1.2, "color": INK}


def _mark_handles(kinds: Sequence[str], marks: Sequence[Mark]) -> list[Line2D]:
    said = ((False, "decision"), (True, "decision refused")) if kinds else ()
    shown = {m.refused for m in marks}
    return [Line2D([], [], label=text, **_mark_style(r)) for r, text in said if r in shown]


def _epoch_starts(run: Run) -> list[float]:
    """Begins of epochs after the first, if they can be told apart."""
    epoch_s = run.header.epoch_slots * run.header.slot_s
    count = int(run.header.slots / run.header.epoch_slots + 1e-9)
    return [i * epoch_s for i in range(1, count + 1) if i * epoch_s < run.header.horizon_s][: EPOCHS + 1]


def _epochs(axes: Axes, run: Run) -> None:
    starts = _epoch_starts(run)
    for start_s in starts if len(starts) <= EPOCHS else ():
        axes.axvline(start_s, color=MUTED, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1.5)


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
