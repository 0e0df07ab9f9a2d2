"""Which threads of a process would outlive its tests: no interpreter may be taken down under one of them."""

from __future__ import annotations

import threading
from pathlib import Path

FOREIGN = ("tqdm_monitor",)
"""Threads of libraries that only sleep, and that end with the interpreter."""
CONNECTED = ("client.poll", "server.poll", "grpcpp_sync_ser", "task_event_buff", "worker.user_obj")
"""Native threads of a process that is connected to Ray; its `shutdown` ends them."""


def left_behind(before: frozenset[threading.Thread]) -> list[str]:
    """Python threads that were not there before, native ones of a connection to Ray, and those that wake by themselves.

    A native thread that only waits for work does nothing while the interpreter ends; one that sleeps for a time may
    wake just then.
    """
    ours = [t.name for t in threading.enumerate() if t not in before and t.name not in FOREIGN]
    of_python = {t.native_id for t in threading.enumerate()}
    native = [(name, waits) for number, name, waits in _native() if number not in of_python]
    return ours + [name for name, waits in native if name.startswith(CONNECTED) or "nanosleep" in waits]


def _native() -> list[tuple[int, str, str]]:
    """Number, name and where it waits, of all threads of this process, as the kernel knows them."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            name, waits = (task / "comm").read_text().strip(), (task / "wchan").read_text()
        except OSError:  # it ended just now
            continue
        found.append((int(task.name), name, waits))
    return found
