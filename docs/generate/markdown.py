"""Cells and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def cell(text: str) -> str:
    """Text that may stand in a table cell; code in it is as it was."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


def table(heads: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"
