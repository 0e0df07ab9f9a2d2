"""One chat completion through the gateway, and through Ray Serve's own HTTP proxy, ingress and replica.

Both answer the same body with the same JSON, parse it with the same type and end at the same no-op replica, in the
same Ray cluster, in turn. The gateway also decides (SECT over the devices, learning on) and records every request in
the run's canonical record, whose books are checked against the client's count. Sides:

- `gateway`: client → gateway (parse, SECT, record) → replica;
- `serve`: client → Serve's proxy → ingress (parse) → replica, with Serve's defaults;
- `serve_tuned`: the same with our processes' settings (one event loop, arguments by value).

The load is closed loop, from one process of its own per measurement. `cpu_ms` is the CPU time of all processes of the
cluster per answer, which other work on the machine hardly moves, `client_cpu_ms` the client's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ray import serve

from benchmarks._serve_path import serve_path
from edgebed.wiring.controllers import build_controllers, run_header
from edgebed.wiring.parts import find_scheme
from emulation.domain.scenario import Scenario
from emulation.domain.truth import WorldTruth
from serve_apps.testbed.apps import QUIET
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.ports import checked_port
from serve_apps.wire.messages import RunPlan

DEVICES = 2
"""On the gateway's side so many devices with one replica each; on the others so many replicas of one deployment."""
CLIENTS = (1, 64)
TARGET_P50, TARGET_PER_S = 0.4, 2.5
BODY = json.dumps(
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "Which of the nodes near me would answer this question first?"},
        ],
        "max_completion_tokens": 16,
    }
)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BothWays(LiveCluster):
    """A live testbed beside Serve's own way in, which testbeds otherwise do without."""

    proxy_port = 0

    def _start_apps(self, share: float) -> None:
        self.proxy_port = checked_port("127.0.0.1", 0)
        http = {"host": "127.0.0.1", "port": self.proxy_port}
        serve.start(proxy_location="HeadOnly", http_options=http, logging_config=QUIET)
        super()._start_apps(share)
        model = self.testbed.models[0]
        serve.run_many(
            [serve_path("serve", model, DEVICES, False), serve_path("serve_tuned", model, DEVICES, True)]
        )

    def urls(self) -> dict[str, str]:
        """Where each side answers."""
        proxy = f"http://127.0.0.1:{self.proxy_port}"
        return {
            "gateway": f"{self.url}/v1/chat/completions",
            "serve": f"{proxy}/serve",
            "serve_tuned": f"{proxy}/serve_tuned",
        }


def devices() -> Scenario:
    """Devices that are always there and take no time (their backend is no-op); no load of its own."""
    testbed = {
        "name": "no-op",
        "models": [{"id": "m", "modality": "text", "features": "tokens"}],
        "nodes": [{"id": f"d{i}", "hosting": "device", "gpus": [{}]} for i in range(DEVICES)],
        "profile": [{"model": "m", "mode": "gpu", "theta": [0.0, 0.0001]}],
    }
    workload = [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"m": 1.0}}]
    return Scenario.model_validate(
        {"name": "no-op", "testbed": testbed, "workload": workload, "slots": 100_000, "deadline_s": 60.0}
    )


def begin(cluster: LiveCluster, scenario: Scenario, folder: str) -> None:
    """A run of scheme `sect` that lasts until it is ended."""
    row = find_scheme("sect")
    made = build_controllers(row, scenario, seed=1)
    header = run_header(scenario, row, 1, "live")
    plan = RunPlan(
        run_id="gateway-benchmark",
        scenario=scenario,
        seed=1,
        header=header,
        truth=WorldTruth(),
        fast_path=made.fast_path,
        folder=folder,
        planner=made.planner,
        scheduler=made.scheduler,
        deployers=made.deployers,
        endless=True,
    )
    time.sleep(max(0.0, cluster.begin_run(plan) - time.time()))


