"""Everything in this folder starts Ray: mark it so, and do not hold Ray's own warnings against it.

One cluster for the whole session: two nodes, three models, six replicas. A test begins a run on it with
`begin`, or shares the run of its module.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgebed.wiring.controllers import build_controllers, find_scheme, run_header
from emulation.domain.records import RunFooter
from emulation.domain.scenario import Scenario
from emulation.recording import Run, read_run
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.wire.messages import RunPlan
from workloads.mismatch import world_truth

HERE = Path(__file__).parent
TOKEN = "control-me-9f2b7c"
"""Of the session's cluster."""
GPU = {"slices": 2, "sharing": "none"}
TESTBED: dict[str, Any] = {
    "name": "two-nodes",
    "models": [
        {"id": "gpt2", "modality": "text", "features": "tokens", "ram_gb": 1, "vram_gb": 1, "init_s": 1},
        {"id": "blip", "modality": "caption", "ram_gb": 1, "vram_gb": 1, "init_s": 1, "modes": ["cpu"]},
        {"id": "sd", "modality": "image", "ram_gb": 1, "vram_gb": 1, "init_s": 1, "modes": ["gpu"]},
        {"id": "big", "modality": "text", "ram_gb": 1, "vram_gb": 1, "init_s": 1, "modes": ["cpu"]},
    ],
    "nodes": [
        {"id": "n1", "cores": 8, "ram_gb": 16, "gpus": [GPU], "models": ["gpt2", "blip", "sd"]},
        {"id": "n2", "cores": 8, "ram_gb": 16, "gpus": [GPU], "models": ["gpt2", "big"]},
    ],
    "profile": [
        {"model": "gpt2", "mode": "gpu", "theta": [0.001, 0.02]},
        {"model": "gpt2", "mode": "cpu", "theta": [0.004, 0.08]},
        {"model": "blip", "mode": "cpu", "theta": [0.5]},
        {"model": "sd", "mode": "gpu", "theta": [2.0]},
        {"model": "big", "mode": "cpu", "theta": [1.0]},
    ],
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.ray)
            item.add_marker(pytest.mark.filterwarnings("default"))


def scenario(**changes: Any) -> Scenario:
    """A scenario on the session's testbed; its own load is not sent, tests send theirs."""
    given: dict[str, Any] = {
        "name": "live-test",
        "testbed": TESTBED,
        "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"gpt2": 1.0}}],
        "slot_s": 5.0,
        "slots": 10_000,
        "epoch_slots": 2,
        "deadline_s": 600.0,
        "live": {"speedup": 4.0},
    }
    return Scenario.model_validate(given | changes)


@dataclass
class LiveRun:
    """A run in progress on the session's cluster."""

    cluster: LiveCluster
    folder: Path
    http: httpx.Client

    def end(self) -> tuple[RunFooter, Run]:
        """Close the books and read the record."""
        self.http.close()
        return self.cluster.end_run(), read_run(self.folder)

    def chat(self, words: int = 3, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """One chat completion of gpt2."""
        body = {"model": "gpt2", "messages": [{"role": "user", "content": "word " * words}], **fields}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)


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
    clients: list[httpx.Client] = []

    def _begin(scheme: str = "sect", **changes: Any) -> LiveRun:
        folder = tmp_path_factory.mktemp("run")
        given, row = scenario(**changes), find_scheme(scheme)
        made = build_controllers(row, given, seed=1)
        plan = RunPlan(
            f"{scheme}-{time.time_ns()}", given, 1, run_header(given, row, 1, "live"), world_truth(given, 1),
            made.fast_path, str(folder), made.planner, made.scheduler, made.deployers,
        )  # fmt: skip
        cluster.begin_run(plan)
        clients.append(httpx.Client(base_url=cluster.url, timeout=60))
        return LiveRun(cluster, folder, clients[-1])

    yield _begin
    for client in clients:
        client.close()


def eventually(what: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true value of `what` within the timeout; fails otherwise. Errors of HTTP count as not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            found = what()
        except httpx.HTTPError:
            found = None
        if found or time.monotonic() > deadline:
            assert found, f"not within {timeout_s} s"
            return found
        time.sleep(0.1)
