"""Cells and rows of tables as data, for page and terminal alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableCell:
    """Text of one cell; `aside` is the smaller text behind it, `tone` one of best, good, bad, or empty."""

    text: str
    aside: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure in every scheme: a line of the main table."""

    label: str
    cells: tuple[TableCell, ...]
    group: str = ""
    unit: str = ""
    about: str = ""
    short: str = ""
