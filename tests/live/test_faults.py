"""Faults land on requests in flight, in place, and nothing is lost that the policy does not lose."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from emulation.domain.events import Error, Leave, Pause, Slowdown
from emulation.metrics.evidence import fault_ledger
from serve_apps.testbed.lookout import BACK_S
from tests.build.killing import kill
from tests.build.waiting import eventually

Begin = Callable[..., Any]


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def _long(live: Any, threads: Any, request_id: str, tokens: int) -> Future[httpx2.Response]:
    fields = {"max_tokens": tokens, "ignore_eos": True}
    before = live.at_nodes()
    sent: Future[httpx2.Response] = threads.submit(live.chat, headers={"X-Request-ID": request_id}, **fields)
    eventually(lambda: live.at_nodes() > before or sent.done())
    return sent


def _undone(live: Any) -> int:
    """How many faults are over, by the record."""
    return sum(r.kind == "event" and r.phase == "undo" for r in live.written())


def _states(live: Any, executor: str) -> list[str]:
    """Those of an executor so far, by the record."""
    return [r.state for r in live.written() if r.kind == "executor" and r.executor == executor]


def test_slowdown_stretches_the_request_in_service(begin: Begin, threads: Any) -> None:
    live = begin("sect")
    sent = _long(live, threads, "slowed", 600)  # 12 virtual seconds healthy, 3 on the wall
    now_s = live.now_s
    for node in ("n1", "n2"):  # a quarter as fast for 10 of them
        live.cluster.inject(Slowdown(node=node, factor=4.0, at_s=now_s, until_s=now_s + 10))
    assert sent.result(60).status_code == 200
    footer, run = live.end()
    (request,) = run.requests
    assert request.service_s is not None
    assert request.service_s > 1.25 * 12.0
    assert [(e.type, e.phase) for e in run.events] == [("slowdown", "onset")] * 2 + [("slowdown", "undo")] * 2
    assert footer.conserved()


def test_a_pause_holds_what_is_in_service_and_what_waits_and_loses_nothing(
    begin: Begin, threads: Any
) -> None:
    live = begin("sect")
    sent = [_long(live, threads, f"held{i}", 400) for i in range(2)]  # 8 virtual seconds each
    at_s = live.now_s
    # Longer than that, or the ledger could not tell standing still from serving.
    events = [Pause(node=node, at_s=at_s, until_s=at_s + 16) for node in ("n1", "n2")]
    for event in events:
        live.cluster.inject(event)
    sent.append(threads.submit(live.chat, headers={"X-Request-ID": "late"}, max_tokens=10, ignore_eos=True))
    assert [s.result(60).status_code for s in sent] == [200] * 3
    footer, run = live.end()
    assert footer.ends == {"gpt2": {"done": 3}}
    assert all(r.ended_s >= at_s + 16 for r in run.requests)
    rows = fault_ledger(run, events)
    assert not any(row.landed is False for row in rows)
    # the late one waited beside an idle replica, or tells how long the one it waited for usually takes
    assert any(row.landed and row.recovered for row in rows)


def test_a_broken_replica_answers_503_until_it_is_well_again(begin: Begin) -> None:
    live = begin("sect")
    at_s = live.now_s
    events = [Error(node=node, at_s=at_s, until_s=at_s + 1000) for node in ("n1", "n2")]
    numbers = [live.cluster.inject(event) for event in events]
    answer = live.chat(max_tokens=4)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "error"
    assert answer.json()["error"]["message"] == "the replica failed"
    for number in numbers:
        live.undo(number)
    eventually(lambda: _undone(live) == 2)
    assert live.chat(max_tokens=4).status_code == 200
    footer, run = live.end()
    assert footer.ends == {"gpt2": {"done": 1, "error": 1}}
    rows = fault_ledger(run, events)
    assert [row.landed for row in rows].count(True) == 1
    assert not any(row.landed is False for row in rows)


def test_requests_of_a_node_that_leaves_are_served_elsewhere(begin: Begin, threads: Any) -> None:
    live = begin("sect")
    sent = [_long(live, threads, f"r{i}", 200) for i in range(4)]
    now_s = live.now_s
    number = live.cluster.inject(Leave(node="n1", at_s=now_s, until_s=now_s + 1000))
    assert number == 0
    assert [s.result(60).status_code for s in sent] == [200] * 4
    live.undo(number)
    eventually(lambda: _undone(live) == 1)
    eventually(lambda: _states(live, "n1/gpt2")[-1:] == ["ready"])
    footer, run = live.end()
    moved = [r for r in run.requests if r.attempt > 1]
    assert moved
    assert all(r.executor == "n2/gpt2" and r.outcome == "done" for r in moved)
    assert [(e.type, e.phase) for e in run.events] == [("leave", "onset"), ("leave", "undo")]
    states = [e.state for e in run.executors if e.executor == "n1/gpt2"]
    assert "away" in states
    assert states[-1] == "ready"
    assert footer.conserved()


def test_policy_fail_ends_requests_as_node_lost(begin: Begin, threads: Any) -> None:
    live = begin("sect")
    sent = threads.submit(
        live.http.post, "/v1/images/generations", json={"model": "sd", "prompt": "x", "n": 8, "size": "64x64"}
    )
    eventually(lambda: live.at_nodes() == 1)
    now_s = live.now_s
    live.cluster.inject(Leave(node="n1", at_s=now_s, until_s=now_s + 500, in_flight="fail"))
    answer = sent.result(60)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "node_lost"
    footer, _ = live.end()
    assert footer.ends == {"sd": {"node_lost": 1}}


def test_client_that_leaves_frees_its_executor(begin: Begin) -> None:
    live = begin("sect")
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(
            f"{live.cluster.url}/v1/images/generations",
            json={"model": "sd", "prompt": "x", "n": 16},
            timeout=1.0,
        )
    eventually(lambda: live.http.get("/health").json()["in_flight"] == 0)
    quick = live.http.post("/v1/images/generations", json={"model": "sd", "prompt": "x", "size": "64x64"})
    assert quick.status_code == 200
    footer, run = live.end()
    assert footer.ends == {"sd": {"aborted": 1, "done": 1}}
    assert run.requests[-1].started_s is not None


def test_gateway_answers_again_after_it_was_killed(begin: Begin, threads: Any) -> None:
    live = begin("sect")
    assert live.chat(max_tokens=4).status_code == 200
    lost = _long(live, threads, "lost", 2000)
    eventually(lambda: live.cluster.progress().arrived == 2)  # it stands in the books
    kill(live.http.get("/health").json()["pid"])
    with pytest.raises(httpx2.HTTPError):
        lost.result(60)
    with httpx2.Client(base_url=live.cluster.url, timeout=30) as fresh:
        answer = eventually(lambda: _served(fresh), timeout_s=BACK_S)
    assert answer.json()["usage"]["completion_tokens"] == 4
    footer, run = live.end()
    assert footer.conserved()
    assert {r.request_id: r.outcome for r in run.requests}["lost"] == "error"
    assert all(r.ended_s >= r.intended_s for r in run.requests)


def _served(http: httpx2.Client) -> httpx2.Response | None:
    body = {
        "model": "gpt2",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 4,
        "ignore_eos": True,
    }
    answer = http.post("/v1/chat/completions", json=body)
    return answer if answer.status_code == 200 else None
