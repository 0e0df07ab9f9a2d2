"""The gateway reaches the replicas of its machine over lines of its own, also after they were stopped or restarted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ray import serve

from serve_apps.gateway.line import Line, connect
from serve_apps.replica import BackendSpec
from serve_apps.replica.deployment import Replica
from serve_apps.testbed.apps import target
from serve_apps.wire.line import LEAVING
from serve_apps.wire.names import REPLICA, app_name, edge_resource
from serve_apps.wire.testbed import served
from tests.build.killing import kill, stop
from tests.build.waiting import eventually, until
from tests.build.works import work

Begin = Callable[..., Any]
GRACE = "graceful_shutdown_timeout_s"
CONNECTED = "03"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def _replica(node: str, model: str) -> Any:
    return serve.get_deployment_handle(REPLICA, app_name=served(app_name(node, model)))


def _gateways_of(node: str, model: str) -> int:
    """Gateways with a line to a replica, by the kernel."""
    where = str(_replica(node, model).line.remote().result(timeout_s=10)).replace("\0", "@")
    sockets = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(fields[5] == CONNECTED and fields[-1] == where for fields in sockets)


def test_there_is_a_line_to_every_replica_when_a_run_begins(begin: Begin) -> None:
    live = begin("sect")
    hosted = [(n.id, m) for n in live.cluster.testbed.nodes for m in live.cluster.testbed.hosted(n.id)]
    assert {at: _gateways_of(*at) for at in hosted} == dict.fromkeys(hosted, 1)
    assert live.chat(max_tokens=4).status_code == 200
    begin("sect")  # the lines of the run before serve this one
    assert {at: _gateways_of(*at) for at in hosted} == dict.fromkeys(hosted, 1)


def test_a_replica_that_was_killed_has_a_line_again(begin: Begin, threads: ThreadPoolExecutor) -> None:
    live = begin("sect")
    before = live.at_nodes()
    body = {"model": "big", "prompt": ["word"] * 4}
    sent = threads.submit(live.http.post, "/v1/completions", json=body)
    eventually(lambda: live.at_nodes() > before)
    kill(_replica("n2", "big").pid.remote().result(timeout_s=10))
    assert sent.result(60).status_code == 200

    def reached() -> bool:
        assert live.http.post("/v1/completions", json=body | {"prompt": "word"}).status_code == 200
        return _gateways_of("n2", "big") == 1

    eventually(reached, 60)
    _, run = live.end()
    assert run.requests[0].attempt > 1
    assert {r.outcome for r in run.requests} == {"done"}


def test_a_replica_that_was_stopped_goes_on_where_it_was(begin: Begin, threads: ThreadPoolExecutor) -> None:
    live = begin("sect")
    before = live.at_nodes()
    pid = _replica("n2", "big").pid.remote().result(timeout_s=10)
    sent = threads.submit(live.http.post, "/v1/completions", json={"model": "big", "prompt": ["word"] * 4})
    eventually(lambda: live.at_nodes() > before)
    stop(pid)
    try:
        eventually(lambda: live.at_nodes() == before)  # its node has served it, and nobody says so
        assert not sent.done()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert sent.result(60).status_code == 200
    _, run = live.end()
    assert [(r.outcome, r.attempt) for r in run.requests] == [("done", 1)]


def test_a_replica_that_serve_takes_down_says_so_and_lets_its_calls_end(shared_cluster: Any) -> None:
    testbed = shared_cluster.up().testbed
    spec = BackendSpec("n1", testbed.model("gpt2").model_copy(update={"id": "patient"}))
    app = app_name("n1", "patient")
    place = {edge_resource("n1"): 0.001}
    patient = target(
        app, Replica, spec, "tests.build.replicas:Patient", place=place, name=REPLICA, **{GRACE: 10.0}
    )
    serve.run_many([patient], wait_for_ingress_deployment_creation=False)
    where = str(_replica("n1", "patient").line.remote().result(timeout_s=10))

    async def taken_down() -> list[int]:
        line = await connect(where, app)
        said = _heard_by(line)
        answer = asyncio.ensure_future(line.serve(work(1)))
        await asyncio.to_thread(serve.delete, served(app))
        assert (await answer).texts == ("done",)
        await until(lambda: not line.open)
        return said

    assert LEAVING in asyncio.run(taken_down())


def _heard_by(line: Line) -> list[int]:
    """Kinds of frames, as they come."""
    kinds: list[int] = []
    hear = line.heard

    def heard(kind: int, number: int, body: memoryview) -> None:
        kinds.append(kind)
        hear(kind, number, body)

    line.heard = heard  # type: ignore[method-assign]
    return kinds
