"""A comparison in the terminal."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgebed.report.model import Comparison
from edgebed.report.tables import FigureRow, TableCell, checks, main_rows, paired_rows, run_line


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
    for check in checks(comparison):
        console.print(Text(f" {check.aside} ", style=_STYLE[check.tone]) + Text(f" {check.text}"))


_STYLE = {"best": "bold", "good": "green", "bad": "red", "muted": "dim", "": ""}


def _print(console: Console, rows: list[FigureRow], schemes: list[str]) -> None:
    side_by_side = _by_figure(rows, schemes)
    wanted = console.measure(side_by_side, options=console.options.update(max_width=10_000)).maximum
    if wanted <= console.width:
        console.print(side_by_side)
        return
    success = [row for row in rows if row.short == "success"]
    for group, found in groupby(rows, key=lambda row: row.group):
        beside = success if group.startswith(("Latency", "Fairness")) else []
        console.print(_by_scheme(group, beside + list(found), schemes))


def _by_figure(rows: list[FigureRow], schemes: list[str]) -> Table:
    table = _table()
    for column in ("", *schemes):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for group, found in groupby(rows, key=lambda row: row.group):
        table.add_row(Text(group, style="cyan"))
        for row in found:
            name = Text(f"  {row.label}") + Text(f" {row.unit}", style="dim")
            table.add_row(name, *(_text(cell) for cell in row.cells))
    return table


def _by_scheme(group: str, rows: list[FigureRow], schemes: list[str]) -> Table:
    table = _table()
    table.add_column(Text(group.split()[0], style="cyan"), no_wrap=True)
    for row in rows:
        heading = Text(row.short) + Text(f" {row.unit}" if row.unit else "", style="dim")
        table.add_column(heading, justify="right")
    for i, scheme in enumerate(schemes):
        table.add_row(scheme, *(_text(row.cells[i]) for row in rows))
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))


def _text(cell: TableCell) -> Text:
    return Text(cell.text, style=_STYLE[cell.tone]) + Text(
        f" {cell.aside}" if cell.aside else "", style="dim"
    )
