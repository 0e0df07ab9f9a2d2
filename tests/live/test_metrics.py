"""What a scraper reads of a run in progress: everything that is documented, from every process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve_apps.observe.logs import file_of
from serve_apps.observe.metrics import METRICS
from serve_apps.testbed.lookout import BACK_S
from tests.build.killing import kill
from tests.build.live import TOKEN, LiveRun
from tests.build.promql import SOMETIMES
from tests.build.waiting import eventually

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def live(begin: Callable[..., LiveRun]) -> LiveRun:
    run = begin("MAL")
    eventually(lambda: run.chat().status_code == 200)
    assert run.chat(stream=True, max_tokens=5).status_code == 200
    assert run.chat(headers={"X-Edge-Tenant": "somebody"}).status_code == 200
    return run


def values(http: httpx2.Client, path: str = "/metrics") -> dict[tuple[str, ...], float]:
    """(name, values of its labels by their names' order) to value."""
    families = text_string_to_metric_families(http.get(path).text)
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_a_run_has_every_metric_and_every_process_answers(live: LiveRun) -> None:
    def missing() -> set[str]:
        return set(METRICS) - {key[0].removesuffix("_sum") for key in values(live.http)} - SOMETIMES

    eventually(
        lambda: not missing(), said=lambda: f"missing: {missing()}"
    )  # the recorder hears of ends in batches
    found = values(live.http)
    up = {key[1]: value for key, value in found.items() if key[0] == "edgebed_up"}
    assert set(up.values()) == {1.0}, up
    nodes = [n.id for n in live.cluster.testbed.nodes]
    apps = [f"{n.id}--{m}" for n in live.cluster.testbed.nodes for m in live.cluster.testbed.hosted(n.id)]
    actors = {"gateway", "recorder", "events", "planner", "scheduler", *(f"node:{n}" for n in nodes)}
    assert set(up) == actors | {f"deployer:{n}" for n in nodes} | set(apps)


def test_a_gateway_alone_and_all_the_others_are_the_whole(live: LiveRun) -> None:
    whole, own, others = (set(values(live.http, f"/metrics{p}")) for p in ("", "/gateway", "/testbed"))
    assert not {key for key in own & others}
    assert ("edgebed_up", "gateway") in own
    assert ("edgebed_up", "recorder") in others
    assert {key[0] for key in own | others} == {key[0] for key in whole}


def test_every_process_logs_whole_lines_that_say_who_and_when(live: LiveRun, logs: Path) -> None:
    actors = {key[1] for key in values(live.http) if key[0] == "edgebed_up"}
    for actor in actors:
        lines = [orjson.loads(line) for line in file_of(logs, actor).read_bytes().splitlines()]
        assert lines[0]["message"] == f"{actor} started"
        assert all(line["actor"] == actor and line["time"] and line["level"] for line in lines)
    node = file_of(logs, "node:n1").read_text()
    assert '"node":"n1"' in node
    assert "took up run" in node


def test_no_log_has_a_token_or_what_a_client_said(live: LiveRun, logs: Path) -> None:
    said = "unmistakable-word-of-a-client"
    body = {"model": "gpt2", "messages": [{"role": "user", "content": said}]}
    given = {"Authorization": f"Bearer {TOKEN}"}
    assert live.http.post("/v1/chat/completions", json=body, headers=given).status_code == 200
    assert live.http.post("/v1/chat/completions", json=body | {"n": said}).status_code == 400
    assert live.http.get("/control/progress", headers={"Authorization": f"Bearer {said}"}).status_code == 401
    written = b"".join(file.read_bytes() for file in logs.iterdir())
    assert said.encode() not in written
    assert TOKEN.encode() not in written


def test_a_killed_actor_is_a_restart_that_scraper_and_log_tell(live: LiveRun, logs: Path) -> None:
    key = ("process_start_time_seconds", "scheduler")
    before = values(live.http)[key]
    (where,) = live.cluster.calls.call_all([("scheduler", "where")])
    kill(where["pid"])
    eventually(lambda: values(live.http).get(("edgebed_restarts_total", "scheduler")) == 1, BACK_S)
    eventually(lambda: values(live.http).get(key, 0.0) > before, BACK_S)
    assert file_of(logs, "scheduler").read_text().count("scheduler started") >= 2
