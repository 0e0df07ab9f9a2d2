"""What is killed under a running testbed is seen, comes back where it can, and takes nothing else with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray

from emulation.recording import read_run
from serve_apps.testbed.lookout import BACK_S, CONTROL_SERVICE, CONTROLLER
from tests.build.killing import kill
from tests.build.waiting import eventually

Begin = Callable[..., Any]


def pid_of(name: str) -> int:
    """Process of a named actor, Serve's own included; 0 while it is away."""
    ask: Any = ray._private.state.actors
    alive = (row["Pid"] for row in ask().values() if row["Name"] == name and row["State"] == "ALIVE")
    return int(next(alive, 0))


def kill_actor(name: str) -> None:
    """Kill the process of a named actor once it is there."""
    kill(eventually(lambda: pid_of(name), BACK_S))


def test_a_healthy_gateway_outlives_serves_controller_and_both_deaths_are_counted(begin: Begin) -> None:
    live = begin("sect")
    watch = live.cluster.lookout.watch
    gateway = live.http.get("/health").json()["pid"]
    kill_actor("SERVE_CONTROLLER_ACTOR")
    eventually(lambda: watch.died[CONTROLLER] == 1, BACK_S, watch.said)
    eventually(lambda: pid_of("SERVE_CONTROLLER_ACTOR"), BACK_S)
    assert live.chat(max_tokens=4).status_code == 200
    assert live.http.get("/health").json()["pid"] == gateway
    kill_actor("planner")
    eventually(lambda: watch.died["planner"] == 1, BACK_S, watch.said)
    eventually(lambda: pid_of("planner"), BACK_S)  # whoever begins the next run needs it
    assert live.cluster.lookout.settled() is None
    footer, _ = live.end()
    assert footer.conserved()


def test_rays_control_service_is_started_again_and_what_dies_after_it_comes_back(begin: Begin) -> None:
    live = begin("sect")
    watch = live.cluster.lookout.watch
    kill(live.cluster.base.processes[CONTROL_SERVICE].pid)
    assert live.chat(max_tokens=4).status_code == 200, "serving goes on meanwhile"
    eventually(lambda: watch.died[CONTROL_SERVICE] == 1 and live.cluster.lookout.head_alive())
    kill_actor("planner")
    # The new control service hears of it when the raylet has found its way back to it.
    eventually(lambda: watch.died["planner"] == 1 and pid_of("planner"), 90.0, watch.said)
    assert live.cluster.lookout.settled() is None
    assert live.chat(max_tokens=4).status_code == 200
    footer, _ = live.end()
    assert footer.conserved()


def test_a_run_that_is_ended_lets_what_is_in_flight_end_first(begin: Begin) -> None:
    live = begin("sect")
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(live.chat, max_tokens=200, ignore_eos=True)  # a second on the wall
        eventually(lambda: live.at_nodes() == 1)
        footer = live.cluster.end_run()
        assert sent.result(20).status_code == 200
    assert footer.ends == {"gpt2": {"done": 1}}
    assert [r.outcome for r in read_run(live.folder).requests] == ["done"]
    assert live.chat(max_tokens=4).status_code == 503
