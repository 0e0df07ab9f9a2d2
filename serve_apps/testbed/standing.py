"""A live testbed that stays: one background process owns it, a state file says where it is, a signal ends
it."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import orjson

from emulation.domain.cluster import TestbedConfig
from emulation.recording import write_whole
from serve_apps.testbed.live import LiveCluster, LiveOptions


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
    options: dict[str, str | int]
    folder: str = ""
    """Where its records are."""

    def attach(self) -> LiveCluster:
        """Join it. Raises `ConnectionError` if it does not answer."""
        testbed = TestbedConfig.model_validate_json(self.testbed)
        return LiveCluster.attach(self.address, testbed, LiveOptions(**self.options))  # type: ignore[arg-type]

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


def read_standing(path: Path) -> Standing | None:
    """The testbed of this state file; None if there is none, or its owner is gone (the file is then
    removed)."""
    found = read_state(path)
    if found is not None and not found.alive():
        path.unlink(missing_ok=True)
        return None
    return found


def read_state(path: Path) -> Standing | None:
    """What a state file says, whether its owner lives or not; None if there is none."""
    try:
        return Standing(**orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def say_how_it_ended(path: Path, failure: str) -> None:
    """Leave beside the state file of this process's testbed whether all went well as it was taken down (empty: yes)."""
    word = {"pid": os.getpid(), "started": started_at(os.getpid()), "failure": failure}
    write_whole(_end_of(path), orjson.dumps(word))


def how_it_ended(path: Path, ended: Standing) -> str:
    """What went wrong as a testbed was taken down, in its owner's words; empty if nothing did. Read once."""
    try:
        word = orjson.loads(_end_of(path).read_bytes())
        ours = (word["pid"], word["started"]) == (ended.pid, ended.started)
        failure = str(word["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        ours, failure = False, ""
    _end_of(path).unlink(missing_ok=True)
    return failure if ours else "its process ended before it had closed the record"


def _end_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.ended{path.suffix}")


def stand(cluster: LiveCluster, path: Path, folder: Path) -> None:
    """Write the state file and keep the testbed up until SIGTERM or SIGINT; the file is gone afterwards.

    The caller then stops the cluster. Call it from the main thread of the process that started the cluster. `folder`:
    where its records are.
    """
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    previous = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
    pid = os.getpid()
    state = Standing(
        pid, started_at(pid) or 0, cluster.address, cluster.url, cluster.testbed.model_dump_json(),
        asdict(cluster.options), str(folder),
    )  # fmt: skip
    write_whole(path, orjson.dumps(asdict(state)))
    try:
        while not asked.wait(1.0):
            pass
    finally:
        path.unlink(missing_ok=True)
        for number, handler in previous.items():
            signal.signal(number, handler)


def started_at(pid: int) -> int | None:
    """Start time of a process in kernel ticks; None if there is no such process (a zombie is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
