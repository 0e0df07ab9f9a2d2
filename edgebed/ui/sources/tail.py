"""The record of a folder as it grows: read where it goes on, in another segment too; anew where it is replaced."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, suppress
from pathlib import Path

from edgebed.ui.sifting.beside import LONG, sifted_beside
from edgebed.ui.sources.files import OpenFile, begin_s, client_logs, parts_of, standing_file
from edgebed.ui.sources.first_token import FirstTokens
from edgebed.ui.sources.intake import Intake, Tables
from emulation.domain.cluster import TestbedConfig
from emulation.recording import RECORD_FILE

PIECE = 1 << 22
"""Bytes read at once."""
_HEAD = 512
"""Bytes by which a file that was written anew in its place is told."""


class Reading:
    """One pass over a record, from its first part to where its last one ends by now."""

    def __init__(self, folder: Path, testbed: TestbedConfig) -> None:
        self._folder = folder
        self._intake, self.first_tokens = Intake(testbed), FirstTokens()
        self._coming: deque[OpenFile] = deque()
        self._file: OpenFile | None = None
        self._at, self._head = 0, b""
        self._logs: dict[Path, tuple[OpenFile, int]] = {}
        parts = parts_of(folder)
        self.from_s = begin_s(parts[0].parent) if parts else 0.0
        for part in parts:
            with suppress(OSError):  # the oldest segment may go meanwhile
                self._coming.append(OpenFile(part))

    @property
    def tables(self) -> Tables:
        """What was read so far."""
        return self._intake.tables

    def step(self, until: float) -> bool:
        """Read what there is, at most until this wall time (monotonic); whether all of it was read."""
        while self._file is not None or self._coming:
            piece = b"" if self._file is None else self._file.read(self._at, PIECE)
            if piece:
                self._intake.feed(piece)
                self._at += len(piece)
            elif self._coming:
                self._begin(self._coming.popleft())
            else:
                break
            if time.monotonic() > until:
                return False
        self._read_logs()
        return True

    def read_all(self) -> None:
        """Read until the end of what there is, a long record by several processes. Raises `OSError`."""
        helped = True
        while not self.step(time.monotonic()):
            if helped and self._file is not None and self._file.size - self._at >= LONG:
                helped = self._read_beside(self._file)

    def _read_beside(self, file: OpenFile) -> bool:
        """Most of what the present file holds by now; False if processes fail: what they left is read here."""
        try:
            with closing(sifted_beside(file, self._at, file.size)) as stretches:
                for each in stretches:
                    self._intake.take(each)
                    self._at += each.size
        except (OSError, RuntimeError):  # whatever is wrong with the file itself shows when it is read here
            return False
        return True

    def end(self) -> None:
        """Nobody writes any more: a last line without its end counts."""
        self._intake.end()

    def _begin(self, file: OpenFile) -> None:
        self._file, self._at = file, 0
        self._head = file.read(0, _HEAD)
        self._intake.begin(file)

    def _read_logs(self) -> None:
        for path in client_logs(self._folder):
            with suppress(OSError):
                file, at = self._logs.get(path) or (OpenFile(path), 0)
                while piece := file.read(at, PIECE):
                    self.first_tokens.feed(path.name, piece)
                    at += len(piece)
                self._logs[path] = file, at

    def goes_on(self) -> bool:
        """Whether what the folder holds now is what was read, or what follows it; else it is to be read anew."""
        found = standing_file(self._folder / RECORD_FILE)
        if found is None:
            return True  # between two segments there is none for a moment
        if self._file is None:
            return False
        identity, size = found
        if identity == self._file.identity:
            return size >= self._at and self._file.read(0, _HEAD)[: len(self._head)] == self._head
        self.step(time.monotonic() + 1.0)  # what was still written into the old one
        footer = self.tables.footer
        if footer is None or begin_s(self._folder) != footer.t_s:
            return False
        with suppress(OSError):
            self._begin(OpenFile(self._folder / RECORD_FILE))
        return True


class Tail:
    """What a folder's record says by now. While it is read anew, what was read before stands."""

    def __init__(self, folder: Path, testbed: TestbedConfig) -> None:
        self._folder, self._testbed = folder, testbed
        self.reading = Reading(folder, testbed)
        self._next: Reading | None = None

    def look(self, limit_s: float) -> bool:
        """Read what is new, for at most so many wall seconds; whether all of it is another record than before."""
        until = time.monotonic() + limit_s
        if self._next is None and not self.reading.goes_on():
            self._next = Reading(self._folder, self._testbed)
        if self._next is None:
            self.reading.step(until)
            return False
        if not self._next.step(until):
            return False
        self.reading, self._next = self._next, None
        return True

    def read_all(self) -> None:
        """Read until the end of what there is. Raises `OSError`."""
        self.reading.read_all()
