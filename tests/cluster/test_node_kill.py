"""A real node dies: its raylet is killed while it has work. Slow, so only `make test-cluster` runs it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import ray

from edgebed.runs.live_run import run_plan
from emulation.domain.scenario import Scenario
from emulation.recording import read_run
from serve_apps.records.progress import broken_promises, read_progress
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.wire.calls import RayCalls
from serve_apps.wire.names import runtime_name
from tests.build.waiting import eventually


def world() -> Scenario:
    """Two nodes that both serve `m`, 2 virtual seconds a prompt."""
    node = {"cores": 4, "ram_gb": 8}
    return Scenario.model_validate(
        {
            "name": "kill",
            "testbed": {
                "name": "two",
                "models": [{"id": "m", "modality": "text", "ram_gb": 1, "init_s": 0.5, "modes": ["cpu"]}],
                "nodes": [{"id": "n1", **node}, {"id": "n2", **node}],
                "profile": [{"model": "m", "mode": "cpu", "theta": [1.0]}],
            },
            "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"m": 1.0}}],
            "slot_s": 5.0,
            "slots": 1000,
            "deadline_s": 300.0,
        }
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[LiveCluster]:
    with LiveCluster.start(world().testbed, LiveOptions(port=0, raylets=True)) as found:
        yield found


def _ask(url: str, number: int) -> int:
    body = {"model": "m", "prompt": ["word"] * 2}
    headers = {"X-Request-ID": f"k{number}", "X-Edge-Origin": "n1"}
    return httpx2.post(f"{url}/v1/completions", json=body, headers=headers, timeout=120).status_code


def test_requests_of_a_killed_node_are_served_elsewhere_and_the_books_balance(
    cluster: LiveCluster, tmp_path: Path
) -> None:
    cluster.begin_run(run_plan(world(), "sect", 1, tmp_path))
    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(_ask, cluster.url, i) for i in range(8)]
        dying: Any = RayCalls().handle(runtime_name("n2"))
        eventually(lambda: any(e.busy for e in ray.get(dying.telemetry.remote(), timeout=20).executors))
        assert cluster.base.kill is not None
        cluster.base.kill("n2")
        assert [f.result() for f in first] == [200] * 8
        assert [f.result() for f in [pool.submit(_ask, cluster.url, i) for i in range(8, 12)]] == [200] * 4
    footer = cluster.end_run()
    run = read_run(tmp_path)
    assert footer.conserved()
    assert footer.ends == {"m": {"done": 12}}
    assert any(r.attempt > 1 for r in run.requests), "somebody was on the node that died"
    assert broken_promises(read_progress(tmp_path), run) == [], (
        "the record of finished prompts outlives the node"
    )
    later = [r for r in run.requests if r.request_id in {"k8", "k9", "k10", "k11"}]
    assert {r.executor for r in later} == {"n1/m"}
