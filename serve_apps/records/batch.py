"""Records on their way to the recorder: collected here, sent in batches, never on a request's path."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from typing import Any

from serve_apps.records.books import SEALED
from serve_apps.records.books import Entry as Entry
from serve_apps.records.spool import Spool
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.names import RECORDER

log = logging.getLogger("edgebed")

PERIOD_S = 0.25
"""Wall seconds between two batches of one source: what is lost of one that keeps no spool, if its process is killed."""
LATE_S = 2.0
"""Age of an entry, wall seconds, from which its waiting is a trouble and no passing delay."""
MOST_IN_ONE = 2_000
"""Entries of one batch: a recorder that was away is not stalled by all that waited for it."""
MOST_WAITING_MB = 64
"""Records one process keeps for a recorder that does not take them. A gateway refuses requests beyond."""


class RecordBatch:
    """Buffer of one source. Entries are numbered, so that one sent twice is counted once.

    Numbers begin at the clock's nanoseconds: those of a restarted process are above its predecessor's. What is sent is
    kept until the recorder says that it is written.
    """

    def __init__(
        self, calls: Calls, source: str, period_s: float = PERIOD_S, spool: Spool | None = None
    ) -> None:
        """`spool`: where entries lie meanwhile, safe from the death of this process."""
        self.source = source
        self.why = ""
        """Why the last batch was not taken; empty: it was."""
        self.failures = 0
        """Batches of this run that were not taken when they were sent first, or again."""
        self._calls = calls
        self._period_s = period_s
        self._spool = spool
        self._entries: list[bytes] = []
        self._added_s: list[float] = []
        """When, by the monotonic clock; one for each entry."""
        self._bytes = 0
        self._next = 0
        """Number of the first entry."""
        self.run_id = ""
        """Of what is collected."""
        self._sealed = False
        self._lock = asyncio.Lock()

    def begin(self, run_id: str) -> None:
        """Collect for another run from now on; what was left of the last one is dropped."""
        if self._entries:
            log.error("%s: %d records of run %s were never taken", self.source, self.unsent, self.run_id)
        self.run_id, self.why, self.failures, self._sealed = run_id, "", 0, False
        self._entries, self._added_s, self._bytes, self._next = [], [], 0, time.time_ns()
        if self._spool is not None:
            self._spool.begin(run_id, self.source, self._next)

    def add(self, method: str, *args: Any) -> None:
        """Append one entry."""
        entry = pickle.dumps((method, args), pickle.HIGHEST_PROTOCOL)
        self._entries.append(entry)
        self._added_s.append(time.monotonic())
        self._bytes += len(entry)
        if self._spool is not None:
            self._spool.keep(entry)

    def seal(self) -> None:
        """No request ends here in this run any more; the recorder hears so behind all that was added before."""
        if not self._sealed:
            self._sealed = True
            self.add(SEALED)

    @property
    def unsent(self) -> int:
        """Entries that the recorder has not written yet."""
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether no more requests may be taken: their records would have no place."""
        return self._bytes > MOST_WAITING_MB * 2**20

    @property
    def trouble(self) -> str:
        """Why records have been waiting for long; empty: they have not."""
        if self.full:
            return f"no more requests are taken: {self.why}"
        if self.lag_s > LATE_S:
            return self.why
        return f"no spool: {self._spool.why}" if self._spool is not None and self._spool.why else ""

    @property
    def lag_s(self) -> float:
        """Age of the oldest entry that is not written yet, wall seconds; 0: there is none."""
        return time.monotonic() - self._added_s[0] if self._added_s else 0.0

    async def flush(self, slot: int | None = None) -> None:
        """Send what is there and wait until it is written.

        `slot` has just begun: the recorder hears with the last batch, be it empty, that all before it is told. Raises
        `Unreached`, and `ValueError` with the recorder's words where it cannot write; what could not be sent is kept
        for the next time.
        """
        async with self._lock:
            while self._entries or slot is not None:
                entries = self._entries[:MOST_IN_ONE]
                told = slot if len(entries) == len(self._entries) else None
                await self._send(entries, told)
                slot = slot if told is None else None
            self.why = ""

    async def _send(self, entries: list[bytes], slot: int | None = None) -> None:
        run_id, batch = self.run_id, b"".join(entries)
        try:
            await self._calls.call(RECORDER, "append", run_id, self.source, self._next, batch, slot)
        except (Unreached, ValueError) as error:
            away = isinstance(error, Unreached)
            self.why, self.failures = (
                "the recorder does not answer" if away else str(error),
                self.failures + 1,
            )
            raise
        if run_id != self.run_id or not entries:
            return  # another run has begun meanwhile, or nothing was to be said but the slot
        del self._entries[: len(entries)], self._added_s[: len(entries)]
        self._bytes -= sum(map(len, entries))
        self._next += len(entries)
        if self._spool is not None:
            self._spool.sent(self._next, self._entries)

    async def try_flush(self) -> None:
        """`flush`, where nobody can do anything about an error."""
        try:
            await self.flush()
        except (Unreached, ValueError) as error:
            log.warning("%s: %d records kept: %s", self.source, self.unsent, error)

    async def run(self) -> None:
        """Flush for ever, every `period_s` wall seconds."""
        while True:
            await self.period()

    async def period(self) -> None:
        """Wait one period, then flush."""
        await asyncio.sleep(self._period_s)
        await self.try_flush()
