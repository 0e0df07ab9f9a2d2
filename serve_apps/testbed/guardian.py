"""Ends what a testbed leaves behind when its owner dies, and saves what was answered: a small process of its own.

An owner that is killed can clean up no more, and not all of its processes notice: Ray's agents stay, and a load
generator goes on firing at the port. `guard` starts the guardian and puts the mark into this process' environment, so
that it must be called before anything else is started.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

from serve_apps.testbed.processes import MARK, Process, end_marked, process_of

log = logging.getLogger("edgebed")

_ROOT = Path(__file__).parents[2]
_ADOPTS = "serve_apps.records.orphans"
"""Module that, run with a recorder's folder, enters into its books what gateways had not handed over."""
_NOTE, _KEYS, _TABLES = ".records", ".keys", "gcs-"


def guard() -> str:
    """See that all that this process starts from now on ends with it; the mark. Does nothing the second time."""
    own = process_of(os.getpid())
    assert own is not None, "this process runs"
    if os.environ.get(MARK) != own.name:
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "serve_apps.testbed.guardian", str(own.pid), str(own.started)]
        command.append(str(_note(own.name)))
        silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        os.posix_spawn(
            sys.executable, command, {**os.environ, "PYTHONPATH": path}, file_actions=silent, setsid=True
        )
        resource_tracker.ensure_running()  # Python's own, of which there is one: it goes with this process, unmarked
        os.environ[MARK] = own.name
        clear_after_the_dead()
    return own.name


def leave_word(records: Path | None) -> None:
    """Let the guardian know where the recorder of this process' testbed keeps its books; None: they are closed."""
    note = _note(guard())
    if records is None:
        note.unlink(missing_ok=True)
    else:
        from emulation.recording import write_whole

        write_whole(note, str(records).encode())


def _note(owner: str) -> Path:
    """The file for that, in a folder of this user alone."""
    from serve_apps.testbed.ray_access import private_folder  # the guardian itself needs nothing of Ray

    return private_folder().parent / f"{owner}{_NOTE}"


def keys_file() -> Path:
    """Where this process hands keys over to its testbed's processes."""
    return _note(guard()).with_suffix(_KEYS)


def hand_over_keys() -> Path:
    """Write that file, from the environment; see `wire/keys.py`."""
    from serve_apps.wire.keys import write_keys

    write_keys(keys_file())
    return keys_file()


def tables_of(owner: str) -> str:
    """What the name of a folder begins with in which an owner's Ray keeps its tables."""
    return f"{_TABLES}{owner}-"


def clear(owner: Process, folder: Path) -> None:
    """Remove keys and tables of an owner that is gone: they are of no use to anybody any more."""
    (folder / f"{owner.name}{_KEYS}").unlink(missing_ok=True)
    for tables in folder.glob(f"{tables_of(owner.name)}*"):
        shutil.rmtree(tables, ignore_errors=True)


def clear_after_the_dead() -> None:
    """The same for every owner whose guardian was killed, too."""
    folder = _note("").parent
    names = {path.name.removesuffix(_KEYS) for path in folder.glob(f"*{_KEYS}")}
    names |= {path.name.removeprefix(_TABLES).partition("-")[0] for path in folder.glob(f"{_TABLES}*")}
    for name in names:
        pid, _, started = name.partition(".")
        if pid.isdecimal() and started.isdecimal() and not (owner := Process(int(pid), int(started))).alive():
            clear(owner, folder)


def left_by_the_dead() -> Iterator[tuple[Process, Path]]:
    """Each owner that is gone while its books were open, with the note in which it left word of them.

    Its guardian is at work then, or was killed as well.
    """
    for note in sorted(_note("").parent.glob(f"*{_NOTE}")):
        pid, _, started = note.name.removesuffix(_NOTE).partition(".")
        owner = Process(int(pid), int(started))
        if not owner.alive():
            yield owner, note


def save(note: Path) -> bool:
    """Enter what gateways of a testbed had answered into its books, once nothing of it is left.

    Whoever comes second waits for the first, and finds it done. False if it could not be done, as where there is no
    room: the note then stays, so that it can be tried again.
    """
    with _one_at_a_time(note.parent):
        if not note.exists():
            return True
        if subprocess.run([sys.executable, "-m", _ADOPTS, note.read_text()], check=False).returncode:
            return False
        note.unlink()
    return True


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def outlive(owner: Process, note: Path) -> None:
    """Wait until a process is gone, then end all that was started for it, remove its keys and Ray's tables, and save
    what its gateways had answered.

    `note`: the file in which the owner leaves word of its recorder's folder, as long as books are open.
    """
    try:
        descriptor = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        descriptor = -1
    if descriptor >= 0 and owner.alive():
        select.select([descriptor], [], [])
    if ended := end_marked(owner.name):
        _say(owner, ended)
    clear(owner, note.parent)
    save(note)


def _say(owner: Process, ended: list[Process]) -> None:
    """Leave word in the logs of the run, if it has any."""
    from serve_apps.observe.logs import write_logs  # what it needs is not kept in memory all the while

    write_logs("guardian")
    pids = " ".join(str(process.pid) for process in ended)
    log.warning("the owner, process %d, is gone; ended what it left: %s", owner.pid, pids)


if __name__ == "__main__":
    os.closerange(3, 1024)  # nobody waits for a file that only the guardian still holds
    outlive(Process(int(sys.argv[1]), int(sys.argv[2])), Path(sys.argv[3]))
