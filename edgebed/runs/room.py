"""The control room beside what it shows: a process of its own, so that it takes nothing from whoever is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgebed.commands.console import say
from edgebed.runs.layout import UI_LOG
from serve_apps.testbed.guardian import guard
from serve_apps.testbed.ports import checked_port

HOST = "127.0.0.1"
NICENESS = 10
"""It waits where the testbed computes."""
END_S = 5.0
"""Wall seconds it has to end by itself."""


def room_url(port: int) -> str:
    """Where a browser finds it."""
    return f"http://{HOST}:{port}/"


def called(host: str) -> str:
    """How a process of this machine calls who listens at a host, within a URL."""
    if host in ("0.0.0.0", "::"):
        return HOST
    return f"[{host}]" if ":" in host else host


@contextmanager
def control_room(folder: Path, port: int | None, gateway: str | None = None) -> Iterator[None]:
    """Serve the page on that folder meanwhile, at a port of this machine; None: no page. Its words go to `ui.log`.

    `gateway`: where the testbed answers, if no file says so. The page ends with this process, however that ends
    (`guardian.py`).
    """
    if port is None:
        yield
        return
    guard()
    port = checked_port(HOST, port)
    command = [sys.executable, "-m", "edgebed.commands.main", "ui", str(folder), "--port", str(port)]
    command += ["--url", gateway] if gateway is not None else []
    with (folder / UI_LOG).open("wb") as words:
        page = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
        )
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, page.pid, NICENESS)
    say(f"control room at {room_url(port)}")
    try:
        yield
    finally:
        page.terminate()
        try:
            page.wait(END_S)
        except subprocess.TimeoutExpired:
            page.kill()
            page.wait()
