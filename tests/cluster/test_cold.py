"""Lifecycle cold: replicas are real processes that start, stop and fail to start; only `make test-cluster` runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import ray
from ray import serve

from edgebed.runs.live_run import run_plan
from edgebed.runs.processes import process_figures
from emulation.domain.actions import NodeConfig
from emulation.domain.scenario import Scenario
from emulation.recording import Run, read_run
from serve_apps.records.progress import broken_promises, read_progress
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.wire.calls import RayCalls
from serve_apps.wire.names import app_name, runtime_name
from serve_apps.wire.testbed import ours
from tests.build.waiting import eventually

START_TIMEOUT_S = 20.0


def world() -> Scenario:
    """One node with one GPU of two slices; `m` runs on either, `c` on the CPU. Slots are long: tests configure."""
    model = {"modality": "text", "ram_gb": 1, "vram_gb": 1}
    return Scenario.model_validate(
        {
            "name": "cold",
            "testbed": {
                "name": "one",
                "models": [{"id": "m", **model}, {"id": "c", **model, "modes": ["cpu"]}],
                "nodes": [{"id": "n", "cores": 16, "ram_gb": 8, "gpus": [{"slices": 2, "sharing": "none"}]}],
                "profile": [
                    {"model": "m", "mode": "cpu", "theta": [1.0]},
                    {"model": "m", "mode": "gpu", "theta": [0.5]},
                    {"model": "c", "mode": "cpu", "theta": [0.2]},
                ],
            },
            "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"m": 1.0}}],
            "slot_s": 300.0,
            "slots": 10,
            "deadline_s": 120.0,
            "live": {"speedup": 1.0, "lifecycle": "cold"},
        }
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[LiveCluster]:
    options = LiveOptions(port=0, lifecycle="cold", start_timeout_s=START_TIMEOUT_S)
    with LiveCluster.start(world().testbed, options) as found:
        yield found


def _post(url: str, model: str, request_id: str, prompts: int) -> int:
    body = {"model": model, "prompt": ["word"] * prompts}
    headers = {"X-Request-ID": request_id}
    return httpx2.post(f"{url}/v1/completions", json=body, headers=headers, timeout=120).status_code


def _configure(modes: dict[str, str]) -> Any:
    return RayCalls().call_now(runtime_name("n"), "configure", NodeConfig("n", modes))  # type: ignore[arg-type]


def _states() -> dict[str, str]:
    view = RayCalls().call_now(runtime_name("n"), "telemetry")
    return {e.id: f"{e.state} {e.mode}" for e in view.executors}


def _until(what: Callable[[], bool], timeout_s: float = 60.0) -> None:
    eventually(what, timeout_s, said=lambda: str(_states()))


def _applications() -> dict[str, str]:
    return {name: str(a.status.value) for name, a in ours(serve.status().applications).items()}


def _launched(run: Run, cause: str) -> list[Any]:
    return [d for d in run.decisions if d.actor == "launcher" and d.cause == cause]


def test_replicas_start_and_stop_and_work_goes_on_in_the_next_process(
    cluster: LiveCluster, tmp_path: Path
) -> None:
    cluster.begin_run(run_plan(world(), "sect", 1, tmp_path))
    with ThreadPoolExecutor(4) as pool:
        held = pool.submit(_post, cluster.url, "m", "early", 1)  # before anything is up
        _configure({"m": "gpu"})  # what `c` was to do is withdrawn before it began
        assert held.result(60) == 200
        assert set(_applications()) == {"gateway", app_name("n", "m")}
        assert _applications()[app_name("n", "m")] == "RUNNING"
        cut = pool.submit(_post, cluster.url, "m", "cut", 10)
        _until(
            lambda: max([f.done for f in read_progress(tmp_path) if f.request_id == "cut"], default=0) >= 2
        )
        _configure({"m": "cpu"})
        assert cut.result(60) == 200
    _configure({})
    _until(lambda: set(_states().values()) == {"off off"})
    assert set(_applications()) == {"gateway"}
    _configure({"m": "gpu", "c": "cpu"})
    _until(lambda: _states() == {"n/m": "ready gpu", "n/c": "ready cpu"})
    footer = cluster.end_run()
    assert set(_applications()) == {"gateway"}, "no replica is left after a run"
    run = read_run(tmp_path)
    assert footer.conserved()
    assert footer.ends == {"m": {"done": 2}}
    assert broken_promises(read_progress(tmp_path), run) == []
    starts = [d for d in _launched(run, "start") if d.outcome == "applied"]
    assert {(d.choice["executor"], d.choice["mode"]) for d in starts} >= {("n/m", "cpu"), ("n/m", "gpu")}
    for d in starts:
        assert d.choice["serve_status"] == "RUNNING"
        assert d.landed_s is not None
        ready = [e.t_s for e in run.executors if e.executor == d.choice["executor"] and e.state == "ready"]
        assert any(abs(t - d.landed_s) < 1.0 for t in ready), "ready when the process was, not before"
    assert any(d.choice["serve_status"] == "NOT_STARTED" for d in _launched(run, "stop"))
    figures = process_figures([run])
    assert figures is not None
    assert figures["starts"]["count"] == len(starts)
    assert 0 < figures["starts"]["min_s"] <= figures["starts"]["mean_s"] <= figures["starts"]["max_s"]


def test_a_replica_that_finds_no_gpu_fails_with_a_reason_and_its_requests_are_served_later(
    cluster: LiveCluster, tmp_path: Path
) -> None:
    remote: Any = ray.remote(num_gpus=0.8, num_cpus=0)(_Hog)
    hog = remote.remote()
    ray.get(hog.there.remote(), timeout=60)
    cluster.begin_run(run_plan(world(), "sect", 1, tmp_path))
    _configure({"c": "cpu", "m": "gpu"})
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(_post, cluster.url, "m", "held", 2)
        other = pool.submit(_post, cluster.url, "c", "other", 2)
        assert other.result(60) == 200
        _until(lambda: _states()["n/m"] == "off off", START_TIMEOUT_S + 40)
        assert not held.done()
        assert app_name("n", "m") not in _applications(), "nothing half-started is left"
        ray.kill(hog)
        _configure({"c": "cpu", "m": "gpu"})
        assert held.result(60) == 200
    footer = cluster.end_run()
    run = read_run(tmp_path)
    assert footer.ends == {"c": {"done": 1}, "m": {"done": 1}}
    (failed,) = [d for d in _launched(run, "start") if d.outcome == "rejected"]
    assert failed.landed_s is None
    assert failed.choice["executor"] == "n/m"
    assert f"not up after {START_TIMEOUT_S:g} s, it asks 0.5 GPU on edge:n" in failed.violations[0]
    figures = process_figures([run])
    assert figures is not None
    assert figures["starts"]["failed"] == 1


class _Hog:
    """Holds most of the only GPU."""

    def there(self) -> bool:
        return True
