"""The report page: one HTML file that needs nothing else, no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from edgebed.report.decisions import control_lines, route_lines
from edgebed.report.figures import FIGURES, NOT_MEASURED, decimals_for, number, with_interval
from edgebed.report.model import Comparison, compare_runs
from edgebed.report.page import Line, drawn, key, page
from edgebed.report.palette import scheme_looks
from edgebed.report.parity_table import PARITY_COLUMNS, parity_rows
from edgebed.report.reasoning import REASONING_COLUMNS, reasoning_rows
from edgebed.report.serving_table import serving_headings, serving_rows
from edgebed.report.tables import (
    MODEL_COLUMNS,
    FigureRow,
    TableCell,
    checks,
    ends_rows,
    fault_lines,
    main_rows,
    model_rows,
    paired_rows,
    run_line,
)
from edgebed.report.tenants_table import TENANT_COLUMNS, tenant_rows
from edgebed.report.verdict import percentage, relative, verdicts
from emulation.metrics.summary import Summary
from emulation.recording import Run, write_whole

SHOWN_SEEDS = 12
"""Seeds that are named one by one."""
OF_ALL = (
    "latency-over-time", "load-over-time", "latency-distribution", "latency-against-fairness", "per-model",
    "ends-by-outcome", "serving-distribution",
    "tenants-served",
)  # fmt: skip
"""Pictures that the page has a place for."""


@dataclass(frozen=True, slots=True)
class PageCell:
    """A cell of the page: text, the smaller text behind it, the line below, and its tone as in `TableCell`."""

    text: str
    aside: str = ""
    tone: str = ""
    below: str = ""


def write_report(subject: Comparison | Run | Sequence[Run], path: Path) -> None:
    """Write the report of a comparison, or of plain runs of one scenario, whole or not at all.

    Raises `ValueError` if there is nothing to report, or the runs are of different scenarios.
    """
    if isinstance(subject, Run):
        subject = [subject]
    comparison = subject if isinstance(subject, Comparison) else compare_runs(subject)
    write_whole(path, render(comparison).encode())


def render(comparison: Comparison) -> str:
    """The page as text. Raises `ValueError` for a comparison without runs."""
    if not comparison.results:
        raise ValueError("nothing to report: the comparison holds no run")
    content, pictures = _content(comparison), _pictures(comparison)
    return page("report.html", **content, **pictures, contents=_contents(content, pictures))


def _contents(content: dict[str, Any], pictures: dict[str, Any]) -> dict[str, str]:
    """Id of a section to its title, of those that there are."""
    titles = {
        "figures": "Figures",
        "differences": f"Difference to {content['labels'].get(content['baseline'], '')}",
        "time": "Over time",
        "latency": "Latency, fairness and how requests ended",
        "models": "By model",
        "serving": "Serving",
        "tenants": "Tenants",
        "faults": "Fault ledger",
        "reasoning": "Language models",
        "parity": "Two worlds",
        "executors": "What the executors did",
        "decisions": "Decisions and their reasons",
        "words": "Words",
    }
    missing = {
        "differences": "paired",
        "serving": "serving",
        "tenants": "tenants",
        "faults": "faults",
        "parity": "parity",
        "executors": "modes",
        "reasoning": "reasoning",
    }
    return {
        id: title for id, title in titles.items() if id not in missing or (content | pictures)[missing[id]]
    }


def _content(comparison: Comparison) -> dict[str, Any]:
    lines = [Line(c.aside, c.text, c.tone) for c in checks(comparison)]
    labels = {name: comparison.label(name) for name in comparison.schemes}
    return {
        "title": f"{comparison.scenario}: {', '.join(labels.values())}",
        "scenario": comparison.scenario,
        "lead": _lead(comparison),
        "note": comparison.note,
        "run_line": run_line(comparison),
        "verdicts": [*_level(comparison), *(Line(v.word, v.text, v.tone) for v in verdicts(comparison))],
        "failed": [line for line in lines if line.tone == "bad"],
        "passed": [line for line in lines if line.tone != "bad"],
        "facts": _facts(comparison),
        "has_events": bool(comparison.results[0].run.events),
        "labels": labels,
        "keys": {name: key(look) for name, look in scheme_looks(comparison.schemes).items()},
        "baseline": comparison.baseline,
        "seeds": len(comparison.seeds),
        "main": _grouped(main_rows(comparison), list(comparison.schemes)),
        "paired": _paired(comparison),
        "model_columns": [heading for _, heading, _ in MODEL_COLUMNS],
        "models": _by_model(model_rows(comparison)),
        "serving": _by_model(serving_rows(comparison))
        if any(s.serving for s in _summaries(comparison))
        else [],
        "tenants": _by_model(tenant_rows(comparison)),
        "tenant_columns": [f"{label}, {unit}" if unit else label for _, label, unit in TENANT_COLUMNS],
        "serving_columns": serving_headings(comparison),
        "ends": [_with_shares(row) for row in ends_rows(comparison)],
        "faults": _by_event(comparison),
        "reasoning": reasoning_rows(comparison),
        "reasoning_columns": REASONING_COLUMNS,
        "parity": [] if comparison.parity is None else parity_rows(comparison.parity),
        "parity_columns": PARITY_COLUMNS,
        "examples": _examples(comparison),
    }


def _lead(comparison: Comparison) -> str:
    labels = [comparison.label(name) for name in comparison.schemes]
    names = labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
    worlds = sorted({r.summary.world for r in comparison.results})
    where = " and ".join("in virtual time" if w == "virtual" else "live on Ray" for w in worlds)
    same = "" if len(labels) == 1 else ", on the same requests"
    if same and comparison.results[0].run.events:
        same += " and events"
    count = len(comparison.seeds)
    return f"{names}, {where}{same}; {count} seed{'s' if count > 1 else ''}."


def _level(comparison: Comparison) -> list[Line]:
    """What the baseline came to, or every scheme where there is none: the level from which differences count."""
    names = list(comparison.schemes) if comparison.baseline is None else [comparison.baseline]
    return [
        Line("baseline" if comparison.baseline else "result", _level_text(comparison, n), "muted")
        for n in names
    ]


def _level_text(comparison: Comparison, name: str) -> str:
    late, success = (comparison.interval(name, n) for n in ("mean_latency_s", "success_ratio"))
    mean, half = with_interval(late, decimals_for([None if late is None else late.mean]))
    served = NOT_MEASURED if success is None else number(success.mean, 3, share=True)
    seconds = "" if late is None else f" s {half}".rstrip()
    seeds = len(comparison.summaries(name))
    return (
        f"{comparison.label(name)}: mean {mean}{seconds} of the served; success {served}; "
        f"{seeds} seed{'s' if seeds > 1 else ''}"
    )


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    header = comparison.results[0].run.header
    parts = dict(part.split(" ", 1) for part in run_line(comparison).split(" · "))
    facts = [(name.capitalize(), text) for name, text in parts.items()]
    return [
        *facts,
        ("Models", ", ".join(comparison.models)),
        ("Horizon", f"{header.slots} slots of {header.slot_s:g} s, epochs of {header.epoch_slots} slots"),
        ("Deadline", "none" if header.deadline_s is None else f"{header.deadline_s:g} s"),
    ]


def _grouped(rows: Sequence[FigureRow], schemes: Sequence[str]) -> list[dict[str, Any]]:
    """A table per group of figures, a row per scheme; success stands beside latency and fairness too."""
    success = [row for row in rows if row.short == "success"]
    return [
        _table(
            group, [*(success if group.startswith(("Latency", "Fairness")) else ()), *own], schemes, _plain
        )
        for group, own in groupby(rows, key=lambda row: row.group)
    ]


def _plain(row: FigureRow, scheme: str, found: TableCell) -> PageCell:
    return PageCell(found.text, found.aside, found.tone)


def _table(
    title: str,
    rows: Sequence[FigureRow],
    schemes: Sequence[str],
    cell: Callable[[FigureRow, str, TableCell], PageCell],
) -> dict[str, Any]:
    """Figures as columns and schemes as rows, so that a page is wide enough for any number of schemes."""
    return {
        "title": title,
        "columns": [{"label": r.label, "unit": r.unit, "about": r.about} for r in rows],
        "rows": [
            {"scheme": scheme, "cells": [cell(row, scheme, row.cells[i]) for row in rows]}
            for i, scheme in enumerate(schemes)
        ],
    }


def _paired(comparison: Comparison) -> list[dict[str, Any]]:
    """Differences to the baseline, each with its share of the baseline's mean and whether it is better or worse."""
    others = [name for name in comparison.schemes if name != comparison.baseline]
    rows = paired_rows(comparison) if others else []
    if not rows:
        return []
    names = {spec.label: spec.name for spec in FIGURES}

    def cell(row: FigureRow, scheme: str, found: TableCell) -> PageCell:
        share = percentage(relative(comparison, scheme, names[row.label]))
        word = {"good": "better", "bad": "worse"}.get(found.tone, "")
        return PageCell(found.text, found.aside, found.tone, " ".join(filter(None, (share, word))))

    title = f"Scheme less {comparison.label(str(comparison.baseline))}, paired by seed"
    return [_table(title, rows, others, cell)]


