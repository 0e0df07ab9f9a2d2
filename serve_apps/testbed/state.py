"""Where a testbed stands: the state file between the process that owns it and the commands that use and end it.

Knows no Ray: whoever only wants to know, or to end it, must not wait for that.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from serve_apps.testbed.processes import Process, end_marked, started_at


def home() -> Path:
    """Folder of what outlives a command: EDGEBED_HOME, or `~/.edgebed`."""
    given = os.environ.get("EDGEBED_HOME")
    return Path(given) if given else Path.home() / ".edgebed"


@dataclass(frozen=True, slots=True)
class Standing:
    """What another process needs to join, or to end, a testbed that stays."""

    pid: int
    """Process that owns it."""
    started: int
    """When that process started, in kernel ticks: a number that is used again does not mislead."""
    address: str
    url: str
    testbed: str
    """The inventory, as JSON."""
    options: dict[str, Any]
    folder: str = ""
    """Where its records are."""
    gateways: tuple[str, ...] = ()
    """Where each gateway process alone was reached when it came up; `/control/gateways` says where now."""

    def alive(self) -> bool:
        """Whether its owner still runs."""
        return started_at(self.pid) == self.started

    def end(self, timeout_s: float = 60.0) -> bool:
        """Ask its owner to take everything down; whether it is gone within the timeout."""
        if self.alive():
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.alive()

    def end_rest(self) -> list[int]:
        """End what its owner, which is gone, left running; the numbers of these processes."""
        return [process.pid for process in end_marked(Process(self.pid, self.started).name)]


def read_standing(path: Path) -> Standing | None:
    """The testbed of this state file; None if there is none, or its owner is gone (the file stays: `down` says what
    became of it)."""
    found = read_state(path)
    return found if found is not None and found.alive() else None


def read_state(path: Path) -> Standing | None:
    """What a state file says, whether its owner lives or not; None if there is none."""
    try:
        return Standing(**orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def how_it_ended(path: Path, ended: Standing) -> str:
    """What went wrong as a testbed was taken down, in its owner's words; empty if nothing did. Read once."""
    try:
        word = orjson.loads(end_of(path).read_bytes())
        ours = (word["pid"], word["started"]) == (ended.pid, ended.started)
        failure = str(word["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        ours, failure = False, ""
    end_of(path).unlink(missing_ok=True)
    return failure if ours else "its process ended before it had closed the record"


def end_of(path: Path) -> Path:
    """The file beside the state file in which its owner says how it ended."""
    return path.with_name(f"{path.stem}.ended{path.suffix}")
