"""What a terminal of some width shows, and the numbers in it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from edgebed.report.text_table import TextTable, print_text_table

WIDTHS = (40, 80, 200)
_NUMBER = re.compile(r"[+\u2212-]?\d[\d.,\u2009]*")


def terminal(width: int) -> Console:
    """A terminal without styles that keeps what it shows."""
    return Console(file=io.StringIO(), width=width, force_terminal=False)


def text_of(console: Console) -> str:
    """Everything it has shown so far."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(table: TextTable, width: int) -> str:
    """What a terminal of this width shows of a table."""
    console = terminal(width)
    print_text_table(table, console)
    return text_of(console)


def numbers(text: str) -> Counter[str]:
    """Every number in a text, whole, with how often it stands there."""
    return Counter(n.rstrip(".,") for n in _NUMBER.findall(text))


def cut(table: TextTable, width: int) -> Counter[str]:
    """Numbers of a table that a terminal of this width does not show whole."""
    return numbers("  ".join(cell for row in table.rows for cell in row)) - numbers(shown(table, width))


def written_tables(folder: Path) -> Iterator[TextTable]:
    """The tables a reproduction left as CSV."""
    for file in sorted(folder.glob("*.csv")):
        head, *rows = csv.reader(io.StringIO(file.read_text()))
        if all(len(row) == len(head) for row in rows):
            yield TextTable(file.stem, "", tuple(head), tuple(map(tuple, rows)))
        else:
            raise AssertionError(f"{file.name} is ragged")
