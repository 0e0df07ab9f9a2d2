"""What is done to whom: one row per fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["kill", "stop", "fill"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault."""

    name: str
    target: str
    """Regular expression over the command lines of the testbed's processes; `owner` for the one that owns it."""
    action: Action = "kill"
    hold_s: float = 0.0
    """Wall seconds until it is undone: SIGCONT, or room on the disk."""
    ends: bool = False
    """Whether the testbed cannot survive it; it then has to end by itself, with a sentence and without left-overs."""
    drops: bool = False
    """Whether connections that are open at that moment may break, which tells a client at once."""
    raylets: bool = False
    gateways: int = 1
    compares: bool = False
    """The testbed is that of `edgebed compare --live`, with the load of its own."""


_ACTORS = {
    "recorder": r"^ray::Recorder",
    "node": r"^ray::NodeCore",
    "replica": r"^ray::ServeReplica:.*--gpt2",
    "planner": r"^ray::PlannerHost",
    "scheduler": r"^ray::SchedulerHost",
    "deployer": r"^ray::DeployerHost",
    "events": r"^ray::EventPlayer",
    "controller": r"^ray::ServeController",
}
_GATEWAY = r"^ray::ServeReplica:.*:gateway"
_GCS, _AGENT, _RAYLET = r"/gcs_server ", r"^ray::DashboardAgent|dashboard/agent\.py", r"/raylet/raylet "
_HOLD_S = 3.0

KINDS = {
    kind.name: kind
    for kind in (
        Kind("gateway-kill", _GATEWAY, drops=True),
        Kind("gateway-stop", _GATEWAY, "stop", _HOLD_S),
        Kind("one-of-two-gateways-kill", _GATEWAY, drops=True, gateways=2),
        *(Kind(f"{name}-kill", pattern) for name, pattern in _ACTORS.items()),
        *(Kind(f"{name}-stop", pattern, "stop", _HOLD_S) for name, pattern in _ACTORS.items()),
        Kind("worker-raylet-kill", _RAYLET, raylets=True),
        Kind("gcs-stop", _GCS, "stop", _HOLD_S),
        Kind("dashboard-agent-stop", _AGENT, "stop", _HOLD_S),
        Kind("disk-full", "", "fill", _HOLD_S),
        Kind("gcs-kill", _GCS),
        Kind("dashboard-agent-kill", _AGENT, ends=True, drops=True),
        Kind("head-raylet-kill", _RAYLET, ends=True, drops=True),
        Kind("owner-kill", "owner", ends=True, drops=True),
        Kind("compare-kill", "owner", ends=True, drops=True, compares=True),
    )
}
