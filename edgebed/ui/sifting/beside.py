"""A long record is sifted by processes beside the one of the page, which answers meanwhile."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from edgebed.ui.sifting.sifted import Sifted, sift

LONG = 1 << 26
"""Bytes from which on a record is long."""
STRETCH = 1 << 24
"""Bytes that one process sifts at once, about."""
MOST_PROCESSES = 4
_LOOK = 1 << 16
"""Bytes in which a line end is looked for at once."""


class File(Protocol):
    """A file that is open in this process."""

    @property
    def path(self) -> Path:
        """By which another process opens it."""

    def read(self, at: int, size: int) -> bytes:
        """Up to so many bytes from a place. Raises `OSError`."""


def sifted_beside(file: File, at: int, until: int) -> Generator[Sifted]:
    """What the whole lines between two places of a file hold, stretch by stretch in their order.

    Raises `OSError`, and `RuntimeError` where no process can be had or one is killed.
    """
    processes = max(1, min(MOST_PROCESSES, os.cpu_count() or 1))
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin) as pool:
        waiting = deque[Future[Sifted]]()
        for begin, end in _stretches(file, at, until):
            waiting.append(pool.submit(_sift, file.path, begin, end - begin))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _begin() -> None:
    """A Ctrl-C ends the process that these work for, and so them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _sift(path: Path, at: int, size: int) -> Sifted:
    with path.open("rb") as file:
        file.seek(at)
        return sift(file.read(size), at)


def _stretches(file: File, at: int, until: int) -> Iterator[tuple[int, int]]:
    """Begin and end of stretches of whole lines; what follows the last line end is in none."""
    while at < until and (end := _line_end(file, at, min(at + STRETCH, until), until)) is not None:
        yield at, end
        at = end


def _line_end(file: File, begin: int, near: int, until: int) -> int | None:
    """The place after the last line end between `begin` and `near`, else after the first one behind; None: none."""
    first = max(begin, near - _LOOK)
    if (found := file.read(first, near - first).rfind(b"\n")) >= 0:
        return first + found + 1
    while near < until and (piece := file.read(near, min(_LOOK, until - near))):
        if (found := piece.find(b"\n")) >= 0:
            return near + found + 1
        near += len(piece)
    return None
