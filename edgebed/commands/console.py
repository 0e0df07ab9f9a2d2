"""What the user sees: results on stdout, everything else on stderr.

What goes on is said in a bar on a terminal and in plain lines elsewhere, and not at all with `--json` or `--quiet`;
warnings and errors always are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from edgebed.harmless import Terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

WIDE = 200
"""Columns where stdout is a file or a pipe: tables are not broken for a terminal that is not there."""
LINE_S = 5.0
"""Wall seconds between two lines on how far it is, where stderr is no terminal."""

out = Terminal(width=None if sys.stdout.isatty() else WIDE)
err = Terminal(stderr=True)
_complaints = Terminal(stderr=True)
"""Never quiet."""


class Failed(Exception):
    """What was asked for did not work out. The message is all the user is shown; the command ends with code 1."""


class Bar(Protocol):
    """How far something is, with the present figures beside it."""

    def update(self, done: float, figures: str = "") -> None:
        """Show how much is done, and what it looks like so far."""

    def step(self, figures: str = "") -> None:
        """One more is done."""

    def reach(self, done: float) -> None:
        """Show how much is done; the figures stay."""

    def say(self, figures: str) -> None:
        """Show what it looks like so far; how much is done stays."""


class _Drawn:
    """On a terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, done: float, figures: str = "") -> None:
        self._progress.update(self._task, completed=done, figures=figures)

    def step(self, figures: str = "") -> None:
        self._progress.update(self._task, advance=1, figures=figures)

    def reach(self, done: float) -> None:
        self._progress.update(self._task, completed=done)

    def say(self, figures: str) -> None:
        self._progress.update(self._task, figures=figures)


class _Written:
    """In a file or a pipe: a line now and then."""

    def __init__(self, title: str, total: float) -> None:
        self._title, self._total, self._done, self._figures = title, total, 0.0, ""
        self._said_s = time.monotonic()
        say(f"{title} ...")

    def update(self, done: float, figures: str = "") -> None:
        self._done, self._figures = done, figures
        if time.monotonic() - self._said_s >= LINE_S:
            self._said_s = time.monotonic()
            share = 100 * done / self._total if self._total else 100
            say(f"{self._title}: {share:.0f}%{', ' if figures else ''}{figures}")

    def step(self, figures: str = "") -> None:
        self.update(self._done + 1, figures)

    def reach(self, done: float) -> None:
        self.update(done, self._figures)

    def say(self, figures: str) -> None:
        self.update(self._done, figures)


@contextmanager
def progress_bar(title: str, total: float, quiet: bool = False) -> Iterator[Bar]:
    """How far something is, on stderr: a bar, or lines where that is no terminal; nothing with `quiet`."""
    if quiet or err.quiet or not err.is_terminal:
        with hushed(quiet):
            yield _Written(title, total)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}", style="dim", markup=False),
    )
    with Progress(*columns, console=err, transient=False) as progress:
        yield _Drawn(progress, progress.add_task(title, total=total, figures=""))


@contextmanager
def hushed(quiet: bool = True) -> Iterator[None]:
    """With `quiet`, nothing is said of what goes on meanwhile."""
    before, err.quiet = err.quiet, err.quiet or quiet
    try:
        yield
    finally:
        err.quiet = before


def say(text: str) -> None:
    """A line of information on stderr."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line on stderr that no `--quiet` keeps back."""
    _line("warning: ", "yellow", text)


def complain(text: str) -> None:
    """What is wrong, on stderr."""
    _line("error: ", "red", text)


def _line(head: str, colour: str, text: str) -> None:
    _complaints.print(Text.assemble((head, colour), text), highlight=False, soft_wrap=True)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without lines on stdout. Raises `ValueError` for a row of another number of cells."""
    from edgebed.report.text_table import (  # takes a while to import: only when there is a table
        TextTable,
        print_text_table,
    )

    print_text_table(TextTable("", "", tuple(columns), tuple(tuple(row) for row in rows)), out)
