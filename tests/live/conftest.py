"""Everything in this folder starts Ray.

One cluster serves nearly all; a test begins a run on it with `begin`, or shares the run of its module. What needs real
models or two gateways has another one (`mixed`); a test that needs a testbed of its own stops it first (`no_cluster`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edgebed.runs.live import as_live
from edgebed.runs.live_run import run_plan
from emulation.domain.cluster import TestbedConfig
from serve_apps.observe.logs import FOLDER
from serve_apps.testbed.live import LiveCluster, LiveOptions
from tests.build.live import TOKEN, LiveRun, scenario
from tests.build.mixed import TWO_GATEWAYS
from tests.build.mixed import scenario as mixed_scenario


class SharedCluster:
    """The testbed that several tests share: started by the first one that needs it, and again after it was put away."""

    def __init__(self, logs: Path) -> None:
        """`logs`: where the processes of that of most tests log to."""
        self.logs = logs
        self._running: LiveCluster | None = None
        self._made_of: object = None

    def up(self) -> LiveCluster:
        """That of most tests, serving."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("EDGEBED_TOKEN", TOKEN)
            environment.setenv(FOLDER, str(self.logs))
            return self.of(scenario().testbed, LiveOptions(port=0))

    def of(self, testbed: TestbedConfig, options: LiveOptions) -> LiveCluster:
        """Another one, serving; one that is up and is not this one is stopped."""
        if self._running is None or self._made_of != (testbed, options):
            self.put_away()
            self._running, self._made_of = LiveCluster.start(testbed, options), (testbed, options)
        return self._running

    def put_away(self) -> None:
        """Stop it: a process has one Ray at a time."""
        if self._running is not None:
            self._running.stop()
            self._running = None


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCluster]:
    """Its processes find no data frames: where those are installed Ray Serve loads them into each, which takes time."""
    shared, hidden = SharedCluster(tmp_path_factory.mktemp("logs")), tmp_path_factory.mktemp("hidden")
    for name in ("pandas", "pyarrow"):
        (hidden / f"{name}.py").write_text("raise ModuleNotFoundError('hidden from the processes of Ray')\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(hidden), prepend=os.pathsep)
        yield shared
        shared.put_away()


@pytest.fixture(scope="module")
def mixed(shared_cluster: SharedCluster, checkpoints: Path) -> LiveCluster:
    """Real (tiny) models beside emulated ones, behind two gateways."""
    return shared_cluster.of(as_live(mixed_scenario(checkpoints)).testbed, TWO_GATEWAYS)


@pytest.fixture(scope="module")
def no_cluster(shared_cluster: SharedCluster) -> None:
    """For tests that start a testbed of their own."""
    shared_cluster.put_away()


@pytest.fixture(scope="session")
def begin(
    shared_cluster: SharedCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., LiveRun]]:
    """Begin a run of a scheme; one that is in progress is cut short."""
    clients: list[httpx2.Client] = []

    def _begin(scheme: str = "sect", **changes: Any) -> LiveRun:
        folder = tmp_path_factory.mktemp("run")
        cluster = shared_cluster.up()
        cluster.begin_run(run_plan(scenario(**changes), scheme, 1, folder))
        clients.append(httpx2.Client(base_url=cluster.url, timeout=60))
        return LiveRun(cluster, folder, clients[-1])

    yield _begin
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def logs(shared_cluster: SharedCluster) -> Path:
    """Where the processes of the shared testbed log to."""
    return shared_cluster.logs
