"""What is done to whom: one row per fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.actors import GATEWAY, SERVES_CONTROLLER, actor, replica_of
from serve_apps.deciders.roles import DeployerHost, PlannerHost, SchedulerHost
from serve_apps.deciders.steered import SteeredRun
from serve_apps.node.core import NodeCore
from serve_apps.records.recorder import Recorder

Action = Literal["kill", "stop", "fill", "inject"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault."""

    name: str
    target: str
    """Regular expression over the command lines of the testbed's processes; `owner` for the one that owns it. Empty
    where nobody in particular is struck."""
    action: Action = "kill"
    hold_s: float = 0.0
    """Wall seconds until it is undone: SIGCONT, room on the disk, or the end of the event."""
    ends: bool = False
    """Whether the testbed cannot survive it; it then has to end by itself, with a sentence and without left-overs."""
    drops: bool = False
    """Whether connections that are open at that moment may break, which tells a client at once."""
    raylets: bool = False
    gateways: int = 1
    compares: bool = False
    """The testbed is that of `edgebed compare --live`, with the load of its own."""
    at_end: bool = False
    """It is struck while the run ends: its owner was asked to take the testbed down just before."""
    event: Mapping[str, object] = field(default_factory=dict)
    """What is injected, as an event plan has it, without its times."""

    @property
    def last(self) -> bool:
        """Whether the testbed is gone afterwards, so that each repetition has one of its own."""
        return self.ends or self.at_end

    @property
    def wears(self) -> bool:
        """Whether a machine is gone afterwards, so that each repetition has a testbed of its own."""
        return self.raylets and self.action == "kill"


_ACTORS = {
    "recorder": actor(Recorder.__name__),
    "node": actor(NodeCore.__name__),
    "replica": replica_of("gpt2"),
    "planner": actor(PlannerHost.__name__),
    "scheduler": actor(SchedulerHost.__name__),
    "deployer": actor(DeployerHost.__name__),
    "events": actor(SteeredRun.__name__),
    "controller": actor(SERVES_CONTROLLER),
}
_GCS, _AGENT, _RAYLET = r"/gcs_server ", r"^ray::DashboardAgent|dashboard/agent\.py", r"/raylet/raylet "
_HOLD_S = 3.0
_LONG_S = 45.0
"""Wall seconds of a disk that stays full: what is recorded meanwhile waits in memory."""
_LINK = {"a": "edge", "b": "edge"}
"""The nodes of the testbed are of one site."""
_EVENTS: Mapping[str, Mapping[str, object]] = {
    "closed-gate": {"kind": "leave", "node": "n1"},
    "drain": {"kind": "drain", "node": "n1"},
    "drain-by-a-deadline": {"kind": "drain", "node": "n1", "notice_s": 0.5},
    "event-node-kill": {"kind": "node_kill", "node": "n1"},
    "event-replica-kill": {"kind": "replica_kill", "node": "n1", "model": "gpt2"},
    "pause": {"kind": "pause", "node": "n1"},
    "delay": {"kind": "link_delay", "extra_s": 0.2, **_LINK},
    "loss": {"kind": "link_loss", "rate": 0.2, "retry_s": 0.2, **_LINK},
}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("gateway-kill", GATEWAY, drops=True),
        Kind("gateway-stop", GATEWAY, "stop", _HOLD_S),
        Kind("one-of-two-gateways-kill", GATEWAY, drops=True, gateways=2),
        Kind("one-of-two-gateways-stop", GATEWAY, "stop", _HOLD_S, gateways=2),
        *(Kind(f"{name}-kill", pattern) for name, pattern in _ACTORS.items()),
        *(Kind(f"{name}-stop", pattern, "stop", _HOLD_S) for name, pattern in _ACTORS.items()),
        *(Kind(name, "", "inject", _HOLD_S, event=event) for name, event in _EVENTS.items()),
        Kind("worker-raylet-kill", _RAYLET, raylets=True),
        Kind("worker-raylet-stop", _RAYLET, "stop", _HOLD_S, raylets=True),
        Kind("head-raylet-stop", _RAYLET, "stop", _HOLD_S),
        Kind("owner-stop", "owner", "stop", _HOLD_S),
        Kind("gcs-stop", _GCS, "stop", _HOLD_S),
        Kind("dashboard-agent-stop", _AGENT, "stop", _HOLD_S),
        Kind("disk-full", "", "fill", _HOLD_S),
        Kind("disk-full-for-long", "", "fill", _LONG_S),
        Kind("gcs-kill", _GCS),
        Kind("dashboard-agent-kill", _AGENT, ends=True, drops=True),
        Kind("head-raylet-kill", _RAYLET, ends=True, drops=True),
        Kind("owner-kill", "owner", ends=True, drops=True),
        Kind("compare-kill", "owner", ends=True, drops=True, compares=True),
        Kind("recorder-kill-at-end", _ACTORS["recorder"], at_end=True, drops=True),
        Kind("gateway-kill-at-end", GATEWAY, at_end=True, drops=True),
        Kind("gateway-stop-at-end", GATEWAY, "stop", _HOLD_S, at_end=True, drops=True),
        Kind("events-kill-at-end", _ACTORS["events"], at_end=True, drops=True),
    )
}
