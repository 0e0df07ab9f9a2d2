"""Prometheus itself, with the configuration that `edgebed metrics export` writes, before a run in progress.

Debian's package; `make test-prometheus` installs it. Every query of dashboard and alert rules is evaluated by its HTTP
API.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from edgebed.observability.files import CONFIG, export
from tests.build.live import TOKEN, LiveRun
from tests.build.promql import SOMETIMES, metrics_in, queries, rules, value_of
from tests.build.waiting import LONG_S, eventually

pytestmark = pytest.mark.ray

if shutil.which("prometheus") is None:  # one skip, not one for every query
    pytest.skip("no prometheus here (make test-prometheus)", allow_module_level=True)

NOT_HERE = {"RequestsRefused", "GatewayFails"}
"""Rules about what did not happen in this run: refusals, and faults of the gateway's own."""


@dataclass
class Prometheus:
    """One that runs."""

    http: httpx2.Client

    def api(self, path: str, **given: str) -> Any:
        """The data of an answer; fails with Prometheus' own words."""
        answer = self.http.get(f"/api/v1/{path}", params=given).json()
        assert answer["status"] == "success", (given, answer)
        return answer["data"]

    def value(self, query: str) -> list[Any]:
        """What a query gives now."""
        return list(self.api("query", query=query)["result"])


@pytest.fixture(scope="module")
def live(begin: Callable[..., LiveRun]) -> LiveRun:
    return begin("MAL")


@pytest.fixture(scope="module")
def prometheus(live: LiveRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, watching the run every second, which has served, streamed and failed a few requests."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    export(folder / "watch", live.cluster.url, every_s=1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus", f"--config.file={folder / 'watch' / CONFIG}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={where}",
    ]  # fmt: skip
    with (folder / "words").open("wb") as words:
        server = subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT)
    try:
        with httpx2.Client(base_url=f"http://{where}", timeout=10) as http:
            found = Prometheus(http)
            eventually(lambda: http.get("/-/ready").status_code == 200, said=(folder / "words").read_text)
            token = {"Authorization": f"Bearer {TOKEN}"}
            event = {
                "kind": "error",
                "node": "n2",
                "model": "big",
                "at_s": live.now_s,
                "until_s": live.now_s + 500,
            }
            assert live.http.post("/control/inject", json=event, headers=token).status_code == 200
            eventually(lambda: serves(live, found))
            yield found
    finally:
        server.terminate()
        server.wait(LONG_S)


def serves(live: LiveRun, prometheus: Prometheus) -> bool:
    """Send one request of each kind, one of a tenant too; whether Prometheus has seen enough of them for a rate."""
    live.chat()
    of_tenant = {"X-Edge-Tenant": "lab"}
    live.http.post("/v1/completions", json={"model": "gpt2", "prompt": "hi"}, headers=of_tenant)
    live.chat(stream=True, max_tokens=5)
    live.http.post("/v1/completions", json={"model": "big", "prompt": "hi"})
    seen = 'rate(edgebed_requests_total{outcome="%s"}[1m]) > 0'
    return bool(prometheus.value(seen % "done") and prometheus.value(seen % "error"))


def test_both_parts_of_the_gateway_are_scraped(prometheus: Prometheus) -> None:
    targets = prometheus.api("targets")["activeTargets"]
    assert sorted(t["labels"]["part"] for t in targets) == ["gateway", "testbed"]
    assert [(t["health"], t["lastError"]) for t in targets] == [("up", "")] * 2


@pytest.mark.parametrize("name", queries())
def test_a_query_of_the_dashboard_gives_data(prometheus: Prometheus, name: str) -> None:
    query = queries()[name]
    if metrics_in(query) & SOMETIMES:
        assert prometheus.value(query) == []
    else:
        eventually(lambda: prometheus.value(query))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_what_an_alert_looks_at_is_there(prometheus: Prometheus, rule: dict[str, Any]) -> None:
    if rule["alert"] in NOT_HERE or metrics_in(rule["expr"]) & SOMETIMES:
        assert prometheus.value(value_of(rule)) == []
    else:
        eventually(lambda: prometheus.value(value_of(rule)))


def test_the_rules_are_evaluated_and_the_one_that_must_fires(prometheus: Prometheus) -> None:
    (group,) = prometheus.api("rules")["groups"]
    assert [(r["health"], r.get("lastError", "")) for r in group["rules"]] == [("ok", "")] * len(rules())
    alerts = eventually(lambda: prometheus.api("alerts")["alerts"])
    firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
    assert "FaultInForce" in firing
    assert not firing & {"GatewayNotScraped", "ProcessDown", "RecorderBehind", "LogLinesLost", "GatewayFails"}
