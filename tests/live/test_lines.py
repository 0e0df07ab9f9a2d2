"""The gateway reaches the replicas of its machine over lines of its own, also after they were stopped or restarted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ray import serve

from serve_apps.wire.names import REPLICA, app_name
from serve_apps.wire.testbed import served
from tests.build.killing import kill
from tests.build.waiting import eventually

Begin = Callable[..., Any]
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
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: live.at_nodes() == before)  # its node has served it, and nobody says so
        assert not sent.done()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert sent.result(60).status_code == 200
    _, run = live.end()
    assert [(r.outcome, r.attempt) for r in run.requests] == [("done", 1)]
