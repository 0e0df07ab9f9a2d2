"""Killing a process, and knowing that it is gone."""

from __future__ import annotations

import os
import select
import signal

from tests.build.waiting import LONG_S


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
