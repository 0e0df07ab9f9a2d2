"""Events that kill really end processes; work goes on elsewhere, nobody is answered twice, and all comes back.

Serve takes up to ten seconds to see that a replica is gone, so only `make test-cluster` runs this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from edgebed.runs.live_run import run_plan
from emulation.domain.events import Drain, NodeKill, ReplicaKill
from emulation.domain.snapshot import NodeView
from emulation.metrics.evidence import fault_ledger
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.wire.names import runtime_name
from tests.build.live import LiveRun, scenario
from tests.build.waiting import eventually

Begin = Callable[[], LiveRun]


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """Begin a run of scheme `sect`, all executors of gpt2 up."""
    with LiveCluster.start(scenario().testbed, LiveOptions(port=0)) as cluster:

        def _begin() -> LiveRun:
            folder = tmp_path_factory.mktemp("run")
            cluster.begin_run(run_plan(scenario(), "sect", 1, folder))
            live = LiveRun(cluster, folder, httpx2.Client(base_url=cluster.url, timeout=90))
            eventually(lambda: _up(live) >= {"n1/gpt2", "n2/gpt2"})
            return live

        yield _begin


def _up(live: LiveRun) -> set[str]:
    asked = [(runtime_name(n.id), "telemetry") for n in live.cluster.testbed.nodes]
    views: list[NodeView] = live.cluster.calls.call_all(asked, 30)
    return {e.id for view in views for e in view.executors if e.state == "ready"}


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def _several(live: LiveRun, threads: Any, count: int) -> list[Future[httpx2.Response]]:
    """So many requests of 6 virtual seconds each, at the nodes by the time this returns."""
    sent = [
        threads.submit(live.chat, headers={"X-Request-ID": f"k{i}"}, max_tokens=300, ignore_eos=True)
        for i in range(count)
    ]
    eventually(lambda: live.at_nodes() >= count or all(s.done() for s in sent))
    return sent


def _lands(live: LiveRun, phase: str) -> None:
    eventually(lambda: any(getattr(r, "phase", "") == phase for r in live.written()), 90)


def test_a_killed_replica_is_another_process_afterwards_and_nothing_is_lost(
    begin: Begin, threads: Any
) -> None:
    live = begin()
    sent = _several(live, threads, 4)
    now_s = live.now_s
    event = ReplicaKill(node="n1", model="gpt2", at_s=now_s, until_s=now_s + 2)
    live.cluster.inject(event)
    assert [s.result(90).status_code for s in sent] == [200] * 4
    _lands(live, "undo")
    live.reaches(live.now_s + 2)
    assert [s.result(90).status_code for s in _several(live, threads, 2)] == [200] * 2, (
        "both nodes serve again"
    )
    footer, run = live.end()
    assert footer.conserved()
    assert footer.ends == {"gpt2": {"done": 6}}
    (row,) = fault_ledger(run, [event])
    assert (row.landed, row.recovered) == (True, True), row
    (killed,) = [side["killed"] for side in run.side.values() if "killed" in side]
    assert [name.startswith("SERVE_REPLICA::edgebed-two-nodes:n1--gpt2#replica#") for name in killed] == [
        True
    ]
    assert any(r.attempt > 1 for r in run.requests)


def test_a_killed_node_is_away_and_comes_back_with_all_its_processes(begin: Begin, threads: Any) -> None:
    live = begin()
    pid = live.cluster.calls.call_now(runtime_name("n1"), "where")["pid"]
    sent = _several(live, threads, 4)
    now_s = live.now_s
    event = NodeKill(node="n1", at_s=now_s, until_s=now_s + 20)
    live.cluster.inject(event)
    assert [s.result(90).status_code for s in sent] == [200] * 4
    _lands(live, "undo")
    assert live.cluster.calls.call_now(runtime_name("n1"), "where")["pid"] != pid
    live.reaches(live.now_s + 4)
    footer, run = live.end()
    assert footer.conserved()
    assert footer.ends == {"gpt2": {"done": 4}}
    (row,) = fault_ledger(run, [event])
    assert (row.landed, row.recovered) == (True, True), row
    assert {r.executor for r in run.requests} == {"n2/gpt2"}


def test_a_drained_node_finishes_what_it_serves_and_takes_nothing_more(begin: Begin, threads: Any) -> None:
    live = begin()
    sent = _several(live, threads, 4)
    now_s = live.now_s
    event = Drain(node="n1", at_s=now_s, until_s=now_s + 24)
    live.cluster.inject(event)
    assert [s.result(90).status_code for s in sent] == [200] * 4
    live.reaches(now_s + 26)
    footer, run = live.end()
    assert footer.ends == {"gpt2": {"done": 4}}
    (row,) = fault_ledger(run, [event])
    assert (row.landed, row.recovered) == (True, True), row
    finished = [r for r in run.requests if r.executor == "n1/gpt2"]
    assert [r.attempt for r in finished] == [1], "the one in service; the one behind it went elsewhere"
