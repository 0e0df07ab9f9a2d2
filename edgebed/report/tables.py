"""Tables as data, for page and terminal alike: rows of text, and which cells deserve attention."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any

from edgebed.report.cells import FigureRow as FigureRow
from edgebed.report.cells import TableCell as TableCell
from edgebed.report.checks import checks as checks
from edgebed.report.figures import (
    BY_NAME,
    FIGURES,
    NOT_MEASURED,
    PAIRED,
    SHARES,
    FigureSpec,
    decimals_for,
    number,
    with_interval,
)
from edgebed.report.model import Comparison, FaultEntry
from edgebed.report.stats import Interval
from emulation.domain.request import FATES
from emulation.metrics.shares import share_percent


def main_rows(comparison: Comparison) -> list[FigureRow]:
    """One row per figure that any run measured, one cell per scheme: mean and 95% interval over seeds."""
    counts = [len(results) for results in comparison.schemes.values()]
    rows = [_runs_row(comparison)] if len(comparison.results) > 1 else []
    for spec in FIGURES:
        intervals = [comparison.interval(name, spec.name) for name in comparison.schemes]
        if any(i is not None for i in intervals) and not (
            spec.name in ("thinking_s", "tokens") and not any(i and i.mean for i in intervals)
        ):
            rows.append(
                FigureRow(
                    spec.label, _cells(spec, intervals, counts), spec.group, spec.unit, spec.about, spec.short
                )
            )
    return rows


def _runs_row(comparison: Comparison) -> FigureRow:
    """n of every column."""
    cells = tuple(TableCell(number(len(own), 0)) for own in comparison.schemes.values())
    return FigureRow("Runs", cells, FIGURES[0].group, "n", "whole ones, a seed each", "n")


def _cells(
    spec: FigureSpec, intervals: list[Interval | None], counts: Sequence[int]
) -> tuple[TableCell, ...]:
    """One cell per scheme; a mean over fewer runs than its column has says over how many."""
    decimals = decimals_for(
        [i.mean * spec.scale for i in intervals if i is not None], spec.decimals, spec.count
    )
    shown = [None if i is None else round(i.mean * spec.scale, decimals) for i in intervals]
    distinct = {v for v in shown if v is not None}
    best = (min if spec.better == "low" else max)(distinct) if spec.better and len(distinct) > 1 else None
    cells = []
    for i, v, count in zip(intervals, shown, counts, strict=True):
        text, half = with_interval(i, decimals, spec.scale, share=spec.name in SHARES)
        over = "" if i is None or i.n == count else f" (n {i.n})"
        cells.append(TableCell(text, (half + over).strip(), "best" if v is not None and v == best else ""))
    return tuple(cells)


def paired_rows(comparison: Comparison) -> list[FigureRow]:
    """One row per figure, one cell per scheme other than the baseline: the paired difference to it."""
    others = [name for name in comparison.schemes if name != comparison.baseline]
    rows = []
    for spec in (BY_NAME[name] for name in PAIRED):
        intervals = [comparison.difference(name, spec.name) for name in others]
        if any(i is not None for i in intervals):
            decimals = decimals_for([i.mean for i in intervals if i is not None], spec.decimals)
            cells = tuple(_paired_cell(spec, i, decimals) for i in intervals)
            rows.append(FigureRow(spec.label, cells, spec.group, spec.unit, short=spec.short))
    return rows


def _paired_cell(spec: FigureSpec, interval: Interval | None, decimals: int) -> TableCell:
    tone = ""
    if interval is not None and interval.excludes_zero:
        tone = "good" if (interval.mean < 0) == (spec.better == "low") else "bad"
    return TableCell(*with_interval(interval, decimals, spec.scale, signed=True), tone)


MODEL_COLUMNS = (
    ("arrived", "arrived", 0),
    ("success_ratio", "success ratio", 3),
    ("mean_latency_s", "mean latency", None),
    ("p95_s", "p95", None),
    ("unfinished", "unfinished", None),
    ("queue_mean_s", "queue", None),
    ("service_mean_s", "service", None),
    ("transfer_mean_s", "transfer", None),
)
"""(figure of `ModelSummary`, heading, decimals): success always stands beside latency."""


def model_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Per model and scheme: how many came, how many were served, and where the time of the served went."""
    decimals = {
        name: decimals_for(
            [
                i.mean
                for s in comparison.schemes
                for m in comparison.models
                if (i := comparison.model_interval(s, m, name))
            ],
            fixed,
            count=name == "unfinished",
        )
        for name, _, fixed in MODEL_COLUMNS
    }
    return [
        {
            "scheme": scheme,
            "model": model,
            "cells": [
                TableCell(*_model_text(name, comparison.model_interval(scheme, model, name), decimals[name]))
                for name, _, _ in MODEL_COLUMNS
            ],
        }
        for model in comparison.models
        for scheme in comparison.schemes
    ]