def same_answers(urls: Mapping[str, str]) -> None:
    """Raises `RuntimeError` unless every side gives the same answer but for its id and time."""
    found = {}
    for side, url in urls.items():
        call = urllib.request.Request(url, BODY.encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(call, timeout=60) as answer:
            found[side] = {k: v for k, v in json.load(answer).items() if k not in ("id", "created")}
    if any(answer != found["gateway"] for answer in found.values()):
        raise RuntimeError(f"the answers differ: {found}")


def load(url: str, clients: int, seconds: float) -> dict[str, float]:
    """One measurement from a process of its own; CPU time per answer of the cluster and of the client in ms."""
    before_s = cluster_cpu_s()
    command = [sys.executable, "-m", "benchmarks._http_load", url, BODY, str(clients), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    answers = figures["answers"]
    figures["cpu_ms"] = (cluster_cpu_s() - before_s) / answers * 1e3
    figures["client_cpu_ms"] = figures.pop("client_cpu_s") / answers * 1e3
    return figures


def cluster_cpu_s() -> float:
    """CPU seconds so far of every process this one started, directly or not, that still runs."""
    parents, spent = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def ours(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == os.getpid():
                return True
        return False

    return sum(cpu_s for pid, cpu_s in spent.items() if ours(pid))


def measure(urls: Mapping[str, str], pairs: int, seconds: float) -> tuple[dict[str, Any], Counter[str]]:
    """Every side in turn, `pairs` times: clients (as text) → side → measurements, and answers by side in all."""
    found: dict[str, dict[str, list[Any]]] = {str(c): {side: [] for side in urls} for c in CLIENTS}
    answers: Counter[str] = Counter()
    for i in range(pairs + 1):
        for clients in CLIENTS:
            for side, url in urls.items():
                figures = load(url, clients, seconds)
                answers[side] += int(figures["answers"])
                if i:  # in the first round handles, connections and learned laws get warm
                    found[str(clients)][side].append(figures)
    return found, answers


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of every figure but the count of answers."""
    return {name: median(run[name] for run in runs) for name in runs[0] if name != "answers"}


def ratios(sides: Mapping[str, list[dict[str, float]]], other: str) -> dict[str, float]:
    """The gateway's figures over another side's: median over neighbouring runs."""
    pairs = list(zip(sides["gateway"], sides[other], strict=True))
    return {
        name: median(a[name] / b[name] for a, b in pairs) for name in ("p50_ms", "p99_ms", "per_s", "cpu_ms")
    }


def run(quick: bool = False) -> dict[str, Any]:
    """Raw figures, medians and ratios.

    Raises `RuntimeError` if the answers differ, or if record and client do not count the same number of them.
    """
    load_average = os.getloadavg()[0]
    pairs, seconds = (2, 2.0) if quick else (7, 4.0)
    scenario = devices()
    with (
        TemporaryDirectory() as folder,
        BothWays.start(scenario.testbed, LiveOptions(port=0, backend="noop")) as both,
    ):
        assert isinstance(both, BothWays)
        begin(both, scenario, folder)
        urls = both.urls()
        same_answers(urls)
        raw, answers = measure(urls, pairs, seconds)
        footer = both.end_run()
    recorded = sum(ends.get("done", 0) for ends in footer.ends.values())
    if recorded != answers["gateway"] + 1:  # that of `same_answers`
        raise RuntimeError(f"{answers['gateway']} answers counted by the client, {recorded} recorded")
    found = {
        clients: {
            "median": {side: medians(runs) for side, runs in sides.items()},
            "gateway_over": {other: ratios(sides, other) for other in ("serve", "serve_tuned")},
        }
        for clients, sides in raw.items()
    }
    return {
        "load_average_before": load_average,
        "clients": found,
        "answers": dict(answers),
        "raw": raw,
        "ratios": [row for other in ("serve", "serve_tuned") for row in rows(found, other)],
    }


def rows(found: Mapping[str, Any], other: str) -> list[dict[str, Any]]:
    """The judged ratios; the targets were set for Serve's defaults."""
    name = other.replace("_", ", ")
    p50, per_s = found["1"]["gateway_over"][other]["p50_ms"], found["64"]["gateway_over"][other]["per_s"]
    return [
        {"name": f"p50 over {name}, 1 client", "value": p50, "target": TARGET_P50, "at_least": False},
        {
            "name": f"throughput over {name}, 64 clients",
            "value": per_s,
            "target": TARGET_PER_S,
            "at_least": True,
        },
    ]
