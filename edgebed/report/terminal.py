"""A comparison in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgebed.report.model import Comparison
from edgebed.report.tables import Row, checks, main_rows, paired_rows, run_line


def print_table(comparison: Comparison, console: Console | None = None) -> None:
    """Print the main table, the paired differences and the checks to the terminal."""
    console = console or Console()
    console.print(Text(f"{comparison.scenario}: ", style="bold") + Text(run_line(comparison), style="dim"))
    console.print(_rich(main_rows(comparison), [comparison.label(name) for name in comparison.schemes]))
    if paired := paired_rows(comparison):
        others = [comparison.label(n) for n in comparison.schemes if n != comparison.baseline]
        console.print(
            Text(f"Difference to {comparison.label(str(comparison.baseline))}, seed by seed", style="bold")
        )
        console.print(_rich(paired, others))
    for check in checks(comparison):
        console.print(Text(f" {check.aside} ", style=_STYLE[check.tone]) + Text(f" {check.text}"))


_STYLE = {"best": "bold", "good": "green", "bad": "red", "muted": "dim", "": ""}


def _rich(rows: list[Row], columns: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            table.add_row(Text(group, style="cyan"))
        name = Text(f"  {row.label}") + Text(f" {row.unit}", style="dim")
        table.add_row(
            name, *(Text(c.text, style=_STYLE[c.tone]) + Text(f" {c.aside}", style="dim") for c in row.cells)
        )
    return table
