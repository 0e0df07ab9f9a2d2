"""What a stretch of a record's lines holds, found without knowing what came before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from edgebed.ui.sifting.codes import NO_ONE, Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUMBERS = (
    "intended_s", "dispatched_s", "started_s", "ended_s", "service_s", "transfer_s", "predicted_s", "turn_s",
    "attempt",
)  # fmt: skip
NAMES = ("model", "origin", "executor", "outcome")
FLAGS = ("counted", "stutter")
MOST_S = 1e12
"""No moment of a run is as far from its begin."""
NO_LINE = (ValueError, TypeError, KeyError, OverflowError)
"""What a line that is none of ours may raise."""
_PICK = itemgetter(*NUMBERS, *NAMES, *FLAGS)
_IS_REQUEST = b'"kind":"request"}'
_BY_ROUTER = b',"actor":"router",'
_FIRST = 64
"""Bytes of a line within which its actor stands, however many digits its moment has."""


@dataclass(frozen=True, slots=True)
class RequestColumns:
    """Requests as columns; names are codes of their own."""

    fields: Mapping[str, NDArray[Any]]
    names: Mapping[str, Sequence[str]]
    """Column to what its codes stand for; `NO_ONE` for none."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Decisions of the router, one line after the other: their moments, and where each line is and how long."""

    moments: Floats
    at: Ints
    size: Ints


@dataclass(frozen=True, slots=True)
class Other:
    """A line that is to be looked at by itself, and where it is."""

    line: bytes
    at: int


@dataclass(frozen=True, slots=True)
class Sifted:
    """A stretch of whole lines: its requests together, all others in their order."""

    lines: int
    size: int
    """Bytes, line ends included."""
    requests: RequestColumns | None
    told: Sequence[Routed | Other]


def sift(text: bytes, at: int) -> Sifted:
    """Of whole lines, of which the first begins at this place of its file; what follows the last one is left out."""
    lines = text.split(b"\n")[:-1]
    requests: list[bytes] = []
    moments: list[float] = []
    places: list[tuple[int, int]] = []
    told: list[Routed | Other] = []
    start = at
    for line in lines:
        size = len(line)
        if line.endswith(_IS_REQUEST):
            requests.append(line)
        elif (found := line.find(_BY_ROUTER, 0, _FIRST)) > 0 and line.startswith(b'{"t_s":'):
            moment = _number(line[7:found])
            if abs(moment) < MOST_S:
                moments.append(moment)
                places.append((at, size))
            else:
                told.append(Other(line, at))
        else:
            if moments:
                told.append(_routed(moments, places))
                moments, places = [], []
            told.append(Other(line, at))
        at += size + 1
    if moments:
        told.append(_routed(moments, places))
    columns, bad = _columns(requests)
    return Sifted(len(lines), at - start, columns, [*told, *bad])


def _routed(moments: Sequence[float], places: Sequence[tuple[int, int]]) -> Routed:
    at, size = np.array(places, dtype=np.int64).T
    return Routed(np.array(moments), at, size)


def _columns(lines: Sequence[bytes]) -> tuple[RequestColumns | None, list[Other]]:
    """Of lines that look like requests; if one is none, all of them are to be looked at one by one."""
    try:
        return columns_of(map(orjson.loads, lines)), []
    except NO_LINE:
        return None, [Other(line, 0) for line in lines]


def columns_of(rows: Iterable[Mapping[str, Any]]) -> RequestColumns | None:
    """The columns of these requests, of which no more than one need be there at a time; None of none.

    Raises `ValueError`, `TypeError`, `KeyError` or `OverflowError` if one is none.
    """
    picked = list(zip(*map(_PICK, rows), strict=True))
    if not picked:
        return None
    times = np.array(picked[: len(NUMBERS)], dtype=float)
    if not (np.abs(times[[0, 3]]) < MOST_S).all() or (np.abs(times) >= MOST_S).any():
        raise ValueError("a request without its times, or beyond all times")
    fields: dict[str, NDArray[Any]] = dict(zip(NUMBERS, times, strict=True))
    names = {name: Codes() for name in NAMES}
    for name, column in zip(NAMES, picked[len(NUMBERS) :], strict=False):
        codes = names[name]
        fields[name] = np.array([codes[n] for n in column], dtype=np.int32)
    for name, column in zip(FLAGS, picked[-len(FLAGS) :], strict=True):
        fields[name] = np.array(column, dtype=bool)
    return RequestColumns(fields, {name: codes.names for name, codes in names.items()})


def _number(text: bytes) -> float:
    """The number that this is; NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return nan


def in_common(codes: NDArray[Any], names: Sequence[str], common: Codes) -> NDArray[Any]:
    """Codes of their own as those of a common table, which learns the names that it lacks."""
    table = np.array([*(common[name] for name in names), NO_ONE], dtype=np.int32)
    found: NDArray[Any] = table[codes]  # that of no one is the last
    return found
