"""The vRAM ledger in a live testbed: two edge nodes whose GPUs are, in truth, one."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from edgebed.runs.live import as_live
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.start_errors import said_in
from serve_apps.wire.calls import RayCalls
from serve_apps.wire.names import LAUNCHER, VRAM

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("no_cluster")]


def scenario(lifecycle: str) -> Scenario:
    """Nodes `a` and `b`, each with a GPU of 24 GB by the inventory and a model that needs 16 GB of it."""
    return as_live(
        Scenario.model_validate(
            {
                "name": "shared",
                "testbed": {
                    "name": "laptop",
                    "models": [
                        {
                            "id": "m",
                            "modality": "text",
                            "features": "tokens",
                            "modes": ["gpu"],
                            "vram_gb": 16,
                        }
                    ],
                    "nodes": [{"id": n, "gpus": [{"vram_gb": 24}]} for n in ("a", "b")],
                    "profile": [{"model": "m", "mode": "gpu", "theta": [0.001, 0.01]}],
                    "backends": [{"model": "m", "backend": "tests.build.stand_in_gpu:Claims"}],
                },
                "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"m": 1.0}}],
                "slots": 10,
                "live": {"speedup": 1, "lifecycle": lifecycle},
            }
        )
    )


def holders() -> dict[str, float]:
    """Application to MiB it holds, as the ledger says now."""
    accounts: Any = RayCalls().call_now(VRAM, "accounts")
    return {c.app: c.held_mb for _, claims in accounts for c in claims}


@pytest.mark.long  # the refusal itself stands in the next test, that it ends a start in test_start_errors.py
def test_a_replica_that_does_not_fit_is_one_clear_error_and_nothing_is_left_running() -> None:
    # Each node by itself has room: only the ledger can know that the two share a GPU.
    given = scenario("warm")
    with pytest.raises(ConfigError, match=r"--m needs 16\.50 GiB of Stand-in .* 9\.00 GiB more than is left"):
        LiveCluster.start(given.testbed, LiveOptions(port=0))
    assert not ray.is_initialized()


def test_a_stopped_replica_gives_its_memory_to_the_next() -> None:
    given = scenario("cold")
    with LiveCluster.start(given.testbed, LiveOptions(port=0, lifecycle="cold")) as cluster:

        def do(what: str, node: str, *mode: str) -> Any:
            return cluster.calls.call_now(LAUNCHER, what, node, "m", *mode, limit_s=120)

        assert do("launch", "a", "gpu").ok
        assert holders() == {"a--m": 16.5 * 1024}
        refused = do("launch", "b", "gpu")
        assert not refused.ok
        assert "--m needs 16.50 GiB of Stand-in" in refused.reason
        assert holders() == {"a--m": 16.5 * 1024}
        assert do("halt", "a").ok
        assert holders() == {}
        assert do("launch", "b", "gpu").ok
        assert holders() == {"b--m": 16.5 * 1024}


def test_only_a_mistake_of_the_user_is_read_out_of_a_report_of_serve() -> None:
    report = "Traceback:\n  File ...\nValueError: x\nemulation.files.ConfigError: no GPU; set device: cpu\n\n"
    assert said_in(report) == "no GPU; set device: cpu"
    assert said_in("Traceback:\nserve_apps.vram.Overcommit: too much\n") == "too much"
    assert said_in("Traceback:\nRuntimeError: ConfigError: is not at the start\n") is None
