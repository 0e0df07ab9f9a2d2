"""The rows of a trace file, one after the other, by its declared format: what can be read of each, or why it cannot."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import TypeAdapter, ValidationError

from emulation.domain.quantities import TenantName, shown
from emulation.domain.trace_source import TimeUnit, TraceColumns, TraceFormat, TraceSource
from workloads.trace_files import PACKAGED, TraceError, csv_lines, text_lines, trace_path

Unread = Literal["unreadable", "not_a_time", "not_a_number", "negative", "bad_tenant", "out_of_order"]
"""Why a row cannot be taken as it stands.

unreadable: not as many cells as the header has, no JSON object, or a field is missing. not_a_time, not_a_number: that
is not what stands there. negative: a time or count below zero. bad_tenant: no name that a tenant may have.
out_of_order: earlier than a row before it.
"""

_AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_BURSTGPT = TraceColumns(
    time="Timestamp", time_unit="s", prompt_tokens="Request tokens", output_tokens="Response tokens", model="Model"
)  # fmt: skip
_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MOST_TOKENS = 10**9
"""Of a row, before the limits of its source; a larger count is no count."""
_MOST_S = 10**12
_NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT = re.compile(r"-?\d{1,19}", re.ASCII)
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))? ?(?:(Z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_TENANT: TypeAdapter[str] = TypeAdapter(TenantName)
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One measured request. `t_s` counts from an arbitrary origin."""

    number: int
    t_s: float
    context_tokens: int
    generated_tokens: int
    model: str = ""
    """As the trace calls it; empty where it does not say."""
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be taken."""

    number: int
    reason: Unread
    told: str
    """Line, field, value and what is wrong with it."""


class _Bad(Exception):
    """What is wrong with the row that is being read."""

    def __init__(self, reason: Unread, field: str, value: Any, why: str) -> None:
        super().__init__(f"{field} {shown(value)}: {why}")
        self.reason = reason


def format_of(source: TraceSource) -> TraceFormat:
    """The format its trace is read by. Raises `TraceError` where a packaged trace is of another one."""
    packaged = PACKAGED.get(source.trace)
    if packaged is None:
        return source.format or "azure"
    if source.format not in (None, packaged.format):
        raise TraceError(
            f"trace {source.trace!r} is of format {packaged.format}, not {source.format}; leave format out"
        )
    return packaged.format


def rows_of(source: TraceSource) -> Iterator[TraceRow | BadRow]:
    """Rows from `start_row` on, lazily; blank lines are none. Numbers count from 0.

    Raises `TraceError` where the file as a whole cannot be read, and with `bad_rows: refuse` at the first bad row.
    """
    path, form = trace_path(source.trace), format_of(source)
    columns = {"azure": None, "burstgpt": _BURSTGPT, "csv": source.columns, "mooncake": None}[form]
    lines = _json_rows(path) if form == "mooncake" else _csv_rows(path, columns)
    return read_rows(path, lines, source.start_row, refuse=source.bad_rows == "refuse")


def read_rows(
    path: Path, lines: Iterator[tuple[int, _Parse | None]], start_row: int = 0, refuse: bool = False
) -> Iterator[TraceRow | BadRow]:
    """Rows in order of time, from lines and what parses each (None: a blank line). `refuse`: raise at a bad one."""
    previous_s, number, blank = -math.inf, -1, 0
    for line, parse in lines:
        if parse is None:
            blank = blank or line
            continue
        if blank and refuse:
            raise TraceError(f"{path}: line {blank}: is blank, and rows follow; remove it")
        number += 1
        if number < start_row:
            continue
        try:
            t_s, n_in, n_out, model, tenant = parse()
            if t_s < previous_s:
                raise _Bad("out_of_order", "time", t_s, "earlier than the row before; sort the file")
        except _Bad as bad:
            if refuse:
                raise TraceError(f"{path}: line {line}: {bad}") from None
            yield BadRow(number, bad.reason, f"line {line}: {bad}")
            continue
        previous_s = t_s
        yield TraceRow(number, t_s, n_in, n_out, model, tenant)


_Parsed = tuple[float, int, int, str, str | None]
"""Time in seconds, tokens in, tokens out, model, tenant."""
_Parse = Callable[[], _Parsed]
"""Raises `_Bad`."""


# -- CSV ------------------------------------------------------------------------------------------------------


def azure_rows(path: Path) -> Iterator[tuple[int, _Parse | None]]:
    """The lines of an Azure LLM inference trace (2023 or 2024)."""
    return _csv_rows(path, None)


def _csv_rows(path: Path, columns: TraceColumns | None) -> Iterator[tuple[int, _Parse | None]]:
    """Lines of a CSV with these columns, None: exactly those of Azure's traces."""
    lines = csv_lines(path)
    _, header = next(lines, (1, []))
    reader = _CsvReader(path, header, columns)
    for line, cells in lines:
        yield line, reader.parser(cells) if cells else None


