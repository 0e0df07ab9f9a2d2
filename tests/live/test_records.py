"""Whoever has an answer is in the record, once, though recorder and gateway are killed while they work."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from emulation.domain.request_id import client_id_of
from emulation.metrics.conservation import conservation
from emulation.recording import read_run
from serve_apps.records.store import OPEN_FOLDER
from serve_apps.testbed.closing import ask_recorder
from tests.build.killing import kill
from tests.build.live import LiveRun
from tests.build.waiting import eventually


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _answered(live: LiveRun, name: str) -> str | None:
    """The request's name if its client got an answer."""
    try:
        reply = live.chat(headers={"X-Request-ID": name}, max_tokens=2, ignore_eos=True)
    except httpx2.HTTPError:
        return None
    return name if reply.status_code == 200 else None


def _recorder_pid(live: LiveRun) -> int:
    return int(ask_recorder(live.cluster.calls, "where")["pid"])


def _gateway_pid(live: LiveRun) -> int:
    return int(live.http.get("/health").json()["pid"])


def test_nobody_has_an_answer_of_a_run_that_was_closed_though_its_recorder_is_killed_on_the_way(
    begin: Callable[..., LiveRun], threads: ThreadPoolExecutor
) -> None:
    live = begin("sect", live={"speedup": 1.0})
    recorder = _recorder_pid(live)
    assert live.chat(max_tokens=2, headers={"X-Request-ID": "short"}).status_code == 200
    long = {"max_tokens": 10_000, "ignore_eos": True}  # minutes
    sent = [threads.submit(live.chat, headers={"X-Request-ID": f"long-{i}"}, **long) for i in range(2)]
    eventually(lambda: live.at_nodes() == 2)
    gateway = _gateway_pid(live)
    ended = threads.submit(live.cluster.end_run)
    eventually(lambda: live.http.get("/health").json()["status"] == "idle")
    kill(recorder)
    os.kill(gateway, signal.SIGSTOP)  # what comes now it hears late
    eventually(lambda: _recorder_pid(live) != recorder)
    os.kill(gateway, signal.SIGCONT)
    footer = ended.result(60)
    assert [s.result(20).status_code for s in sent] == [503, 503]
    assert live.chat(max_tokens=2).status_code == 503
    run = read_run(live.folder)
    fates = {client_id_of(r.request_id): r.outcome for r in run.requests}
    assert fates == {"short": "done", "long-0": "unfinished", "long-1": "unfinished"}
    assert footer.conserved()
    assert dict(run.side[max(run.side)])["recorder"]["restarts"] == 1


def test_no_answer_is_missing_when_recorder_and_gateway_are_killed(
    begin: Callable[..., LiveRun], threads: ThreadPoolExecutor
) -> None:
    live = begin("sect")
    recorder = _recorder_pid(live)
    sent = [threads.submit(_answered, live, f"r{i}") for i in range(40)]
    eventually(lambda: sum(s.done() for s in sent) >= 15)
    kill(recorder)
    answered = [name for s in sent if (name := s.result(60)) is not None]
    assert len(answered) == 40, "requests go on without a recorder"
    assert _recorder_pid(live) != recorder
    sent = [threads.submit(_answered, live, f"g{i}") for i in range(8)]
    answered += [name for s in sent if (name := s.result(60)) is not None]
    kill(_gateway_pid(live))
    eventually(lambda: live.http.get("/health").json()["status"] == "ok", 60)
    footer, run = live.end()
    ends = Counter(client_id_of(r.request_id) for r in run.requests if r.outcome == "done")
    assert [name for name in answered if ends[name] != 1] == []
    assert footer.conserved()
    assert conservation(run).ok
    said: dict[str, Any] = dict(run.side[max(run.side)])
    assert said["recorder"]["restarts"] == 1
    assert not (live.folder / OPEN_FOLDER).exists()
