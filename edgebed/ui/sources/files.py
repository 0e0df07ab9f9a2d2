"""The files of a run: its record and what lies beside it, and whether somebody writes there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from weakref import finalize

import orjson

from edgebed.runs.client_log import CLIENT_LOG
from emulation.recording import RECORD_FILE, SEGMENTS, side_of
from serve_apps.records.segments import BEGIN
from serve_apps.records.store import JOURNAL_FILE, OPEN_FOLDER
from workloads.load import worker_logs

Identity = tuple[int, int]
"""Device and inode."""
LOCKS = Path("/proc/locks")
FRESH_S = 10.0
"""Wall seconds since its last line for which a record that nobody holds may still be on its way."""


class OpenFile:
    """A file that is read where it grows, and read again where somebody asks; closed with its last user.

    Whoever puts another file in its place leaves this one as it was. Raises `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._fd}")
        """By which another process opens this very file, whatever stands in its place by then."""
        finalize(self, os.close, self._fd)
        found = os.fstat(self._fd)
        self.identity = (found.st_dev, found.st_ino)

    def read(self, at: int, size: int) -> bytes:
        """Up to so many bytes from a place. Raises `OSError`."""
        return os.pread(self._fd, size, at)

    @property
    def size(self) -> int:
        """Bytes there are by now. Raises `OSError`."""
        return os.fstat(self._fd).st_size


def standing_file(path: Path) -> tuple[Identity, int] | None:
    """Which file a path names now, and its size; None if it names none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino), found.st_size


def parts_of(folder: Path) -> list[Path]:
    """The files of a record in their order: of one kept in segments, those that are over and the present one."""
    record = folder / RECORD_FILE
    if not record.is_file():
        return []
    if begin_s(folder) == 0.0:
        return [record]
    segments = folder.parent.parent / SEGMENTS
    return [*sorted(segments.glob(f"*/{folder.parent.name}/{folder.name}/{RECORD_FILE}")), record]


def client_logs(folder: Path) -> list[Path]:
    """The logs of the clients of a run: one, or one for each worker of its load."""
    log = folder / CLIENT_LOG
    return [file for file in (log, *worker_logs(log)) if file.is_file()]


def begin_s(folder: Path) -> float:
    """When the record of a folder begins, virtual seconds: after 0 for a segment of a longer one."""
    try:
        with side_of(folder).open("rb") as side:
            first = orjson.loads(side.readline(1 << 16))
        begin = first.get(BEGIN) if isinstance(first, dict) and first.get("line") == 0 else None
    except (OSError, ValueError):
        return 0.0
    return float(begin) if isinstance(begin, (int, float)) else 0.0


def is_held(folder: Path) -> bool:
    """Whether a recorder that lives holds the record of a folder.

    As the system lists the locks of its journal: trying for one might be in the recorder's way.
    """
    try:
        found = (folder / OPEN_FOLDER / JOURNAL_FILE).stat()
        locks = LOCKS.read_text()
    except OSError:
        return False
    name = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any(line.split()[5:6] == [name] for line in locks.splitlines())


def is_fresh(folder: Path) -> bool:
    """Whether the last line of a record is a few seconds old."""
    try:
        return time.time() - (folder / RECORD_FILE).stat().st_mtime < FRESH_S
    except OSError:
        return False
