"""When a segment of a record is over, and what is done with it then, beside everything else."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from emulation.jsonl import RecordError
from serve_apps.records.books import Books
from serve_apps.records.segments import LONGEST_H, Keeping, tidy
from serve_apps.records.store import Unwritten

log = logging.getLogger("edgebed")


class Turning:
    """Of one run. Nobody who sends records waits for a segment that is put in order."""

    def __init__(self, keep_bytes: int | None) -> None:
        """None: the record stays in one piece, all of it kept."""
        self._keeping = None if keep_bytes is None else Keeping(keep_bytes)
        self._began_s = time.monotonic()
        self._tidying: asyncio.Task[None] | None = None

    def look(self, books: Books, now_s: float) -> None:
        """Begin the next segment if the present one is large or old enough."""
        keeping, age_s = self._keeping, time.monotonic() - self._began_s
        if keeping is None or (books.size < keeping.segment_bytes and age_s < LONGEST_H * 3600):
            return
        try:
            books.turn(now_s)
        except Unwritten as error:  # it is done with what comes next
            log.error("the next segment of the record is not begun yet: %s", error)
        self._began_s = time.monotonic()
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.ensure_future(self._tidy(books.folder, keeping))

    async def end(self, folder: Path) -> None:
        """The run is closed: put what is left in order."""
        if self._tidying is not None:
            await self._tidying
            self._tidying = None
        if self._keeping is not None:
            await self._tidy(folder, self._keeping)

    async def _tidy(self, folder: Path, keeping: Keeping) -> None:
        try:
            await asyncio.to_thread(tidy, folder, keeping)
        except (OSError, RecordError) as error:  # it is tried again when the next segment is over
            log.error("segments of the record are not in order: %s", error)
