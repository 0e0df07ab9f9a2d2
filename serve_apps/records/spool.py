"""What a process has not handed over yet, in a file of this machine: it outlives the process.

A gateway answers a request when its end lies here, so that a gateway that is killed takes no answered request out of
the record. The recorder, or the next gateway on that machine, hands over what a dead process left.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from serve_apps.records.store import Appender

log = logging.getLogger("edgebed")

SUFFIX = ".spool"
REWRITE_BYTES = 2**20
"""A file of this size is written anew with what still waits."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """What a process that is no more has left."""

    source: str
    first: int
    """Number of its first entry."""
    entries: bytes


class Spool:
    """The file of one process. Where it cannot be written, `why` says so and records are as safe as the process."""

    def __init__(self, folder: Path) -> None:
        self.why = ""
        self._folder = folder
        self._file: Appender | None = None
        self._path = folder
        self._head = ("", "")

    def begin(self, run_id: str, source: str, first: int) -> None:
        """Keep what waits in this run from now on."""
        self._drop()
        self._path, self._head = self._folder / f"{quote(source, safe='')}{SUFFIX}", (run_id, source)
        self._rewrite(first, ())

    def keep(self, entry: bytes) -> None:
        """One more entry waits."""
        if self._file is None:
            return
        try:
            self._file.append(entry)
            self._file.keep()
        except OSError as error:
            self._fail(error)

    def sent(self, first: int, waiting: Sequence[bytes]) -> None:
        """What stands before entry number `first` is in the record; these `waiting` are not."""
        if self._file is None or not waiting or self._file.size > REWRITE_BYTES:
            self._rewrite(first, waiting)

    def _rewrite(self, first: int, waiting: Sequence[bytes]) -> None:
        """Another file in the place of the present one, whole."""
        part = self._path.with_suffix(".part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            file = Appender(part, private=True)
            file.lock()
            file.append(b"".join([pickle.dumps((*self._head, first)), *waiting]))
            file.keep()
            part.replace(self._path)
        except OSError as error:
            self._fail(error)
            return
        self._drop()
        self._file, self.why = file, ""

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _fail(self, error: OSError) -> None:
        if not self.why:
            log.error("records are not kept on this machine: %s", error)
        self.why = error.strerror or str(error)
        self._drop()


def orphans(folder: Path, run_id: str) -> Iterator[Orphan]:
    """What processes that are no more left of this run. Their files stay: what is handed over again is known."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    continue  # unpickling runs what is written there
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                of_run, source, first = pickle.load(file)
                entries = file.read()
        except (OSError, EOFError, pickle.UnpicklingError, ValueError):
            continue  # its process lives, or it was never whole
        if of_run == run_id:
            yield Orphan(source, first, entries)
