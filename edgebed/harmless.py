"""Text of strangers (a record from elsewhere, what a server answers) as terminals and spreadsheets may show it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_UNSEEN = (
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    *(0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),
)
"""What commands a terminal instead of being seen: control characters, and those that turn the direction of writing."""
_SEEN = {code: "\N{REPLACEMENT CHARACTER}" for code in _UNSEEN}
_ESCAPED = {code: f"\\u{code:04x}" for code in _UNSEEN}
_FORMULA = re.compile(r"[=@\t\r]|[+\-].*[|!='\"@&\\]", re.S)
"""How a cell begins that a spreadsheet would compute; signed figures, also with an interval, are none."""


class Terminal(Console):
    """A console that obeys nobody's text: control characters are shown as such, and brackets are brackets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Rich's hook: everything that is printed passes here."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(harmless(text), style)


def harmless(text: str) -> str:
    """The text, whatever would command a terminal replaced; tabs and line ends stay."""
    return text if text.isprintable() else text.translate(_SEEN)


def harmless_json(text: str) -> str:
    """A JSON document that says the same and commands no terminal: JSON itself escapes some control characters only."""
    return text.translate(_ESCAPED)


def harmless_cell(value: Any) -> Any:
    """A cell of a CSV file: text that a spreadsheet would compute begins with an apostrophe. Numbers are left alone."""
    if not isinstance(value, str):
        return value
    found = harmless(value)
    return f"'{found}" if _FORMULA.match(found) else found
