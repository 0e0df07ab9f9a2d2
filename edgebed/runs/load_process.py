"""The load generator of a live run, a process of its own: it is asked to end before it is killed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from serve_apps.testbed.guardian import guard
from workloads.command import load_command, load_environment


def start_load(
    scenario: Path | str, seed: int, url: str, t0_wall: float, speedup: float, client_log: Path,
    own_run: bool = False, rate: float = 1.0,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Locust, headless, in a process (and group) of its own; its words go to `locust.log` beside the client's log.

    What else it is told: `load_command`.
    """
    command = load_command(scenario, seed, url, t0_wall, speedup, client_log, own_run=own_run, rate=rate)
    guard()
    with client_log.with_name("locust.log").open("wb") as words:
        return subprocess.Popen(
            command, stdout=words, stderr=subprocess.STDOUT, env=load_environment(), start_new_session=True
        )


def stop_load(load: subprocess.Popen[bytes]) -> None:
    """End a load generator that still runs: first asked, so that it closes its log, then killed."""
    if load.poll() is None:
        load.terminate()
        try:
            load.wait(10)
        except subprocess.TimeoutExpired:
            load.kill()
            load.wait()
