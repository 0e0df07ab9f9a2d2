"""The progress record: whatever dies or leaves, a request goes on after its last finished prompt, once each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx2
import pytest
import ray
from ray import serve

from emulation.domain.events import Leave, Slowdown
from serve_apps.records.progress import broken_promises, read_progress
from serve_apps.wire.calls import RayCalls
from serve_apps.wire.names import RECORDER, REPLICA, app_name, runtime_name
from serve_apps.wire.testbed import served
from tests.build.killing import kill
from tests.build.waiting import eventually

Begin = Callable[..., Any]
SD_S, BIG_S = 2.0, 2.0**0.7
"""Virtual seconds per prompt on the session's testbed (8 of 16 cores: CPU speed goes with the power 0.7)."""


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def _images(live: Any, threads: Any, request_id: str, count: int) -> Future[httpx2.Response]:
    body = {"model": "sd", "prompt": "x", "n": count, "size": "64x64"}
    sent: Future[httpx2.Response] = threads.submit(
        live.http.post, "/v1/images/generations", json=body, headers={"X-Request-ID": request_id}
    )
    return sent


def _words(live: Any, threads: Any, request_id: str, count: int) -> Future[httpx2.Response]:
    body = {"model": "big", "prompt": ["word"] * count}
    sent: Future[httpx2.Response] = threads.submit(
        live.http.post, "/v1/completions", json=body, headers={"X-Request-ID": request_id}
    )
    return sent


def _finished(live: Any, request_id: str) -> int:
    return max([f.done for f in read_progress(live.folder) if f.request_id == request_id], default=0)


def _landed(node: str) -> bool:
    """Whether a step of the event plan is in force on a node: it leaves that with the recorder."""
    kept = RayCalls().call_now(RECORDER, "kept", runtime_name(node))
    return kept is not None and len(kept.steps) > 0


def _checked(live: Any) -> tuple[Any, dict[str, Any], list[Any]]:
    """The run's footer, its requests by id, its progress record: every prompt finished once, service to the second."""
    footer, run = live.end()
    progress = read_progress(live.folder)
    assert footer.conserved()
    assert broken_promises(progress, run) == []
    return footer, {r.request_id: r for r in run.requests}, progress


def test_killed_node_runtime_and_killed_replica_lose_no_finished_prompt(begin: Begin, threads: Any) -> None:
    live = begin("sect", live={"speedup": 8.0})
    now_s = live.http.get("/health").json()["t_s"]
    live.cluster.inject(Slowdown(node="n1", factor=2.0, at_s=now_s, until_s=1e6))
    eventually(lambda: _landed("n1"))
    sent = [_images(live, threads, "sd0", 10), _words(live, threads, "big0", 16)]
    eventually(lambda: _finished(live, "sd0") and _finished(live, "big0"))
    sent += [_images(live, threads, "sd1", 2), _words(live, threads, "big1", 2)]
    eventually(lambda: _finished(live, "sd0") >= 3 and _finished(live, "big0") >= 3)
    replica: Any = serve.get_deployment_handle(REPLICA, app_name=served(app_name("n2", "big")))
    kill(replica.pid.remote().result(timeout_s=10))
    ray.kill(RayCalls().handle(runtime_name("n1")), no_restart=False)
    assert [s.result(60).status_code for s in sent] == [200] * 4
    footer, requests, progress = _checked(live)
    assert footer.ends == {"sd": {"done": 2}, "big": {"done": 2}}
    for record in requests.values():  # the slowdown is in force again
        prompt_s = 2.0 * SD_S if record.model == "sd" else BIG_S
        assert record.attempt > 1
        assert record.service_s == pytest.approx(record.prompts * prompt_s)
    for cut in ("sd0", "big0"):
        lines = [f for f in progress if f.request_id == cut]
        before = [f for f in lines if f.attempt == 1]
        after = [f for f in lines if f.attempt > 1]
        assert before[-1].done == after[0].after >= 3
        served_s = [f.service_s for f in (before[-1], *after)]
        assert all(earlier < later for earlier, later in pairwise(served_s))


def test_leaving_node_keeps_finished_prompts_under_requeue_and_resume(begin: Begin, threads: Any) -> None:
    live = begin("sect")
    for number, policy in enumerate(("resume", "requeue")):
        sent = _images(live, threads, policy, 3)
        eventually(lambda policy=policy: _finished(live, policy) >= 1)
        now_s = live.http.get("/health").json()["t_s"]
        live.cluster.inject(Leave(node="n1", at_s=now_s, until_s=now_s + 4, in_flight=policy))
        assert sent.result(60).status_code == 200, number
    _, requests, _ = _checked(live)
    assert requests["resume"].attempt == 1
    assert requests["requeue"].attempt > 1
    for (
        record
    ) in requests.values():  # what was begun and interrupted is served again, less than a prompt of it
        assert 3 * SD_S <= record.service_s + 1e-9 < 4 * SD_S