def _with_shares(row: FigureRow) -> dict[str, Any]:
    return {"label": row.label, "cells": [PageCell(c.text, tone=c.tone, below=c.aside) for c in row.cells]}


def _summaries(comparison: Comparison) -> list[Summary]:
    return [r.summary for r in comparison.results]


def _by_model(found: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    rows = [row | {"cells": [PageCell(c.text, c.aside, c.tone) for c in row["cells"]]} for row in found]
    return [(model, list(own)) for model, own in groupby(rows, key=lambda row: str(row["model"]))]


def _by_event(comparison: Comparison) -> list[tuple[str, list[dict[str, Any]]]]:
    rows = fault_lines(comparison.faults or ())
    found = groupby(rows, key=lambda row: f"{row['event']} {row['type']} of {row['target']}")
    return [(event, list(own)) for event, own in found]


def _examples(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "label": comparison.label(name),
            "seed": results[0].summary.seed,
            "control": control_lines(results[0].run),
            "routes": route_lines(results[0].run),
        }
        for name, results in comparison.schemes.items()
    ]


def _pictures(comparison: Comparison) -> dict[str, Any]:
    # Drawing takes a second to import: only when drawing.
    from edgebed.report.pictures import of_all, of_executors

    found = of_all(comparison)
    pictures = {name.replace("-", "_"): found.get(name) for name in OF_ALL}
    modes = {label: drawn(picture) for label, picture in of_executors(comparison).items()}
    return {name: picture and drawn(picture) for name, picture in pictures.items()} | {"modes": modes}
