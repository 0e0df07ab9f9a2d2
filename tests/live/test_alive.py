"""What is killed under a running testbed is seen, comes back where it can, and takes nothing else with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import ray

from serve_apps.testbed.sight import CONTROLLER
from tests.build.waiting import eventually

Begin = Callable[..., Any]


def pid_of(name: str) -> int:
    """Process of a named actor, Serve's own included."""
    ask: Any = ray._private.state.actors
    (pid,) = [row["Pid"] for row in ask().values() if row["Name"] == name and row["State"] == "ALIVE"]
    return int(pid)


def test_a_healthy_gateway_outlives_serves_controller_and_both_deaths_are_counted(begin: Begin) -> None:
    live = begin("sect")
    watch = live.cluster.lookout.watch
    gateway = live.http.get("/health").json()["pid"]
    os.kill(pid_of("SERVE_CONTROLLER_ACTOR"), signal.SIGKILL)
    eventually(lambda: watch.died[CONTROLLER] == 1 and not watch.waits())
    eventually(lambda: pid_of("SERVE_CONTROLLER_ACTOR"))
    assert live.chat(max_tokens=4).status_code == 200
    assert live.http.get("/health").json()["pid"] == gateway
    os.kill(pid_of("planner"), signal.SIGKILL)
    eventually(lambda: watch.said() == f"{CONTROLLER} ×1, planner ×1")
    assert live.cluster.lookout.settled() is None
    footer, _ = live.end()
    assert footer.conserved()
