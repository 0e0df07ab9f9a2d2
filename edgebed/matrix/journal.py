"""Where finished runs are kept: one line each, written out before the next one counts as done.

A line that is not whole (the machine went down while it was written) is cut off when the journal is opened again. The
file is locked as long as somebody works on it, so that two commands do not write into each other's lines.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from edgebed.matrix.figures import Kept
from emulation.domain.mistakes import ConfigError
from emulation.domain.strict import Strict

JOURNAL_FILE = "journal.jsonl"


class _Line(Strict):
    key: str
    run: str
    """For whoever reads it: cell, scheme and seed."""
    kept: Kept


class Journal:
    """The finished runs of a folder, by key. Open it with `with`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_FILE
        self._file: IO[bytes] | None = None
        self.runs: dict[str, Kept] = {}

    def __enter__(self) -> Self:
        """Read what is there and lock it. Raises `ConfigError` if another command works on it, or it is damaged."""
        file = self._path.open("a+b")
        try:
            self._lock(file)
            self._read(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()

    def add(self, key: str, run: str, kept: Kept) -> None:
        """Keep one run. Raises `OSError` if it cannot be written."""
        assert self._file is not None
        self._file.write(_Line(key=key, run=run, kept=kept).model_dump_json().encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.runs[key] = kept

    def _lock(self, file: IO[bytes]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"{self._path.parent}: another edgebed matrix is at work here; wait for it, or give another folder"
                " with --out"
            ) from None

    def _read(self, file: IO[bytes]) -> None:
        file.seek(0)
        whole = 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            if (found := self._line(number, line)) is not None:
                self.runs[found.key] = found.kept
        file.truncate(whole)

    def _line(self, number: int, line: bytes) -> _Line | None:
        """One line; None for one that another version kept, whose keys are others. Raises `ConfigError`."""
        try:
            return _Line.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if first["loc"][:1] == ("kept",):
                return None
            raise ConfigError(
                f"{self._path}: line {number}: not a run that was kept"
                f" ({'.'.join(map(str, first['loc'])) or 'line'}: {first['msg'].lower()}); remove the line, or give"
                " another folder with --out"
            ) from None
