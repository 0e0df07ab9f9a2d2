"""Processes of this machine by number and start time, and the mark by which those of a testbed are known.

Whoever owns a testbed puts the mark into its environment before it starts anything, so all that it starts, and all that
these start, carry it. Knows nothing but the standard library: the guardian runs on it alone.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "EDGEBED_TESTBED"
"""Environment variable that names the owner a process was started for, as `Process.name` has it."""
LOOK_S = 0.1
ASKED_S = 3.0
"""Wall seconds processes have to end by themselves after SIGTERM, before SIGKILL."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process: a number that the kernel gives away again does not mislead."""

    pid: int
    started: int
    """When it started, in kernel ticks."""

    @property
    def name(self) -> str:
        """Both numbers in one word."""
        return f"{self.pid}.{self.started}"

    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return started_at(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it is gone, whoever has its number now."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)


def process_of(pid: int) -> Process | None:
    """The process that has this number now; None if none has."""
    started = started_at(pid)
    return None if started is None else Process(pid, started)


def started_at(pid: int) -> int | None:
    """Start time of a process in kernel ticks; None if there is no such process (a zombie is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def marked(owner: str) -> list[Process]:
    """Every process that was started for this owner, by the mark it was born with; the caller is never among them."""
    mark = f"{MARK}={owner}".encode()
    return [
        found for found in _all_processes() if found.pid != os.getpid() and mark in _environment(found.pid)
    ]


def end_marked(owner: str, asked_s: float = ASKED_S, limit_s: float = 15.0) -> list[Process]:
    """End every process that was started for this owner: asked first, killed after `asked_s` wall seconds.

    Returns those it found, and comes back when none is left, or after `limit_s`.
    """
    found: dict[Process, None] = {}
    began = time.monotonic()
    while (left := marked(owner)) and time.monotonic() < began + limit_s:
        kill = time.monotonic() >= began + asked_s
        for process in left:
            if kill or process not in found:
                process.send(signal.SIGKILL if kill else signal.SIGTERM)
            found[process] = None
        time.sleep(LOOK_S)
    return list(found)


def _all_processes() -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (found := process_of(int(entry.name))) is not None:
            yield found


def _environment(pid: int) -> list[bytes]:
    """What a process was started with; nothing of one that is gone, or another user's."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []
