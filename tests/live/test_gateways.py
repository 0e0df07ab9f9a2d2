"""Two gateways on one port: each reached by itself too, each knows of the other's requests, and one of them dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edgebed.runs.live import as_live
from edgebed.runs.live_run import run_plan
from emulation.recording import read_run
from serve_apps.testbed.live import LiveCluster
from tests.build.killing import kill
from tests.build.mixed import scenario
from tests.build.waiting import eventually

pytestmark = pytest.mark.models  # beside it, on other nodes: a testbed takes long to start


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def _ask(url: str, request_id: str, prompts: int = 1) -> httpx2.Response:
    body = {"model": "big", "prompt": ["word"] * prompts}
    return httpx2.post(f"{url}/v1/completions", json=body, headers={"X-Request-ID": request_id}, timeout=60)


def _outcome(sent: Future[httpx2.Response]) -> Any:
    try:
        return sent.result(60).status_code
    except httpx2.HTTPError as error:
        return type(error).__name__


def test_one_of_two_gateways_dies_and_only_what_was_in_flight_there_fails(
    mixed: LiveCluster, checkpoints: Path, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    cluster, given = mixed, as_live(scenario(checkpoints, gateways=2))
    cluster.begin_run(run_plan(given, "sect", 1, tmp_path))
    found = cluster.gateways()
    assert [(g["number"], g["alive"]) for g in found] == [(0, True), (1, True)]
    one, two = (g["url"] for g in found)
    health = [httpx2.get(f"{url}/health").json() for url in (one, two)]
    assert [(h["gateway"], h["pid"]) for h in health] == [(g["number"], g["pid"]) for g in found]
    assert httpx2.get(f"{cluster.url}/control/gateways").json() == {"gateways": found}

    at_one = [threads.submit(_ask, one, name, 3) for name in ("same", "also")]
    eventually(lambda: httpx2.get(f"{two}/health").json()["of_others"] == 2)
    seen = httpx2.get(f"{two}/metrics/gateway").text
    assert 'edgebed_requests_of_others{node="n"} 2.0' in seen
    at_two = [threads.submit(_ask, two, name) for name in ("same", "two")]
    eventually(lambda: httpx2.get(f"{one}/health").json()["of_others"] == 2)
    kill(found[0]["pid"])  # and its share of the port is closed
    later = threads.submit(_ask, cluster.url, "later")
    assert all(isinstance(_outcome(sent), str) for sent in at_one), "its clients see that it is gone"
    assert [_outcome(sent) for sent in (*at_two, later)] == [200, 200, 200]

    successors = eventually(lambda: [g for g in cluster.gateways() if g["number"] == 2 and g["alive"]], 60)
    assert [g["alive"] for g in cluster.gateways()] == [False, True, True]
    (successor,) = (g["url"] for g in successors)
    # It is named when it joins, and answers 503 until it has heard of every node.
    eventually(lambda: httpx2.get(f"{successor}/health").json().get("scheme"), 60)
    assert _ask(successor, "last").status_code == 200
    event = {"kind": "slowdown", "node": "n", "factor": 2.0, "at_s": 1e6, "until_s": 2e6}
    assert httpx2.post(f"{two}/control/inject", json=event).status_code == 200

    eventually(lambda: cluster.progress().in_system == 0)
    cluster.end_run()
    ends = Counter({r.request_id.partition("~")[0]: 0 for r in read_run(tmp_path).requests})
    outcomes = {r.request_id: r.outcome for r in read_run(tmp_path).requests}
    ends.update(name.partition("~")[0] for name in outcomes)
    assert Counter(outcomes.values()) == {"error": 2, "done": 4}
    assert ends == {"same": 2, "also": 1, "two": 1, "later": 1, "last": 1}
