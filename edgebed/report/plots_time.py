"""What happened over time, a line per scheme: latency never without the success ratio, and what waited meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgebed.report.columns import Columns, of_rows
from edgebed.report.model import Comparison, RunResult
from edgebed.report.palette import Look, scheme_looks
from edgebed.report.theme import (
    BAND,
    MUTED,
    POINTS_PER_LETTER,
    Drawing,
    ink,
    legend,
    lettering,
    line_style,
    quiet_x,
    series_handle,
)
from emulation.domain.records import EventRecord, RunHeader
from emulation.domain.slots import slot_start_s
from emulation.metrics.occupancy import at_work_series, waiting_series
from emulation.metrics.series import latency_series
from emulation.recording import Run

BINS = 48
"""Points of a plot over time, at most; each is of so many whole slots, the last may be of fewer."""
MANY = 4
"""Schemes up to which the range over seeds is drawn."""
LINES = 4
"""Lines of names above a plot, at most."""

Table = NDArray[np.float64]
"""Of bins, or of seeds and bins; NaN where nothing was measured."""


@dataclass(frozen=True, slots=True)
class EventBand:
    """A stretch of time in which an event of the plan was in force."""

    label: str
    target: str
    start_s: float
    end_s: float
    number: int = 0
    """Index in the event plan, as the fault ledger has it."""


def event_bands(events: Sequence[EventRecord], end_s: float) -> list[EventBand]:
    """Onset to undo of every event that took effect; without an undo, to `end_s`."""
    undone = {e.event: e.t_s for e in events if e.phase == "undo"}
    return [
        EventBand(f"{e.type} {e.target}", e.target, e.t_s, min(undone.get(e.event, end_s), end_s), e.event)
        for e in events
        if e.phase == "onset" and e.t_s < end_s
    ]


def shade(axes: Axes, bands: Sequence[EventBand]) -> None:
    """Shade the bands."""
    for band in bands:
        axes.axvspan(band.start_s, band.end_s, color=BAND, linewidth=0, zorder=0)
        axes.axvline(band.start_s, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)


def name_bands(axes: Axes, bands: Sequence[EventBand], width_in: float) -> None:
    """Name each band above the axes, a line higher where it would run into another; `width_in`: of the axes, about.

    Where names find no room on `LINES` lines, all are called by number, and what finds no room even so is left out.
    """
    names = [lettering(f"{band.number} {band.label}", 30) for band in bands]
    found = _places(axes, bands, names, width_in)
    if len(found) < len(bands):
        found = _places(axes, bands, [str(band.number) for band in bands], width_in)
    for text, at_s, line in found:
        axes.annotate(
            text,
            (at_s, 1),
            xycoords=("data", "axes fraction"),
            xytext=(1, 3 + 10 * line),
            textcoords="offset points",
            fontsize=7.5,
            color=MUTED,
            annotation_clip=False,
        )


def _places(
    axes: Axes, bands: Sequence[EventBand], texts: Sequence[str], width_in: float
) -> list[tuple[str, float, int]]:
    """Text, instant and line of each band that finds room."""
    left, right = axes.get_xlim()
    letter_s = (right - left) * POINTS_PER_LETTER / (72 * width_in)
    free_s = [left] * LINES
    found = []
    for band, text in sorted(zip(bands, texts, strict=True), key=lambda pair: pair[0].start_s):
        long_s = letter_s * (len(text) + 1)
        at_s = max(left, min(band.start_s, right - long_s))
        line = next((i for i, t in enumerate(free_s) if t <= at_s), None)
        if line is not None:
            free_s[line] = at_s + long_s
            found.append((text, at_s, line))
    return found


def bands_text(bands: Sequence[EventBand]) -> str:
    """The bands in words."""
    if not bands:
        return ""
    said = ", ".join(f"{b.label} from {b.start_s:.0f} to {b.end_s:.0f} s" for b in bands[:6])
    more = f" and {len(bands) - 6} more" if len(bands) > 6 else ""
    return f" Shaded: {said}{more}."


def slots_of_bin(header: RunHeader) -> int:
    """Slots of every bin of a plot over time."""
    return ceil(header.slots / BINS)


def bin_edges_s(header: RunHeader) -> Table:
    """Where bins begin, and the horizon: (bins + 1,)."""
    starts = range(0, header.slots, slots_of_bin(header))
    return np.array([*(slot_start_s(slot, header.slot_s) for slot in starts), header.horizon_s])


@dataclass(frozen=True, slots=True)
class _Panel:
    label: str
    column: str
    """Its name in the table of what is plotted."""
    of: Callable[[Run], Sequence[float | None] | Table]
    height: float = 1.0
    share: bool = False


def _latencies(run: Run) -> list[float | None]:
    return [b.mean_latency_s for b in latency_series(run, slots_of_bin(run.header))]


def _successes(run: Run) -> list[float | None]:
    return [b.success_ratio for b in latency_series(run, slots_of_bin(run.header))]


def _waiting(run: Run) -> Table:
    return waiting_series(run, bin_edges_s(run.header))


def _at_work(run: Run) -> Table:
    return at_work_series(run, bin_edges_s(run.header))


SERVED = (
    _Panel("mean latency of\nthe served, s", "mean_latency_s", _latencies, 1.8),
    _Panel("success ratio", "success_ratio", _successes, share=True),
)
LOAD = (
    _Panel("requests waiting", "requests_waiting", _waiting, 1.4),
    _Panel("share of nodes\nat work", "share_of_nodes_at_work", _at_work, share=True),
)


def latency_over_time(comparison: Comparison) -> Drawing:
    """Mean latency (top) and success ratio (below) by intended send time."""
    about = "Mean latency of the served, and below it the success ratio, by intended send time in seconds"
    return _over_time(comparison, "latency-over-time", "Latency and success over time", about, SERVED)


def load_over_time(comparison: Comparison) -> Drawing:
    """Requests that wait (top), and the share of nodes that serve at least one (below)."""
    about = "Requests waiting, and below it the share of nodes that serve a request, over time in seconds"
    return _over_time(comparison, "load-over-time", "Queue and utilisation over time", about, LOAD)


def _over_time(
    comparison: Comparison, name: str, title: str, about: str, panels: Sequence[_Panel]
) -> Drawing:
    header = comparison.results[0].run.header
    bands = event_bands(comparison.results[0].run.events, header.horizon_s)
    lines = ", ".join(comparison.label(n) for n in comparison.schemes)
    alt = f"{about}, one line per scheme: {lines}.{bands_text(bands)} {_peaks(comparison, panels[0])}"
    height_in = 1.0 + 1.25 * sum(p.height for p in panels) + 0.14 * min(LINES, len(bands))
    draw = partial(_draw_over_time, comparison=comparison, panels=panels, bands=bands)
    return Drawing(name, title, alt.strip(), (8.6, height_in), draw, partial(_time_data, comparison, panels))


def _time_data(comparison: Comparison, panels: Sequence[_Panel]) -> Columns:
    """A row per scheme, seed and bin; the lines are their means over seeds."""
    edges_s = bin_edges_s(comparison.results[0].run.header).tolist()
    rows = [
        (scheme, result.summary.seed, start_s, end_s, *values)
        for scheme, results in comparison.schemes.items()
        for result in results
        for start_s, end_s, *values in zip(
            edges_s, edges_s[1:], *(_plain(panel.of(result.run)) for panel in panels), strict=False
        )
    ]
    return of_rows(("scheme", "seed", "start_s", "end_s", *(panel.column for panel in panels)), rows)


def _plain(values: Sequence[float | None] | Table) -> list[float | None]:
    """None where nothing was measured."""
    return [None if v is None or np.isnan(v) else float(v) for v in values]


def _draw_over_time(
    figure: Figure, comparison: Comparison, panels: Sequence[_Panel], bands: Sequence[EventBand]
) -> None:
    header = comparison.results[0].run.header
    middle_s = _middles_s(header)
    looks = scheme_looks(comparison.schemes)
    grid = figure.subplots(len(panels), 1, sharex=True, height_ratios=[p.height for p in panels])
    for axes, panel in zip(np.ravel(grid), panels, strict=True):
        axes.set_xlim(0, header.horizon_s)
        for i, (name, results) in enumerate(comparison.schemes.items()):
            banded = len(results) > 1 and len(comparison.schemes) <= MANY
            _line(axes, middle_s, _table(panel, results), looks[name], i, banded)
        shade(axes, bands)
        axes.set_ylabel(panel.label)
        axes.set_ylim(*((-0.03, 1.05) if panel.share else (0, None)))
        quiet_x(axes)
    name_bands(figure.axes[0], bands, 7.6)
    figure.axes[-1].set_xlabel("virtual s, by intended send time" if panels is SERVED else "virtual s")
    legend(figure, [series_handle(looks[n], comparison.label(n)) for n in comparison.schemes])


def _middles_s(header: RunHeader) -> Table:
    edges_s = bin_edges_s(header)
    return (edges_s[:-1] + edges_s[1:]) / 2


def _table(panel: _Panel, results: Sequence[RunResult]) -> Table:
    rows = [[np.nan if v is None else v for v in panel.of(r.run)] for r in results]
    return np.array(rows, dtype=float)


def _line(axes: Axes, t_s: Table, table: Table, look: Look, place: int, banded: bool) -> None:
    known = ~np.isnan(table).all(axis=0)
    mean, low, high = (np.full(table.shape[1], np.nan) for _ in range(3))
    part = table[:, known]
    if known.any():
        mean[known], low[known], high[known] = np.nanmean(part, 0), np.nanmin(part, 0), np.nanmax(part, 0)
    every = max(1, len(t_s) // 8)
    axes.plot(t_s, mean, **line_style(look), markevery=(place % every, every))
    if banded:
        axes.fill_between(t_s, low, high, color=ink(look.ink), alpha=0.13, linewidth=0)


def _peaks(comparison: Comparison, panel: _Panel) -> str:
    """The highest point of each line, for those who do not see them."""
    said = []
    middles_s = _middles_s(comparison.results[0].run.header)
    for name, results in comparison.schemes.items():
        table = _table(panel, results)
        known = ~np.isnan(table).all(axis=0)
        if known.any():
            mean = np.full(len(middles_s), -np.inf)
            mean[known] = np.nanmean(table[:, known], 0)
            top = int(mean.argmax())
            said.append(f"{comparison.label(name)} {mean[top]:.1f} near {middles_s[top]:.0f} s")
    return f"Highest: {'; '.join(said)}." if said else ""
