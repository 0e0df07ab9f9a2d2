"""A comparison in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from edgebed.report.figures import NOT_MEASURED
from edgebed.report.model import Comparison, ParityReport
from edgebed.report.parity_table import PARITY_COLUMNS, parity_rows
from edgebed.report.serving_table import serving_columns, serving_rows
from edgebed.report.tables import FigureRow, TableCell, checks, main_rows, paired_rows, run_line
from edgebed.report.tenants_table import TENANT_COLUMNS, tenant_rows
from edgebed.report.text_table import fits, print_cells


def print_table(comparison: Comparison, console: Console | None = None) -> None:
    """Print the main table, the paired differences and the checks to the terminal.

    Schemes stand side by side where the terminal is wide enough, else one below the other.
    """
    console = console or Console()
    console.print(Text(f"{comparison.scenario}: ", style="bold") + Text(run_line(comparison), style="dim"))
    _print(console, main_rows(comparison), [comparison.label(name) for name in comparison.schemes])
    if paired := paired_rows(comparison):
        others = [comparison.label(n) for n in comparison.schemes if n != comparison.baseline]
        title = f"Difference to {comparison.label(str(comparison.baseline))}, seed by seed"
        console.print(Text(f"\n{title}", style="bold"))
        _print(console, paired, others)
    _print_serving(console, comparison)
    _print_tenants(console, comparison)
    if comparison.parity is not None:
        _print_parity(console, comparison.parity)
    for check in checks(comparison):
        console.print(Text(f" {check.aside} ", style=_STYLE[check.tone]) + Text(f" {check.text}"))


def _print_serving(console: Console, comparison: Comparison) -> None:
    """Of models that speak in tokens, or have an SLO; the report has all of them."""
    columns = serving_columns(comparison)
    telling = [i for i, (name, _, _) in enumerate(columns) if name in ("ttft_p50_s", "slo_share")]
    rows = [r for r in serving_rows(comparison) if any(r["cells"][i].text != NOT_MEASURED for i in telling)]
    if not rows:
        return
    _print_table(console, comparison, "serving", "model", columns, rows)


def _print_tenants(console: Console, comparison: Comparison) -> None:
    if rows := tenant_rows(comparison):
        _print_table(console, comparison, "tenants", "tenant", TENANT_COLUMNS, rows)


def _print_table(
    console: Console,
    comparison: Comparison,
    name: str,
    of: str,
    columns: Sequence[tuple[str, str, str]],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """One row per `of` and scheme; columns are (name, label, unit)."""
    console.print(Text(f"\n{name.capitalize()}", style="bold"))
    head = [Text(of), Text("scheme")]
    head += [Text(label) + Text(f" {unit}" if unit else "", style="dim") for _, label, unit in columns]
    body = [[Text(r["model"]), Text(comparison.label(r["scheme"])), *map(_text, r["cells"])] for r in rows]
    print_cells(console, name, head, body, numeric=True, keys=2)


def _print_parity(console: Console, report: ParityReport) -> None:
    """The closed loop row by row, and of the replay what does not agree."""
    telling = [row for row in report.rows if row.kind == "closed-loop" or not row.ok]
    if not telling:
        return
    console.print(Text("\nTwo worlds", style="bold"))
    rows = [[_text(cell) for cell in row] for row in parity_rows(ParityReport(tuple(telling)))]
    print_cells(console, "two worlds", PARITY_COLUMNS, rows, keys=3)


_STYLE = {"best": "bold", "good": "green", "bad": "red", "muted": "dim", "": ""}


def _print(console: Console, rows: list[FigureRow], schemes: list[str]) -> None:
    head, body = _by_figure(rows, schemes)
    if fits(head, body, console.width):
        print_cells(console, "figures", head, body, numeric=True)
        return
    success = [row for row in rows if row.short == "success"]
    for group, found in groupby(rows, key=lambda row: row.group):
        beside = success if group.startswith(("Latency", "Fairness")) else []
        print_cells(console, group, *_by_scheme(group, beside + list(found), schemes), numeric=True)


Grid = tuple[list[Text], list[list[Text]]]
"""Headings, and rows of as many cells."""


def _by_figure(rows: list[FigureRow], schemes: list[str]) -> Grid:
    body: list[list[Text]] = []
    for group, found in groupby(rows, key=lambda row: row.group):
        body.append([Text(group, style="cyan"), *(Text() for _ in schemes)])
        for row in found:
            name = Text(f"  {row.label}") + Text(f" {row.unit}", style="dim")
            body.append([name, *(_text(cell) for cell in row.cells)])
    return [Text(), *(Text(name) for name in schemes)], body


def _by_scheme(group: str, rows: list[FigureRow], schemes: list[str]) -> Grid:
    head = [Text(group.split()[0], style="cyan")]
    head += [Text(row.short) + Text(f" {row.unit}" if row.unit else "", style="dim") for row in rows]
    body = [[Text(scheme), *(_text(row.cells[i]) for row in rows)] for i, scheme in enumerate(schemes)]
    return head, body


def _text(cell: TableCell) -> Text:
    return Text(cell.text, style=_STYLE[cell.tone]) + Text(
        f" {cell.aside}" if cell.aside else "", style="dim"
    )
