"""Everything in this folder starts Ray.

One cluster serves them all; a test begins a run on it with `begin`, or shares the run of its module. A test that
needs another testbed stops it first (`no_cluster`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edgebed.runs.live_run import run_plan
from serve_apps.observe.logs import FOLDER
from serve_apps.testbed.live import LiveCluster, LiveOptions
from tests.build.live import TOKEN, LiveRun, scenario


class SharedCluster:
    """The testbed that most tests share: started by the first one that needs it, and again after it was put away."""

    def __init__(self, logs: Path) -> None:
        """`logs`: where its processes log to."""
        self.logs = logs
        self._running: LiveCluster | None = None

    def up(self) -> LiveCluster:
        """The testbed, serving."""
        if self._running is None:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("EDGEBED_TOKEN", TOKEN)
                environment.setenv(FOLDER, str(self.logs))
                self._running = LiveCluster.start(scenario().testbed, LiveOptions(port=0))
        return self._running

    def put_away(self) -> None:
        """Stop it: a process has one Ray at a time."""
        if self._running is not None:
            self._running.stop()
            self._running = None


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCluster]:
    shared = SharedCluster(tmp_path_factory.mktemp("logs"))
    yield shared
    shared.put_away()


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
