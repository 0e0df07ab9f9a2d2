"""Rewriting the record of a long run line by line: it never stands in memory as a whole, as one of a day would not."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from emulation.domain.records import Record
from emulation.jsonl import RecordError
from emulation.recording import (
    RECORD_FILE,
    SIDE_FILE,
    canonical_order,
    decode,
    encode,
    part_of,
    side_of,
    take_the_places,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a record: its place in the file, bytes, and what it says."""

    at: int
    size: int
    record: Record


@dataclass(frozen=True, slots=True)
class _Places:
    """Places of lines in a file; `at` below 0: there is none."""

    at: NDArray[np.int64]
    size: NDArray[np.int64]

    def read(self, file: IO[bytes], number: int) -> bytes:
        file.seek(int(self.at[number]))
        return file.read(int(self.size[number]))


def lines_of(folder: Path) -> Iterator[Line]:
    """The lines of a run's record, one by one; a torn last line (a crash) is left out.

    Raises `RecordError` naming file and line, and `OSError`.
    """
    for at, line, record in _parsed(folder / RECORD_FILE, decode):
        yield Line(at, len(line), record)


def sides_of(folder: Path, numbers: Set[int]) -> Iterator[dict[str, Any]]:
    """The side data of these lines of a run's record, where there is any. Raises `RecordError` and `OSError`."""
    file = side_of(folder)
    if file.exists():
        for _, _, row in _parsed(file, orjson.loads):
            if row["line"] in numbers:
                yield row


def rewrite(folder: Path, changed: Callable[[Record], Record]) -> None:
    """Write the record of a run again in canonical order, each line as `changed` has it; its side data goes with it.

    What `changed` gives back as it is stays so to the byte. Both files appear whole, or neither. In memory there are
    some 40 bytes a line. Raises `RecordError` and `OSError`.
    """
    take_the_places(folder)
    keys, places = array("d"), array("q")
    for line in lines_of(folder):
        keys.extend(canonical_order(changed(line.record)))
        places.extend((line.at, line.size))
    group, moment, priority = np.frombuffer(keys).reshape(-1, 3).T
    order = np.lexsort((priority, moment, group))  # stable: the order of writing breaks ties
    at, size = np.frombuffer(places, dtype=np.int64).reshape(-1, 2).T
    _write_in_order(folder, order, _Places(at, size), _side_places(folder / SIDE_FILE, len(at)), changed)


def _write_in_order(
    folder: Path,
    order: NDArray[np.int64],
    records: _Places,
    sides: _Places | None,
    changed: Callable[[Record], Record],
) -> None:
    files = [folder / RECORD_FILE, *([folder / SIDE_FILE] if sides is not None else [])]
    with ExitStack() as stack:
        read = [stack.enter_context(file.open("rb")) for file in files]
        out = stack.enter_context(_taking_the_place_of(*files))
        for number, before in enumerate(order):
            raw = records.read(read[0], before)
            record = decode(raw)
            now = changed(record)
            out[0].write(raw if now is record and raw.endswith(b"\n") else encode(now))
            if sides is not None and sides.at[before] >= 0:
                out[1].write(encode({**orjson.loads(sides.read(read[1], before)), "line": number}))


def _side_places(file: Path, lines: int) -> _Places | None:
    """Line of the record to where its side data stands; None: the run has no such file."""
    if not file.exists():
        return None
    found = _Places(np.full(lines, -1, dtype=np.int64), np.zeros(lines, dtype=np.int64))
    for at, raw, number in _parsed(file, lambda line: int(orjson.loads(line)["line"])):
        if number < lines:  # else of a line that was torn
            found.at[number], found.size[number] = at, len(raw)
    return found


def _parsed(file: Path, parse: Callable[[bytes], T]) -> Iterator[tuple[int, bytes, T]]:
    """Place and bytes of each line, with what `parse` makes of it."""
    at = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield at, line, parse(line)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                if not line.endswith(b"\n"):
                    return
                kind = type(error) if isinstance(error, RecordError) else RecordError
                raise kind(f"{file}, line {number}: {error}") from error
            at += len(line)


@contextmanager
def _taking_the_place_of(*files: Path) -> Iterator[list[IO[bytes]]]:
    """Files to write that take the place of these once all are whole; whatever happens, nothing half-written stays."""
    parts = [part_of(file) for file in files]
    try:
        with ExitStack() as stack:
            yield [stack.enter_context(part.open("wb")) for part in parts]
        for file, part in zip(files, parts, strict=True):
            part.replace(file)
    except BaseException:
        for part in reversed(parts):
            with suppress(OSError):
                part.unlink(missing_ok=True)
        raise
