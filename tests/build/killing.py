"""Killing or stopping a process, and knowing that it is gone or stands still."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from tests.build.waiting import LONG_S, eventually


def kill(pid: int) -> None:
    """Kill a process and return when all its threads have ended: by then no connection and no listening port is its.

    That others (Ray, the lookout, a gateway's successor) know of it is to be waited for.
    """
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        ended, _, _ = select.select([descriptor], [], [], LONG_S)
        assert ended, f"process {pid} was killed and still runs"
    finally:
        os.close(descriptor)


def stop(pid: int) -> None:
    """Stop a process and return when it does stand still: until then it goes on."""
    os.kill(pid, signal.SIGSTOP)
    stat = Path(f"/proc/{pid}/stat")
    eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
