"""The files of a run: its record, and what lies beside it."""

from __future__ import annotations

import os
from pathlib import Path
from weakref import finalize

import orjson

from edgebed.runs.client_log import CLIENT_LOG
from emulation.recording import SIDE_FILE
from serve_apps.records.segments import BEGIN


class OpenFile:
    """A file that is read where it grows, and read again where somebody asks; closed with its last user.

    Whoever puts another file in its place leaves this one as it was. Raises `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finalize(self, os.close, self._fd)
        found = os.fstat(self._fd)
        self.identity = (found.st_dev, found.st_ino)

    def read(self, at: int, size: int) -> bytes:
        """Up to so many bytes from a place. Raises `OSError`."""
        return os.pread(self._fd, size, at)


def client_logs(folder: Path) -> list[Path]:
    """The logs of the clients of a run: one, or one for each worker of its load."""
    log = folder / CLIENT_LOG
    return [file for file in (log, *sorted(folder.glob(f"{log.stem}.w*{log.suffix}"))) if file.is_file()]


def begin_s(folder: Path) -> float:
    """When the record of a folder begins, virtual seconds: after 0 for a segment of a longer one."""
    try:
        with (folder / SIDE_FILE).open("rb") as side:
            first = orjson.loads(side.readline(1 << 16))
        begin = first.get(BEGIN) if isinstance(first, dict) and first.get("line") == 0 else None
    except (OSError, ValueError):
        return 0.0
    return float(begin) if isinstance(begin, (int, float)) else 0.0
