"""A Ray that is not ours: whether a testbed can stand there, and that of what runs there only its own is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulation.files import ConfigError, load_testbed
from serve_apps.testbed import apps, live, ray_cluster
from serve_apps.testbed.listen_address import ListenAddress
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.ray_cluster import EDGE_HELD, check_room
from serve_apps.wire.calls import Unreached
from serve_apps.wire.names import EVENTS, PLANNER, RECORDER
from serve_apps.wire.testbed import NAMESPACE

TESTBED = load_testbed("demo")
EDGES = {f"edge:{n.id}": 1.0 for n in TESTBED.nodes}


class Foreign:
    """Somebody's Ray, with what is on it."""

    def __init__(self) -> None:
        self.resources = dict(EDGES)
        self.free = dict(EDGES)
        self.applications = {
            "edgebed-demo:gateway", "edgebed-demo:cpu-server--gpt2", "edgebed-demo-2:gateway", "theirs"
        }  # fmt: skip
        self.recorder = False

    def call_now(self, name: str, _method: str) -> dict[str, Any]:
        if not self.recorder:
            raise Unreached(name)
        return {}

    def delete(self, name: str, _blocking: bool) -> None:
        assert not _blocking
        self.applications.remove(name)

    def status(self) -> Any:
        return SimpleNamespace(applications=dict.fromkeys(self.applications))


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[Foreign]:
    found = Foreign()
    answers = SimpleNamespace(
        cluster_resources=lambda: found.resources, available_resources=lambda: found.free
    )
    monkeypatch.setenv(NAMESPACE, "edgebed-demo")
    monkeypatch.setattr(ray_cluster, "FREED_S", 0.0)
    monkeypatch.setattr(ray_cluster, "ray", answers)
    monkeypatch.setattr(ray_cluster, "RayCalls", lambda: found)
    monkeypatch.setattr(apps, "serve", found)
    yield found
    assert {"edgebed-demo-2:gateway", "theirs"} <= found.applications, "what is not ours was touched"


def test_what_a_killed_owner_left_is_taken_down_and_nothing_else(foreign: Foreign) -> None:
    check_room("auto", TESTBED)
    assert foreign.applications == {"edgebed-demo-2:gateway", "theirs"}


def test_a_testbed_of_the_same_name_that_stands_is_left_alone(foreign: Foreign) -> None:
    foreign.recorder = True
    before = set(foreign.applications)
    with pytest.raises(ConfigError, match="a testbed named demo stands on the cluster at 'auto' already"):
        check_room("auto", TESTBED)
    assert foreign.applications == before


def test_an_edge_node_that_another_testbed_holds_is_refused(foreign: Foreign) -> None:
    foreign.free["edge:arc-b60"] -= EDGE_HELD + 0.003
    with pytest.raises(ConfigError, match="edge:arc-b60 is another testbed's"):
        check_room("auto", TESTBED)


def test_two_testbeds_cannot_both_hold_an_edge_node() -> None:
    assert 2 * EDGE_HELD > 1.0
    assert EDGE_HELD + 128 * 0.001 < 1.0, "replicas and agents of a node find room beside its runtime"


def test_an_edge_node_that_is_not_there_is_named(foreign: Foreign) -> None:
    del foreign.resources["edge:thinkedge"]
    with pytest.raises(ConfigError, match="no node with resource edge:thinkedge"):
        check_room("auto", TESTBED)


def test_whoever_writes_files_of_the_run_is_on_the_machine_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log of a load that the testbed sends itself (`edgebed load --detach`) is one of them."""
    base: Any = SimpleNamespace(home={"node:laptop": 0.001}, place={"control": 0.001})
    cluster = LiveCluster(TESTBED, LiveOptions(), ListenAddress("head", 8000, "10.0.0.1", "head"), base)
    placed: dict[str, Any] = {}

    def actor(_cls: type, name: str, *_args: Any, restarts: int = -1, place: Any = None) -> None:
        placed[name] = place

    monkeypatch.setattr(cluster, "_actor", actor)
    monkeypatch.setattr(live, "hand_over_keys", lambda: Path("keys"))
    monkeypatch.setattr(cluster.calls, "call_all", lambda *_args: [])
    cluster._start_actors()
    assert {name: placed[name] for name in (RECORDER, PLANNER, EVENTS)} == dict.fromkeys(
        (RECORDER, PLANNER, EVENTS), base.home
    )
