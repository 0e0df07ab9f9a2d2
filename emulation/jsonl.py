"""Reading files of JSON lines: one reader for records, logs, case memories and scripts."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from emulation.domain.mistakes import Mistake, printable

_Parsed = TypeVar("_Parsed")


class RecordError(Mistake, ValueError):
    """A file of JSON lines that cannot be read: names the file, the line and what is wrong."""


def read_lines(
    file: Path, parse: Callable[[bytes], _Parsed], *, by_hand: bool = False, remedy: str = ""
) -> list[_Parsed]:
    """What `parse` makes of each line of a file, in order.

    A last line without its end is what a writer that was killed leaves: it is left out where `parse` refuses it. A file
    written `by_hand` may hold blank lines, and nothing else in it is passed over. `parse` refuses a line with a
    `ValueError`, `TypeError` or `KeyError`; that raises `RecordError`, its text ending in `remedy`. Raises `OSError` if
    the file cannot be read.
    """
    lines = file.read_bytes().removeprefix(BOM_UTF8).split(b"\n")
    parsed: list[_Parsed] = []
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        if not line.strip() and (by_hand or last):
            continue
        try:
            parsed.append(parse(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if last and not by_hand:
                break
            kind = type(error) if isinstance(error, RecordError) else RecordError
            raise kind(f"{file}, line {number}: {_complaint(error)}{remedy}") from error
    return parsed


def _complaint(error: Exception) -> str:
    """The first complaint of a schema, with the field it is about; of anything else its own text."""
    if not isinstance(error, ValidationError):
        return printable(str(error))
    first = error.errors(include_url=False)[0]
    said = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return printable(": ".join([*filter(None, [".".join(map(str, first["loc"]))]), said]))
