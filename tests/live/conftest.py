"""Everything in this folder starts Ray.

One cluster serves them all; a test begins a run on it with `begin`, or shares the run of its module. A test that
needs another testbed stops it first (`no_cluster`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from edgebed.wiring.controllers import build_controllers, find_scheme, run_header
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.wire.messages import RunPlan
from tests.build.live import TOKEN, LiveRun, scenario
from workloads.mismatch import world_truth


@pytest.fixture(scope="session")
def cluster() -> Iterator[LiveCluster]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EDGEBED_TOKEN", TOKEN)
        found = LiveCluster.start(scenario().testbed, LiveOptions(port=0))
    with found:
        yield found


@pytest.fixture(scope="session")
def begin(cluster: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveRun]]:
    """Begin a run of a scheme; one that is in progress is cut short."""
    clients: list[httpx2.Client] = []

    def _begin(scheme: str = "sect", **changes: Any) -> LiveRun:
        folder = tmp_path_factory.mktemp("run")
        given, row = scenario(**changes), find_scheme(scheme)
        made = build_controllers(row, given, seed=1)
        plan = RunPlan(
            run_id=f"{scheme}-{time.time_ns()}",
            scenario=given,
            seed=1,
            header=run_header(given, row, 1, "live"),
            truth=world_truth(given, 1),
            fast_path=made.fast_path,
            folder=str(folder),
            planner=made.planner,
            scheduler=made.scheduler,
            deployers=made.deployers,
        )
        cluster.begin_run(plan)
        clients.append(httpx2.Client(base_url=cluster.url, timeout=60))
        return LiveRun(cluster, folder, clients[-1])

    yield _begin
    for client in clients:
        client.close()
