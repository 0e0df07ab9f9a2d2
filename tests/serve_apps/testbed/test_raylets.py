"""Raylets that cannot all be started leave none of them behind."""

from __future__ import annotations

from typing import Any

import pytest
from ray import cluster_utils

from serve_apps.testbed.raylets import Raylets


class Failing:
    """Ray's `Cluster`, whose node number `fails_at` does not come up."""

    fails_at = 0

    def __init__(self, initialize_head: bool, shutdown_at_exit: bool) -> None:
        assert not initialize_head, "what fails while it is made could not be shut down"
        assert not shutdown_at_exit, "its handlers would hold connections to Ray"
        self.up: list[dict[str, Any]] = []
        made.append(self)

    def add_node(self, **node: Any) -> dict[str, Any]:
        if len(self.up) == self.fails_at:
            raise OSError("it did not come up")
        self.up.append(node)
        return node

    def shutdown(self) -> None:
        self.up.clear()


made: list[Failing] = []


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_what_was_started_is_ended_when_the_rest_cannot_be(
    fails_at: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(cluster_utils, "Cluster", Failing)
    monkeypatch.setattr(Failing, "fails_at", fails_at)
    with pytest.raises(OSError, match="did not come up"):
        Raylets({"num_cpus": 1}, {"n1": {}, "n2": {}})
    assert made[-1].up == []


def test_all_of_them_stay_on_loopback_and_are_known_by_their_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(cluster_utils, "Cluster", Failing)
    monkeypatch.setattr(Failing, "fails_at", 9)
    raylets = Raylets({}, {"n1": {}, "n2": {}})
    assert list(raylets.by_node) == ["n1", "n2"]
    assert {node["node_ip_address"] for node in made[-1].up} == {"127.0.0.1"}
    assert made[-1].up[0]["temp_dir"].startswith(str(tmp_path))
