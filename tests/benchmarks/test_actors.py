"""The patterns by which benches know the processes of a testbed meet the classes that it starts, and no other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.actors import ACTORS, GATEWAY, SERVES_CONTROLLER, kind_of_actor
from benchmarks.faults.bed import SCENARIO
from benchmarks.faults.kinds import KINDS
from benchmarks.idle_cost import kind_of
from emulation.files import load_scenario
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.testbed import apps, live
from serve_apps.wire.names import REPLICA
from serve_apps.wire.testbed import NAMESPACE

GIVEN = ("owner", "", r"/gcs_server ", r"/raylet/raylet ", r"^ray::DashboardAgent|dashboard/agent\.py")
"""Targets that are no actor of ours: processes of Ray's own, and the owner."""
MADE_ELSEWHERE = {SERVES_CONTROLLER}


class Started(live.LiveCluster):
    """A testbed that names what it would start."""

    def __init__(self, **options: Any) -> None:
        self.classes: list[str] = []
        self.testbed = load_scenario(str(SCENARIO)).testbed
        self.options = live.LiveOptions(**options)
        self.url = "http://127.0.0.1:8000"
        self.base = live.RayCluster("", lambda: None, {"control": 0.001})
        self.calls: Any = self
        self._handles = {}
        self._nodes = [n.id for n in self.testbed.nodes]
        self._start_actors()

    def _actor(self, cls: type, name: str, *args: Any, **options: Any) -> None:
        self.classes.append(cls.__name__)

    def call_all(self, *asked: Any) -> None:
        """Of its calls."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Command lines of the actors and replicas that a testbed starts, as Ray shows them."""
    monkeypatch.setattr(live, "gpu_models", lambda *asked: ["gpt2"])
    monkeypatch.setenv(NAMESPACE, "edgebed-two-small-nodes")
    bed = Started(lifecycle="cold")
    served = [apps.gateway_target("127.0.0.1", 8000, HttpSettings(), 2, bed.base.place)]
    served += [apps.replica_target(bed.testbed, node, "gpt2", "emulated", 0.0) for node in ("n1", "n2")]
    shown = [f"ServeReplica:{t.name}:{deployment_of(t.target)}" for t in served]
    return [f"ray::{name}" for name in (*dict.fromkeys(bed.classes), *shown)]


def deployment_of(bound: Any) -> str:
    return str(bound._bound_deployment.name)


def test_every_fault_of_an_actor_strikes_one_that_is_started(started: list[str]) -> None:
    for kind in KINDS.values():
        if kind.target in GIVEN or SERVES_CONTROLLER in kind.target:
            continue
        met = [command for command in started if re.search(kind.target, command)]
        assert met, f"{kind.name}: nobody is called {kind.target}"
        assert len({kind_of_actor(command) for command in met}) == 1, (kind.name, met)


def test_every_actor_that_is_started_has_a_name_of_ours(started: list[str]) -> None:
    kinds = {command: kind_of(command) for command in started}
    assert not {command: kind for command, kind in kinds.items() if kind.startswith(("Ray's", "Serve's"))}
    assert {*ACTORS.values(), "gateway", "replica"} == set(kinds.values())


def test_a_pattern_meets_whole_names() -> None:
    assert kind_of_actor("ray::RecorderOfOthers") == "Ray's RecorderOfOthers"
    assert kind_of_actor("ray::Recorder.append") == "recorder"
    assert kind_of_actor("/usr/bin/raylet --x") is None
    assert not re.search(GATEWAY, f"ray::ServeReplica:edgebed-gateways:n1--gateway-model:{REPLICA}")


def test_serves_controller_is_still_called_so() -> None:
    from ray.serve._private import controller

    assert controller.ServeController.__name__ == SERVES_CONTROLLER
