"""Whoever has an answer is in the record, once, though recorder and gateway are killed while they work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from emulation.domain.request_id import client_id_of
from emulation.metrics.conservation import conservation
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
