"""A table as data: what it shows, its columns and its cells, which cannot be built ragged; and it in a terminal.

In a terminal a number is never cut or broken. A table that is too wide has its prose wrapped between words; if that is
not enough, its columns stand in blocks one below the other, each with the columns that say whose row it is; and where
not even that fits, every row is a short list of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgebed.harmless import harmless_cell

Cells = Sequence[str | Text]

_GAP = 2
"""Blanks between columns."""
_PROSE = 24
"""A cell of several words that is longer than this may be wrapped, down to this width."""


def check_cells(what: str, columns: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    """Raise `ValueError` naming the first row that has another number of cells than the table has columns."""
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            cells = ", ".join(str(cell) for cell in row)
            raise ValueError(
                f"table {what!r}: row {number} has {len(row)} cells for {len(columns)} columns: {cells}"
            )


@dataclass(frozen=True, slots=True)
class TextTable:
    """One table: what it shows, its columns and its cells as text.

    Raises `ValueError` at construction if a row has another number of cells than there are columns.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int = field(default=1, kw_only=True)
    """Leading columns that say whose row it is."""

    def __post_init__(self) -> None:
        check_cells(self.title, self.columns, self.rows)

    def csv(self) -> bytes:
        """The table as it is shown, cells as text."""
        out = io.StringIO()
        rows = (map(harmless_cell, row) for row in [self.columns, *self.rows])
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        return out.getvalue().encode()


def print_text_table(table: TextTable, console: Console) -> None:
    """Print a table with its title and note, as wide as the console is."""
    if table.title:
        console.print(Text(table.title, style="italic"), soft_wrap=True)
    print_cells(console, table.title, table.columns, table.rows, table.keys)
    if table.note:
        for line in wrap(table.note, console.width, break_long_words=False, break_on_hyphens=False):
            console.print(Text(line, style="dim"), soft_wrap=True)


def print_cells(
    console: Console, what: str, columns: Cells, rows: Sequence[Cells], keys: int = 1, numeric: bool = False
) -> None:
    """Print cells under their headings, as wide as the console is; `numeric`: all but the first column to the right.

    Raises `ValueError` for a row of another number of cells than there are columns.
    """
    check_cells(what, columns, rows)
    head = [_text(c) for c in columns]
    body = [[_text(c) for c in row] for row in rows]
    keys = min(keys, len(head))
    if fits(head, body, console.width):
        widths = [max(cell.cell_len for cell in column) for column in zip(head, *body, strict=True)]
    else:
        widths = [_natural(head[j], [row[j] for row in body]) for j in range(len(head))]
    narrow = [_narrowed(width, [row[j] for row in body]) for j, width in enumerate(widths)]
    for block in _blocks(narrow, keys, console.width):
        if block is None:
            _print_lists(console, head, body, keys)
            return
        given = _shared(block, widths, narrow, console.width)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for j in block:
            table.add_column(
                _wrapped(head[j], given[j]),
                justify="right" if numeric and j else "left",
                no_wrap=True,
                overflow="ignore",
            )
        for row in body:
            table.add_row(*(_wrapped(row[j], given[j]) for j in block))
        console.print(table, crop=False)


def fits(columns: Cells, rows: Sequence[Cells], room: int) -> bool:
    """Whether such a table needs neither wrapping nor blocks in so many columns."""
    return (
        _total([max(_text(c).cell_len for c in column) for column in zip(columns, *rows, strict=True)])
        <= room
    )


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _longest_word(text: Text) -> int:
    return max((cell_len(word) for word in text.plain.split(" ")), default=0)


def _natural(head: Text, cells: Sequence[Text]) -> int:
    """Width of a column whose heading is wrapped between words and whose cells are not."""
    return max([_longest_word(head), *(cell.cell_len for cell in cells)], default=0)


def _narrowed(width: int, cells: Sequence[Text]) -> int:
    """Least width of a column: prose may be wrapped, but no word broken."""
    if width <= _PROSE or not any(" " in cell.plain for cell in cells):
        return width
    return max([_PROSE, *(_longest_word(cell) for cell in cells)])


def _blocks(widths: Sequence[int], keys: int, room: int) -> list[list[int] | None]:
    """Columns of each block, the keys in all of them; None where the keys leave no room for some column."""
    fixed = list(range(keys))
    blocks: list[list[int] | None] = [list(fixed)]
    for j in range(keys, len(widths)):
        last = blocks[-1]
        assert last is not None
        if _total([widths[k] for k in [*last, j]]) <= room:
            last.append(j)
        elif _total([widths[k] for k in [*fixed, j]]) > room:
            return [None]
        else:
            blocks.append([*fixed, j])
    first = blocks[0]
    assert first is not None
    return blocks if _total([widths[k] for k in first]) <= room else [None]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(len(widths) - 1, 0)


def _shared(block: Sequence[int], widths: Sequence[int], narrow: Sequence[int], room: int) -> dict[int, int]:
    """Width of each column of a block: what is left over the narrow ones goes to prose, first come first."""
    left = room - _total([narrow[j] for j in block])
    given: dict[int, int] = {}
    for j in block:
        more = min(left, widths[j] - narrow[j])
        given[j], left = narrow[j] + more, left - more
    return given


def _wrapped(text: Text, width: int) -> Text:
    """The text in lines of at most so many cells, broken at blanks only."""
    if text.cell_len <= width:
        return text
    lines = wrap(text.plain, max(width, 1), break_long_words=False, break_on_hyphens=False)
    return Text("\n".join(lines), style=text.style)


def _print_lists(console: Console, head: Sequence[Text], body: Sequence[Sequence[Text]], keys: int) -> None:
    """Every row as a list: whose it is, then a line for each of its other cells."""
    for row in body:
        whose = " · ".join(cell.plain for cell in row[:keys] if cell.plain)
        _print_wrapped(console, Text(whose, style="bold"), "")
        for name, cell in zip(head[keys:], row[keys:], strict=True):
            if cell.plain:
                _print_wrapped(console, Text(f"{name.plain}: " if name.plain else "") + cell, "  ")


def _print_wrapped(console: Console, text: Text, indent: str) -> None:
    if cell_len(indent) + text.cell_len <= console.width:
        console.print(Text(indent) + text, soft_wrap=True)
        return
    lines = wrap(
        text.plain, console.width, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    for line in lines:
        console.print(Text(line, style=text.style), soft_wrap=True)
