"""The files of a matrix. All but the measured costs are the same bytes for the same plan and version."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import isclose, isfinite
from pathlib import Path
from typing import Any

import orjson

from edgebed.harmless import harmless_cell
from edgebed.matrix.figures import Cost, Figures
from edgebed.matrix.metrics import METRICS
from edgebed.matrix.picture import critical_difference_picture
from edgebed.matrix.results import Results
from edgebed.matrix.significance import said_p
from edgebed.matrix.stability import Analysis, mean_ranks
from edgebed.matrix.tables import costs_table, failures_table, tables_of
from edgebed.report.page import Line, plain_page
from edgebed.report.stats import mean_interval
from edgebed.report.text_table import TextTable
from edgebed.wiring.identity import edgebed_version
from emulation.recording import write_together

PAGE, TEXT, SUMMARY = "matrix.html", "matrix.md", "summary.json"
CELLS, RUNS, COSTS, COSTS_TEXT = "cells.csv", "runs.csv", "costs.csv", "costs.md"
PICTURE = "critical-difference.png"
_FIGURE = re.compile(r"[<>\[+\u2212]?\d|\u2013|$")
"""How a cell begins that is set to the right."""


def write_files(results: Results, found: Analysis | None, interrupted: bool, folder: Path) -> None:
    """All files of a result, each whole, or none of them. Raises `OSError` naming the file."""
    lines = summary_lines(results, found, interrupted)
    tables = tables_of(results, found) if found is not None else []
    if results.failed:
        tables.append(failures_table(results))
    measured = [] if found is None else [costs_table(results, found)]
    picture = None if found is None else critical_difference_picture(found, dict(results.labels))
    title = f"Matrix {results.plan.name}"
    pictures = [] if picture is None else [picture]
    page = plain_page(title, _lead(results), lines, [*tables, *measured], pictures, "", ())
    files = {
        PAGE: page,
        TEXT: _markdown(title, _lead(results), lines, tables, picture is not None),
        SUMMARY: orjson.dumps(summary_json(results, found, interrupted), option=orjson.OPT_INDENT_2) + b"\n",
        CELLS: _csv(cell_rows(results, found)),
        RUNS: _csv(_run_rows(results)),
        COSTS: _csv(_cost_rows(results)),
        COSTS_TEXT: _markdown(
            "Measured costs", ["As they were measured; not the same twice."], [], measured, False
        ),
    }
    if picture is not None:
        files[PICTURE] = picture.png()
    write_together({folder / name: content for name, content in files.items()})


def summary_lines(results: Results, found: Analysis | None, interrupted: bool) -> list[Line]:
    """What is to be known first: what is missing, whether one order holds, and why that is said."""
    lines = []
    if interrupted or results.open:
        said = f"{results.open} of {results.wanted} runs are still to be made; the same command goes on with them"
        lines.append(Line("INCOMPLETE", said, "bad"))
    if results.failed:
        lines.append(Line("FAILED", f"{len(results.failed)} of {results.wanted} runs, in no figure", "bad"))
    apart = [results.labels[s] for s in results.plan.schemes if s not in results.ranked()]
    if apart:
        lines.append(Line("not ranked", f"{', '.join(apart)}: every run failed in some cell", "bad"))
    if found is None:
        return [*lines, Line("nothing", "no cell has a seed that every ranked scheme finished", "bad")]
    replaced = _replaced(results, found)
    if replaced:
        lines.append(Line("replaced", f"invalid decisions, in whose place a rule decided: {replaced}", "bad"))
    first = found.overall
    lines.append(Line("order", said_order([results.labels[s] for s in first.schemes], first.mean_rank), ""))
    tone = "good" if found.verdict == "stable" else "muted"
    lines.append(Line("the order", f"{found.verdict}: {found.why}", tone))
    if found.friedman is not None:
        of = found.friedman
        lines.append(
            Line(
                "agreement",
                f"Kendall's W {of.concordance:.2f} over {len(found.blocks)} cells (Friedman, Iman-Davenport"
                f" {said_p(of.p)}); critical difference of mean ranks {of.critical_difference:.2f} (Nemenyi)",
            )
        )
    return [*lines, Line("first", _said_of_first(results, found))]


def said_order(labels: Sequence[str], mean_rank: Sequence[float]) -> str:
    """`a > b = c`, best first; what shares a mean rank stands together."""
    said = labels[0]
    for label, before, rank in zip(labels[1:], mean_rank, mean_rank[1:], strict=False):
        said += f" {'=' if isclose(before, rank) else '>'} {label}"
    return said


def summary_json(results: Results, found: Analysis | None, interrupted: bool) -> dict[str, Any]:
    """Everything that is in the tables, as plain data."""
    plan = results.plan
    said: dict[str, Any] = {
        "format": 1,
        "edgebed": edgebed_version(),
        "plan": plan.model_dump(mode="json"),
        "runs": {"wanted": results.wanted, "finished": len(results.runs), "failed": len(results.failed)},
        "interrupted": interrupted,
        "failed": [
            {"cell": str(results.cells[i]), "scheme": scheme, "seed": seed, "why": why}
            for (i, scheme, seed), why in sorted(results.failed.items())
        ],
        "not_ranked": [s for s in plan.schemes if s not in results.ranked()],
    }
    if found is None:
        return said
    order = zip(
        *(getattr(found.overall, n) for n in ("schemes", "mean_rank", "low", "high", "wins")), strict=True
    )
    return said | {
        "rank_by": found.metric,
        "verdict": found.verdict,
        "why": found.why,
        "order": [
            dict(zip(("scheme", "mean_rank", "low", "high", "best_in"), row, strict=True)) for row in order
        ],
        "friedman": None if found.friedman is None else asdict(found.friedman),
        "groups": [list(group) for group in found.groups],
        "pairs": [asdict(o) | {"share": o.share} for o in found.orders],
        "wilcoxon": [asdict(one) for one in found.signed],
        "leaving_out": [asdict(one) for one in found.leaving],
        "mean_ranks": {name: mean_ranks(results, name) for name in METRICS},
        "cells": [_cell_json(found, i) for i in range(len(found.blocks))],
    }


def _cell_json(found: Analysis, i: int) -> dict[str, Any]:
    block, ranks = found.blocks[i], found.cells[i]
    return {
        "scenario": block.cell.scenario,
        "testbed": block.cell.testbed,
        "settings": dict(block.cell.settings),
        "seeds": list(block.seeds),
        "best": list(found.winners(i)),
        "ranks": {
            s: {
                "rank": float(ranks.rank[j]),
                "low": None if ranks.low is None else float(ranks.low[j]),
                "high": None if ranks.high is None else float(ranks.high[j]),
            }
            for j, s in enumerate(block.schemes)
        },
        "tests": [
            {"one": p.one, "other": p.other, "difference": p.difference if isfinite(p.difference) else None,
             "p": p.p, "p_holm": p.p_holm, "better": p.better(found.risk)}
            for p in found.pairs if p.cell == i
        ],
    }  # fmt: skip


def cell_rows(results: Results, found: Analysis | None) -> Iterable[Sequence[Any]]:
    """Cell x scheme: rank with interval, then mean and 95% interval over seeds of every figure."""
    keys = _keys(results)
    figures = [n for n in Figures.model_fields]
    yield ["scenario", "testbed", *keys, "scheme", "seeds", "rank", "rank_low", "rank_high",
           *(f"{n}{end}" for n in figures for end in ("", "_low", "_high"))]  # fmt: skip
    for i, block in enumerate(found.blocks if found is not None else ()):
        ranks = found.cells[i]  # type: ignore[union-attr]
        settings = dict(block.cell.settings)
        for j, scheme in enumerate(block.schemes):
            row: list[Any] = [
                block.cell.scenario,
                block.cell.testbed,
                *(settings.get(k, "") for k in keys),
                scheme,
            ]
            row += [len(block.seeds), float(ranks.rank[j])]
            row += [None if ends is None else float(ends[j]) for ends in (ranks.low, ranks.high)]
            for name in figures:
                of = mean_interval([getattr(block.runs[scheme, n].figures, name) for n in block.seeds])
                row += [None, None, None] if of is None else [of.mean, of.low, of.high]
            yield row


def _run_rows(results: Results) -> Iterable[Sequence[Any]]:
    keys, figures = _keys(results), list(Figures.model_fields)
    yield ["scenario", "testbed", *keys, "scheme", "seed", *figures]
    for cell, scheme, seed, of, _ in results.rows():
        settings = dict(cell.settings)
        head = [cell.scenario, cell.testbed, *(settings.get(k, "") for k in keys), scheme, seed]
        yield [*head, *(getattr(of, name) for name in figures)]


def _cost_rows(results: Results) -> Iterable[Sequence[Any]]:
    keys, costs = _keys(results), list(Cost.model_fields)
    yield ["scenario", *keys, "scheme", "seed", "decisions", *costs]
    for cell, scheme, seed, of, cost in results.rows():
        settings = dict(cell.settings)
        head = [cell.scenario, *(settings.get(k, "") for k in keys), scheme, seed, of.decisions]
        yield [*head, *(getattr(cost, name) for name in costs)]


def _keys(results: Results) -> list[str]:
    return list(dict.fromkeys(key for cell in results.cells for key, _ in cell.settings))


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(harmless_cell, row) for row in rows)
    return text.getvalue().encode()


def _lead(results: Results) -> list[str]:
    plan = results.plan
    sizes = (
        f"{len(plan.scenarios)} scenarios, {len(results.cells)} cells, {len(plan.schemes)} schemes,"
        f" {len(plan.seeds)} seeds: {results.wanted} runs in virtual time."
    )
    return [*([plan.note.strip()] if plan.note.strip() else []), sizes]


def _markdown(
    title: str, paragraphs: Sequence[str], lines: Sequence[Line], tables: Sequence[TextTable], picture: bool
) -> bytes:
    parts = [f"# {title}", *paragraphs]
    if lines:
        parts.append("\n".join(f"- **{line.word}**: {_cell(line.text)}" for line in lines))
    if picture:
        parts.append(f"![Mean ranks with the critical difference]({PICTURE})")
    for table in tables:
        parts += [f"## {table.title}", markdown_table(table), *([table.note] if table.note else [])]
    return ("\n\n".join(parts) + "\n").encode()


def markdown_table(table: TextTable) -> str:
    """A table in Markdown, figures to the right."""
    figures = [all(_FIGURE.match(row[i]) for row in table.rows) for i in range(len(table.columns))]
    marks = ["---:" if figure and i >= table.keys else "---" for i, figure in enumerate(figures)]
    rows = [table.columns, marks, *table.rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _said_of_first(results: Results, found: Analysis) -> str:
    """How far the best mean rank can be relied on."""
    first, cells = found.overall.schemes[0], len(found.blocks)
    best = {scheme for i in range(cells) for scheme in found.winners(i)}
    beaten = {
        p.cell for p in found.pairs if first in (p.one, p.other) and p.better(found.risk) not in (None, first)
    }
    return (
        f"{results.labels[first]} is best in {found.overall.wins[0]} of {cells} cells, and significantly worse than"
        f" another scheme in {len(beaten)}; {len(best)} of {len(found.overall.schemes)} schemes are best in some cell"
    )


def _replaced(results: Results, found: Analysis) -> str:
    counts = {
        s: sum(k.figures.invalid for b in found.blocks for (name, _), k in b.runs.items() if name == s)
        for s in found.overall.schemes
    }
    return ", ".join(f"{results.labels[s]} {n}" for s, n in counts.items() if n)