class _CsvReader:
    """Where in a row the fields are, by the header."""

    def __init__(self, path: Path, header: list[str], columns: TraceColumns | None) -> None:
        self._width = len(header)
        if columns is None:
            if tuple(header) != _AZURE:
                found, wanted = shown(",".join(header)), ",".join(_AZURE)
                raise TraceError(
                    f"{path}: line 1: columns {found}; expected {wanted!r}, separated by commas; for other files "
                    "say which format they have"
                )
            columns = TraceColumns(
                time=_AZURE[0], time_unit="date", prompt_tokens=_AZURE[1], output_tokens=_AZURE[2]
            )
        self._columns = columns
        self._at = {name: _place(path, header, name) for name in _names(columns)}

    def parser(self, cells: list[str]) -> _Parse:
        """What reads these cells."""
        return lambda: self._read(cells)

    def _read(self, cells: list[str]) -> _Parsed:
        if len(cells) != self._width:
            why = f"has {len(cells)} of {self._width} columns; complete or remove the row"
            raise _Bad("unreadable", "row", ",".join(cells), why)
        c, at = self._columns, self._at
        t_s = time_s(c.time, cells[at[c.time]], c.time_unit)
        n_in = _count(c.prompt_tokens, cells[at[c.prompt_tokens]])
        n_out = _count(c.output_tokens, cells[at[c.output_tokens]])
        tenant = None if c.tenant is None else _tenant(c.tenant, cells[at[c.tenant]])
        return t_s, n_in, n_out, "" if c.model is None else cells[at[c.model]], tenant


def _names(columns: TraceColumns) -> tuple[str, ...]:
    named = (columns.time, columns.prompt_tokens, columns.output_tokens, columns.model, columns.tenant)
    return tuple(n for n in named if n is not None)


def _place(path: Path, header: list[str], name: str) -> int:
    if header.count(name) != 1:
        how = "no" if name not in header else "more than one"
        fix = "correct the header or the mapping"
        if len(header) == 1:
            fix = "separate its cells by commas, or correct the mapping"
        raise TraceError(f"{path}: line 1: {how} column {name!r} among {shown(','.join(header))}; {fix}")
    return header.index(name)


def time_s(field: str, cell: str, unit: TimeUnit) -> float:
    """Seconds of a time in this unit, from its origin (dates: from 1970, UTC). Raises `_Bad`."""
    if unit == "date":
        return _date_s(field, cell)
    if not _NUMBER.fullmatch(cell):
        raise _Bad("not_a_time", field, cell, f"not a number of {unit}")
    value = int(cell) / _PER_S[unit] if cell.isdigit() and len(cell) < 25 else float(cell) / _PER_S[unit]
    return _checked_s(field, cell, value)


def _checked_s(field: str, given: Any, value: float) -> float:
    if value < 0:
        raise _Bad("negative", field, given, "a time below zero")
    if value > _MOST_S:
        raise _Bad("not_a_time", field, given, f"more than {_MOST_S:.0e} seconds")
    return value


def _date_s(field: str, cell: str) -> float:
    """Seconds since 1970 of `YYYY-MM-DD HH:MM:SS.fffffff+HH:MM`: any fraction, any offset or none, which is UTC."""
    found = _DATE.fullmatch(cell)
    try:
        moment = None if found is None else datetime.fromisoformat(f"{found[1]} {found[2]}")
    except ValueError:
        moment = None
    if found is None or moment is None:
        raise _Bad("not_a_time", field, cell, "not a time; write YYYY-MM-DD HH:MM:SS.ffffff")
    since = moment - _EPOCH
    if found[5]:
        offset = timedelta(hours=int(found[6]), minutes=int(found[7]))
        since += offset if found[5] == "-" else -offset
    return since.days * 86_400 + since.seconds + (float(f"0.{found[3]}") if found[3] else 0.0)


def _tenant(field: str, cell: str) -> str | None:
    try:
        return _TENANT.validate_python(cell) if cell else None
    except ValidationError:
        why = "no name of a tenant: at most 64 letters, digits, '.', '_' and '-', a letter or digit first"
        raise _Bad("bad_tenant", field, cell, why) from None


def _count(field: str, cell: str) -> int:
    count = int(cell) if _COUNT.fullmatch(cell) and cell != "-0" else None
    return _checked(field, cell, count)


def _checked(field: str, given: Any, count: int | None) -> int:
    if count is not None and count < 0:
        raise _Bad("negative", field, given, "a count below zero")
    if count is None or count > _MOST_TOKENS:
        why = f"not a whole number from 0 to {_MOST_TOKENS}; correct or remove the row"
        raise _Bad("not_a_number", field, given, why)
    return count


# -- JSON lines -----------------------------------------------------------------------------------------------


def _json_rows(path: Path) -> Iterator[tuple[int, _Parse | None]]:
    """Lines of a Mooncake trace: {"timestamp": milliseconds, "input_length": ..., "output_length": ...}."""
    for line, text in text_lines(path):
        yield line, _json_parser(text) if text else None


def _json_parser(text: str) -> _Parse:
    return lambda: _mooncake(text)


def _mooncake(text: str) -> _Parsed:
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError:
        row = None
    if not isinstance(row, Mapping):
        raise _Bad("unreadable", "row", text, "no JSON object")
    for name in ("timestamp", "input_length", "output_length"):
        if name not in row:
            raise _Bad("unreadable", "row", text, f"has no {name!r}")
    t = row["timestamp"]
    if isinstance(t, bool) or not isinstance(t, int | float):
        raise _Bad("not_a_time", "timestamp", t, "not a number of ms")
    t_s = _checked_s("timestamp", t, t / 1000)
    n_in, n_out = (_json_count(row, name) for name in ("input_length", "output_length"))
    return t_s, n_in, n_out, "", None


def _json_count(row: Mapping[str, Any], name: str) -> int:
    value = row[name]
    return _checked(name, value, value if isinstance(value, int) and not isinstance(value, bool) else None)
