"""How the processes of a testbed are known: Ray shows an actor as `ray::` and the name of its class.

Made from the classes that `serve_apps/testbed/live.py` starts, so that a class of another name takes its pattern along;
`tests/benchmarks/test_actors.py` holds both against what is started.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from serve_apps.deciders.roles import DeployerHost, PlannerHost, SchedulerHost
from serve_apps.deciders.steered import SteeredRun
from serve_apps.node.core import NodeCore
from serve_apps.records.recorder import Recorder
from serve_apps.testbed.launcher import Launcher
from serve_apps.vram.actor import VramHost
from serve_apps.wire.names import GATEWAY_APP, REPLICA, app_name

ACTORS: Mapping[type, str] = {
    Recorder: "recorder",
    SteeredRun: "events",
    PlannerHost: "planner",
    SchedulerHost: "prompt scheduler",
    DeployerHost: "deployment agent",
    NodeCore: "node runtime",
    Launcher: "launcher",
    VramHost: "vRAM ledger",
}
"""Class of every actor of ours to its name in tables."""
SERVES_CONTROLLER = "ServeController"
"""Class of Serve's own."""
_SERVED = r"^ray::ServeReplica:"
GATEWAY = rf"{_SERVED}.*:{GATEWAY_APP}\b"
"""Regular expression over command lines, as all that follow."""


def actor(name: str) -> str:
    """An actor, by the name of its class."""
    return rf"^ray::{re.escape(name)}\b"


def replica_of(model: str) -> str:
    """The replicas of a model, on whatever node."""
    return rf"{_SERVED}.*{re.escape(app_name('', model))}:{REPLICA}\b"


def kind_of_actor(command: str) -> str | None:
    """What an actor's process is, by its command line: ours as tables call it, else `Ray's` and its class.

    None: it is no actor.
    """
    if re.match(GATEWAY, command):
        return "gateway"
    if re.match(_SERVED, command):
        return "replica"
    shown = re.match(r"ray::(\w+)", command)
    if shown is None:
        return None
    names = {cls.__name__: name for cls, name in ACTORS.items()} | {SERVES_CONTROLLER: "Serve's controller"}
    return names.get(shown[1], f"Ray's {shown[1]}")
