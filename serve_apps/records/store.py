"""The files of an open run, written a whole batch at a time or not at all; and what they say after a crash.

Beside the record there is a folder `.open` as long as its run is not closed. Its journal has a line for each batch:
how far record and side file went with it, who arrived and who ended. What lies in a file beyond the last line of the
journal was never acknowledged and is cut off. Written means handed to the operating system: it survives the death of
every process, not a loss of power.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from emulation.domain.records import Record
from emulation.jsonl import read_lines
from emulation.recording import RECORD_FILE, SIDE_FILE, encode

OPEN_FOLDER = ".open"
"""In the folder of a run that is not closed; only its owner may look into it."""
JOURNAL_FILE = "journal.jsonl"
NEXT_JOURNAL = "journal.next"
"""Of a segment that begins, until it is in the place of the one before."""


CANNOT = "the record cannot be written"
"""How `Unwritten` begins."""


class Unwritten(ValueError):
    """A record that cannot be written now. Whoever sent it keeps it; nothing is lost once there is room."""

    @classmethod
    def because(cls, error: OSError) -> Unwritten:
        """In words that name the reason and no path: clients read them too."""
        return cls(f"{CANNOT}: {error.strerror or error}")


class Appender:
    """A file that grows by whole pieces: of one that could not be written, nothing stays."""

    def __init__(self, path: Path, size: int = 0, private: bool = False) -> None:
        """Of what the file holds `size` bytes count. `private`: nobody else may read it. Raises `OSError`."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600 if private else 0o666)
        self.size = size
        """Bytes that count."""
        self._length = -1
        """Bytes there, as far as known; below 0: not known."""

    def append(self, piece: bytes) -> None:
        """Write a piece behind what counts; it counts only after `keep`. Raises `OSError`."""
        if self._length != self.size:
            os.ftruncate(self._fd, self.size)
        self._length = -1
        left, at = memoryview(piece), self.size
        while left:
            written = os.pwrite(self._fd, left, at)
            left, at = left[written:], at + written
        self._length = at

    def keep(self) -> None:
        """What was written counts from now on."""
        self.size = self._length

    def cut(self) -> None:
        """Remove what does not count, if that is possible."""
        self._length = -1
        with suppress(OSError):
            os.ftruncate(self._fd, self.size)
            self._length = self.size

    def lock(self) -> None:
        """Say that a process which lives writes this file. Raises `BlockingIOError` if another one does."""
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Close the file; it can be written no more."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of a run's files counts."""

    record: int = 0
    side: int = 0
    lines: int = 0
    """Of the record."""


class RunStore:
    """A sink of records that keeps them until `commit` has written all of them, with a line of the journal.

    What could not be written waits and is written first the next time: `settle` says when there is no such thing.
    """

    def __init__(
        self,
        folder: Path,
        sizes: Sizes | None = None,
        journal_bytes: int = 0,
        journal: str = JOURNAL_FILE,
    ) -> None:
        """`sizes`: what counts of the files that are there; None: nothing. Raises `OSError`."""
        private = folder / OPEN_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        private.mkdir(mode=0o700, exist_ok=True)
        sizes = sizes or Sizes()
        self._journal = Appender(private / journal, journal_bytes)
        self._journal.lock()
        self._record = Appender(folder / RECORD_FILE, sizes.record)
        self._side = Appender(folder / SIDE_FILE, sizes.side)
        self._lines = sizes.lines
        self._rows: list[bytes] = []
        self._sides: list[bytes] = []
        self._notes: list[bytes] = []
        self._files = (self._side, self._record, self._journal)
        for file in self._files:
            file.cut()

    @property
    def size(self) -> int:
        """Bytes of record and side file that are written."""
        return self._record.size + self._side.size

    def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None:
        """Take one record, and its side data if there is any; `commit` writes them."""
        self._rows.append(encode(record))
        if side:
            self._sides.append(encode({"line": self._lines, **side}))
        self._lines += 1

    def commit(self, note: Mapping[str, Any]) -> None:
        """Write what was taken since the last call, and a line of the journal. Raises `Unwritten`; it then waits."""
        record = self._record.size + sum(map(len, self._rows))
        side = self._side.size + sum(map(len, self._sides))
        self._notes.append(encode({**note, "at": [record, side, self._lines]}))
        self.settle()

    def settle(self) -> None:
        """Write what waits. Raises `Unwritten`."""
        if not self._notes:
            return
        try:
            for file, pieces in zip(self._files, (self._sides, self._rows, self._notes), strict=True):
                file.append(b"".join(pieces))
        except OSError as error:
            for file in self._files:
                file.cut()
            raise Unwritten.because(error) from error
        for file in self._files:
            file.keep()
        self._rows, self._sides, self._notes = [], [], []

    def take_the_place(self, folder: Path) -> None:
        """The journal of a segment that begins is the run's from now on. Raises `OSError`."""
        private = folder / OPEN_FOLDER
        (private / NEXT_JOURNAL).replace(private / JOURNAL_FILE)

    def close(self) -> None:
        """Close the files; what waits is given up."""
        for file in self._files:
            file.close()


def journal_of(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of an open run's journal, and how many bytes they are; a torn last line is left out.

    Empty for a run that is closed, or that no recorder kept. Raises `RecordError` for a bad line.
    """
    file = folder / OPEN_FOLDER / JOURNAL_FILE
    if not file.exists():
        return [], 0
    whole = file.read_bytes().rpartition(b"\n")[0]
    lines = read_lines(file, orjson.loads)
    return lines, len(whole) + bool(whole)


def sizes_of(folder: Path, journal: list[dict[str, Any]]) -> Sizes:
    """How much of a run's files counts, by its journal: all, once it was closed, as they may be in order already."""
    if not journal:
        return Sizes()
    record, side, lines = journal[-1]["at"]
    if any("closed" in line for line in journal):
        record, side = (_size(folder / name) for name in (RECORD_FILE, SIDE_FILE))
    return Sizes(record, side, lines)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an open run as its recorder would. Raises `BlockingIOError` while a recorder holds it."""
    file = Appender(folder / OPEN_FOLDER / JOURNAL_FILE)
    try:
        file.lock()
        yield
    finally:
        file.close()
