"""Records on their way to the recorder: collected here, sent in batches, never on a request's path."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from typing import Any

from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.names import RECORDER

log = logging.getLogger("edgebed")

Entry = tuple[str, tuple[Any, ...]]
"""Method of the run's ledger, and its arguments."""


class RecordBatch:
    """Buffer of one source. Batches are numbered, so that one sent twice is counted once.

    Numbers begin at the clock's nanoseconds: those of a restarted process are above its predecessor's.
    """

    def __init__(self, calls: Calls, source: str, period_s: float = 0.25) -> None:
        self.source = source
        self._calls = calls
        self._period_s = period_s
        self._entries: list[Entry] = []
        self._unsent: tuple[int, list[Entry]] | None = None
        self._number = 0
        self._run_id = ""
        self._lock = asyncio.Lock()
        self._since_s = 0.0
        """When the oldest entry that waits was added, by the monotonic clock."""

    def begin(self, run_id: str) -> None:
        """Collect for another run from now on; what was left of the last one is dropped."""
        self._run_id = run_id
        self._entries, self._unsent, self._number = [], None, time.time_ns()

    def add(self, method: str, *args: Any) -> None:
        """Append one entry."""
        if not self._entries and self._unsent is None:
            self._since_s = time.monotonic()
        self._entries.append((method, args))

    @property
    def unsent(self) -> int:
        """Entries that wait for the recorder."""
        return len(self._entries) + (0 if self._unsent is None else len(self._unsent[1]))

    @property
    def lag_s(self) -> float:
        """Wall seconds the oldest of them has waited; 0 if there is none."""
        return time.monotonic() - self._since_s if self.unsent else 0.0

    async def flush(self) -> None:
        """Send what is there and wait until it is written.

        Raises `Unreached`; what could not be sent is kept for the next time.
        """
        async with self._lock:
            while self._entries or self._unsent is not None:
                if self._unsent is None:
                    self._number += 1
                    self._unsent, self._entries = (self._number, self._entries), []
                number, entries = self._unsent
                pickled = pickle.dumps(entries)
                await self._calls.call(RECORDER, "append", self._run_id, self.source, number, pickled)
                self._unsent = None
                self._since_s = time.monotonic()

    async def try_flush(self) -> None:
        """`flush`, where nobody can do anything about an error."""
        try:
            await self.flush()
        except (Unreached, ValueError) as error:
            log.warning("%s: recorder not reached, records kept: %s", self.source, error)

    async def run(self) -> None:
        """Flush for ever, every `period_s` wall seconds."""
        while True:
            await self.period()

    async def period(self) -> None:
        """Wait one period, then flush."""
        await asyncio.sleep(self._period_s)
        await self.try_flush()
