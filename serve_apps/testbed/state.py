"""Where a testbed stands: the state file between the process that owns it and the commands that use and end it.

Knows no Ray: whoever only wants to know, or to end it, must not wait for that.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError
from serve_apps.testbed.processes import Process, end_marked, started_at


def home() -> Path:
    """Folder of what outlives a command: EDGEBED_HOME, or `~/.edgebed`."""
    given = os.environ.get("EDGEBED_HOME")
    return Path(given) if given else Path.home() / ".edgebed"


END_S = 900.0
"""Wall seconds a testbed has to end: whoever is stalled is waited for, and a record of days is put in order."""


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
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def alive(self) -> bool:
        """Whether its owner still runs."""
        return started_at(self.pid) == self.started

    def end(self, timeout_s: float = END_S) -> bool:
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


@dataclass(frozen=True, slots=True)
class Ending:
    """What the owner of a testbed says of its end."""

    pid: int
    started: int | None
    failure: str
    """What went wrong; empty if nothing did."""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


def read_standing(path: Path) -> Standing | None:
    """The testbed of this state file; None if there is none, or its owner is gone (the file stays: `down` says what
    became of it). Raises `ConfigError` for a file that is none."""
    found = read_state(path)
    return found if found is not None and found.alive() else None


def read_state(path: Path) -> Standing | None:
    """What a state file says, whether its owner lives or not; None if there is none. Raises `ConfigError` for a file
    that is none, or cannot be read."""
    return _read(Standing, path, "end what stands by its process, see `ps`, and remove the file")


def how_it_ended(path: Path, ended: Standing) -> str:
    """What went wrong as a testbed was taken down, in its owner's words; empty if nothing did. Read once."""
    try:
        word = _read(Ending, end_of(path), "look at `up.log` beside its records")
    except ConfigError as error:
        return str(error)
    finally:
        end_of(path).unlink(missing_ok=True)
    if word is None or (word.pid, word.started) != (ended.pid, ended.started):
        return "its process ended before it had closed the record"
    return word.failure


def refuse_second(path: Path) -> None:
    """Raise `ConfigError` if a testbed stands; writes nothing."""
    standing = read_standing(path)
    if standing is not None:
        raise ConfigError(f"a testbed stands already at {standing.url}; end it with `edgebed down`")


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """While it lasts, the state file is this process's alone: whoever else would stand a testbed is refused.

    The lock is the kernel's, so that none stays when its holder is killed. Raises `ConfigError` if a testbed stands, is
    being started or is being taken down, or the folder cannot be written.
    """
    lock = path.with_suffix(".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{lock}: cannot be written ({error.strerror}); name another folder in EDGEBED_HOME"
        ) from None
    try:
        free = _locked(descriptor)
        refuse_second(path)
        if not free:
            raise ConfigError(
                f"a testbed is being started or taken down here ({lock} is held); wait for that, or name another"
                " folder in EDGEBED_HOME for one beside it"
            )
        yield
    finally:
        os.close(descriptor)


def forget(path: Path, owner: Process) -> None:
    """Remove the state file of this owner's testbed; that of another stays."""
    found = read_state(path)
    if found is not None and (found.pid, found.started) == (owner.pid, owner.started):
        path.unlink(missing_ok=True)


def _locked(descriptor: int) -> bool:
    """Take the lock of an open file, without waiting; whether that went well."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def end_of(path: Path) -> Path:
    """The file beside the state file in which its owner says how it ended."""
    return path.with_name(f"{path.stem}.ended{path.suffix}")


_Schema = TypeVar("_Schema", Standing, Ending)


def _read(schema: type[_Schema], path: Path, remedy: str) -> _Schema | None:
    try:
        return TypeAdapter(schema).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        said = complaint(schema, error)
        raise ConfigError(f"{path}: is damaged, or of another edgebed: {said}; {remedy}") from None
