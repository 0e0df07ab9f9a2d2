"""A record becomes a line, and a line goes to its file: what is done several times per request, and so is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any, Final

import orjson
from mypy_extensions import mypyc_attr

from emulation.domain.records import Record

_dumps: Final[Callable[..., bytes]] = orjson.dumps
_LINE: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
_FIELDS: Final = orjson.OPT_APPEND_NEWLINE
_END: Final = b',"kind":"request"}\n'
_NOBODY: Final = b',"tenant":null,"kind":"request"}\n'
"""End of the line of a request without a tenant, which says nothing of one. No text can end a line like this: its
quotes would be escaped."""


def encode(record: Record | Mapping[str, Any]) -> bytes:
    """One canonical line, with its newline."""
    line = _dumps(record, None, _LINE)
    return line[: -len(_NOBODY)] + _END if line.endswith(_NOBODY) else line


@mypyc_attr(allow_interpreted_subclasses=True)
class LineSink:
    """Appends canonical lines to a file, what stands beside them to another; flushed every `flush_every` records."""

    def __init__(self, out: IO[bytes], open_side: Callable[[str], IO[bytes]], flush_every: int) -> None:
        """`open_side`: opens the other file in a mode; called when there is something to be written to it."""
        self._out = out
        self._put: Callable[[bytes], object] = out.write
        self._side: IO[bytes] | None = None
        self._open_side = open_side
        self._flush_every = flush_every
        self._line = 0

    def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None:
        """Append one record, and its side data if there is any."""
        self._append(encode(record), side)

    def write_fields(self, fields: dict[str, Any], side: Mapping[str, Any] | None = None) -> None:
        """Append the record with these fields, which stand in their order, all keys being text, as `write` does."""
        self._append(_dumps(fields, None, _FIELDS), side)

    def _append(self, line: bytes, side: Mapping[str, Any] | None) -> None:
        self._put(line)
        if side:
            if self._side is None:
                self._side = self._open_side("wb")
            self._side.write(encode({"line": self._line, **side}))
        self._line += 1
        if self._line % self._flush_every == 0:
            self.flush()

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        self._out.flush()
        if self._side is not None:
            self._side.flush()
