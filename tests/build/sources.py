"""Statements of a source without the expressions in them, of which there are ten times as many."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields in which a statement has others."""


def statements(file: Path) -> Iterator[ast.AST]:
    """Every statement of a file, those of functions and branches too."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        inside = [child for block in _BLOCKS for child in getattr(node, block, ())]
        yield from inside
        waiting += inside
