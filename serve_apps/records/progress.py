"""The progress record: which prompts of which request are finished, kept where it survives those who serve them.

A node reports prompts as they finish; the recorder appends them to `progress.jsonl` and hands them to whoever must
dispatch a request again. Every prompt of a request is in the file at most once, whatever died in between: a report
of an attempt that was given up, or of prompts that are finished already, is not written. Every policy goes on after
the last finished prompt, requeue too; nothing starts over. The line says which attempt finished which prompts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from emulation.domain.measured import Measured
from emulation.jsonl import read_lines
from emulation.recording import Run
from serve_apps.records.store import Appender, Unwritten
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.messages import Finished
from serve_apps.wire.names import RECORDER

log = logging.getLogger("edgebed")

PROGRESS_FILE = "progress.jsonl"
PAUSE_S = 0.02
"""Wall seconds between two messages of one node: what finishes meanwhile goes in one."""
SEND_TIMEOUT_S = 5.0
REMEMBERED = 10_000
"""Requests that ended, of which late reports are still recognised."""
_FINISHED = TypeAdapter(Finished)


class ProgressReport:
    """Finished prompts of one node on their way to the recorder: the first at once, one message at a time."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._run_id = ""
        self._unsent: dict[str, Finished] = {}
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()

    def begin(self, run_id: str) -> None:
        """Report for another run from now on; what was left of the last one is dropped."""
        self._run_id = run_id
        self._unsent = {}

    def note(self, finished: Finished) -> None:
        """More prompts of a request are finished."""
        _merge(self._unsent, finished)
        self._news.set()

    async def flush(self) -> None:
        """Send what is there and wait until it is written; what could not be sent is kept, and the error raised."""
        async with self._lock:
            if not self._unsent:
                return
            run_id, sending, self._unsent = self._run_id, self._unsent, {}
            try:
                reports = tuple(sending.values())
                await self._calls.call(RECORDER, "finished", run_id, reports, limit_s=SEND_TIMEOUT_S)
            except (Unreached, ValueError):
                if run_id == self._run_id:
                    newer, self._unsent = self._unsent, sending
                    for finished in newer.values():
                        _merge(self._unsent, finished)
                raise

    async def try_flush(self) -> None:
        """`flush`, where nobody can do anything about an error: what was not sent is sent later."""
        try:
            await self.flush()
        except (Unreached, ValueError) as error:
            log.warning("progress record: recorder not reached, kept: %s", error)
            self._news.set()

    async def run(self) -> None:
        """Send what finishes, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.try_flush()
            await asyncio.sleep(PAUSE_S)


class ProgressBook:
    """The recorder's side: the file of one run, and how far every open request is."""

    def __init__(self, folder: Path, again: bool = False) -> None:
        """`again`: go on with what is in the file. (Which attempts were given up it does not say.)"""
        folder.mkdir(parents=True, exist_ok=True)
        written = read_progress(folder) if again else []
        self._path = folder / PROGRESS_FILE
        self._out = Appender(self._path, sum(len(_line(report)) for report in written))
        self._out.cut()
        self._known: dict[str, Finished] = {report.request_id: report for report in written}
        self._ended: deque[str] = deque()

    def add(self, reports: Iterable[Finished]) -> None:
        """Write what is new, at once; the operating system has it when this returns. Raises `Unwritten`."""
        fresh: dict[str, Finished] = {}
        lines = [_line(line) for report in reports if (line := self._new(fresh, report)) is not None]
        if lines:
            try:
                self._out.append(b"".join(lines))
            except OSError as error:
                self._out.cut()
                raise Unwritten.because(error) from error
            self._out.keep()
        self._known |= fresh

    def take_over(self, request_id: str, attempt: int) -> Measured:
        """What attempt number `attempt` starts from; from now on no earlier attempt is listened to."""
        known = self._known.get(request_id) or Finished(request_id=request_id, attempt=attempt)
        self._known[request_id] = replace(known, attempt=max(attempt, known.attempt))
        return Measured(
            prompts_done=known.done,
            service_s=known.service_s,
            started_s=known.started_s,
            stutter=known.stutter,
        )

    def ended(self, request_id: str) -> None:
        """The request has ended: nobody will ask for it, but a late report must still not be written twice."""
        self._ended.append(request_id)
        if len(self._ended) > REMEMBERED:
            self._known.pop(self._ended.popleft(), None)

    def turn(self) -> None:
        """Go on in a file of its own, which begins with how far every open request is. Raises `OSError`."""
        self._out.close()
        over = set(self._ended)
        self._out = Appender(self._path)
        self._out.cut()
        self._out.append(b"".join(_line(f) for name, f in self._known.items() if name not in over and f.done))
        self._out.keep()

    def close(self) -> None:
        """Close the file."""
        self._out.close()

    def _new(self, fresh: dict[str, Finished], report: Finished) -> Finished | None:
        """What of a report is neither known nor `fresh`, and is fresh from now on; None if nothing is."""
        before = fresh.get(report.request_id) or self._known.get(report.request_id)
        if before is not None:
            if report.attempt < before.attempt or report.done <= before.done:
                return None
            report = replace(report, after=before.done)
        fresh[report.request_id] = report
        return report


def _line(report: Finished) -> bytes:
    return orjson.dumps(report) + b"\n"


def read_progress(folder: Path) -> list[Finished]:
    """The progress record of a run, in the order written; a torn last line (a crash) is left out.

    Raises `RecordError` naming the line that is none.
    """
    file = folder / PROGRESS_FILE
    return read_lines(file, _FINISHED.validate_json) if file.exists() else []


def broken_promises(progress: Sequence[Finished], run: Run) -> list[str]:
    """What contradicts "every prompt of a request that is done was finished exactly once"; empty if nothing does."""
    times: dict[str, Counter[int]] = {}
    for line in progress:
        times.setdefault(line.request_id, Counter()).update(range(line.after, line.done))
    found = [
        f"{request_id}: prompt {index} finished {count} times"
        for request_id, counted in times.items()
        for index, count in sorted(counted.items())
        if count > 1
    ]
    for record in run.requests:
        if record.outcome != "done":
            continue
        missing = set(range(record.prompts)) - set(times.get(record.request_id, ()))
        if missing:
            found.append(f"{record.request_id}: done, but prompts {sorted(missing)} are not in the record")
    return found


def _merge(unsent: dict[str, Finished], finished: Finished) -> None:
    """Of one attempt the last report says it all, from where the first began; another attempt's replaces it."""
    waiting = unsent.get(finished.request_id)
    if waiting is not None and waiting.attempt == finished.attempt:
        finished = replace(finished, after=waiting.after)
    unsent[finished.request_id] = finished
