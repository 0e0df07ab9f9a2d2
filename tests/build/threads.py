"""Which threads of a process would outlive its tests: no interpreter may be taken down under one of them."""

from __future__ import annotations

import threading
from pathlib import Path

FOREIGN = ("tqdm_monitor",)
"""Threads of libraries that only sleep, and that end with the interpreter."""
CONNECTED = ("client.poll", "server.poll", "grpcpp_sync_ser", "task_event_buff", "worker.user_obj")
"""Native threads of a process that is connected to Ray; its `shutdown` ends them."""


def left_behind(before: frozenset[threading.Thread]) -> list[str]:
    """Python threads that were not there before, and native ones of a connection to Ray, by name."""
    ours = [t.name for t in threading.enumerate() if t not in before and t.name not in FOREIGN]
    return ours + [name for name in _native() if name.startswith(CONNECTED)]


def _native() -> list[str]:
    """Names of all threads of this process, as the kernel knows them."""
    found = []
    for task in Path("/proc/self/task").glob("*/comm"):
        try:
            found.append(task.read_text().strip())
        except OSError:  # it ended just now
            continue
    return found
