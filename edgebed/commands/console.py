"""What the user sees while work goes on: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

WIDE = 200
"""Columns where stdout is a file or a pipe: tables are not broken for a terminal that is not there."""

out = Console(width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True)


@dataclass(slots=True)
class Bar:
    """One progress bar with the present figures beside it."""

    _progress: Progress
    _task: TaskID

    def update(self, done: float, figures: str = "") -> None:
        """Show how much is done, and what it looks like so far."""
        self._progress.update(self._task, completed=done, figures=figures)

    def step(self, figures: str = "") -> None:
        """One more is done."""
        self._progress.update(self._task, advance=1, figures=figures)


@contextmanager
def progress_bar(title: str, total: float, quiet: bool = False) -> Iterator[Bar]:
    """A bar on stderr; nothing with `quiet` (machine output)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[figures]}"),
    )
    with Progress(*columns, console=err, disable=quiet, transient=False) as progress:
        yield Bar(progress, progress.add_task(title, total=total, figures=""))


def say(text: str) -> None:
    """A line of information on stderr."""
    err.print(text, highlight=False)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without lines on stdout. Raises `ValueError` for a row of another number of cells."""
    from edgebed.report.sheet import Sheet, print_sheet  # takes a while to import: only when there is a table

    print_sheet(Sheet("", "", tuple(columns), tuple(tuple(row) for row in rows)), out)