def _model_text(name: str, interval: Interval | None, decimals: int) -> tuple[str, str]:
    mean_text, half = with_interval(interval, decimals, share=name in SHARES)
    return mean_text, half if name in ("success_ratio", "mean_latency_s", "p95_s") else ""


def ends_rows(comparison: Comparison) -> list[FigureRow]:
    """How the counted requests ended, summed over seeds; outcomes that never happened are left out."""
    totals = {
        name: {o: sum(s.ends.get(o, 0) for s in comparison.summaries(name)) for o in FATES}
        for name in comparison.schemes
    }
    seen = [o for o in FATES if o == "unfinished" or any(t[o] for t in totals.values())]
    rows = [
        FigureRow(
            o, tuple(TableCell(number(t[o], 0), _share(t[o], sum(t.values()))) for t in totals.values())
        )
        for o in seen
    ]
    rows.append(
        FigureRow("arrived", tuple(TableCell(number(sum(t.values()), 0)) for t in totals.values()), "total")
    )
    return rows


def _share(part: int, whole: int) -> str:
    return share_percent(part / whole) if whole else ""


def fault_lines(rows: Sequence[FaultEntry]) -> list[dict[str, Any]]:
    """The ledger summed over seeds: in how many runs each event landed and was undone, and its effect.

    `effect` and `expected` are means over the runs that could measure them, in `unit`.
    """
    grouped: dict[tuple[int, str, str, str, str], list[FaultEntry]] = defaultdict(list)
    for row in rows:  # what was injected by hand may have the number of something else in another run
        grouped[row.event, row.type, row.target, row.scheme, row.world].append(row)
    return [_fault_line(grouped[key]) for key in sorted(grouped, key=lambda k: k[:3])]


def _fault_line(entries: list[FaultEntry]) -> dict[str, Any]:
    effects = [e.effect for e in entries if e.effect is not None]
    expected = [e.expected for e in entries if e.expected is not None]
    digits = 0 if all(v == round(v) for v in effects) else 2
    return asdict(entries[0]) | {
        "landed": _verdict([e.landed for e in entries], _unknown(entries)),
        "effect": NOT_MEASURED if not effects else number(mean(effects), digits),
        "expected": NOT_MEASURED if not expected else f"{mean(expected):.4g}",
        "recovered": _verdict([e.recovered for e in entries], _unknown(entries)),
        "note": "; ".join(dict.fromkeys(e.note for e in entries if e.note)),
    }


def _unknown(entries: list[FaultEntry]) -> str:
    """What stands where no run can tell whether an event landed."""
    notes = {e.note.partition(":")[0] for e in entries}
    return (
        "never began"
        if notes == {"never began"}
        else "not exercised"
        if "not exercised" in notes
        else "cannot tell"
    )


def _verdict(values: list[bool | None], unknown: str) -> TableCell:
    """yes or no with the number of runs that can tell, or what is said where none can."""
    known = [v for v in values if v is not None]
    aside = f"{sum(known)} of {len(values)}" if len(values) > 1 and known else ""
    if not known:
        return TableCell(unknown, tone="muted")
    return TableCell("yes" if all(known) else "no", aside, "good" if all(known) else "bad")


def run_line(comparison: Comparison) -> str:
    """What every table must state beside its figures: world, reasoner, lifecycle, speedup and seeds."""
    headers = [r.run.header for r in comparison.results]

    def one(name: str) -> str:
        values = sorted({f"{v:g}" if isinstance(v := getattr(h, name), float) else str(v) for h in headers})
        return ", ".join(values)

    seeds = comparison.seeds
    several = f"gateways {one('gateways')} · " if any(h.gateways > 1 for h in headers) else ""
    shown = ", ".join(map(str, seeds)) if len(seeds) <= 12 else f"{seeds[0]}..{seeds[-1]} ({len(seeds)})"
    return (
        f"world {one('world')} · reasoner {one('reasoner')} · lifecycle {one('lifecycle')} · "
        f"speedup {one('speedup')} · {several}seeds {shown}"
    )
