"""Text, streams and pictures through the gateway, through Ray Serve in every way it has, and through a bare server.

All of them answer the same bodies with the same JSON or events, parse them with the same type and end at the same no-op
backend, in turn. The gateway also decides (SECT over the devices, learning on), keeps deadlines, watches for clients
that leave, and records every request in the run's canonical record, whose books are checked against the client's count.
Sides:

- `gateway`: client → gateway (parse, SECT, record) → replica;
- `serve`: client → Serve's proxy → ingress (parse) → replica, with Serve's defaults;
- `serve_tuned`: the same with our processes' settings (one event loop, arguments by value);
- `serve_fast`, `serve_direct`, `serve_routed`: Serve with every switch for speed, see `_serve_fast.py`;
- `echo`: client → the gateway's own HTTP server, which reads the body and answers the same bytes: the limit.

The first three stand on one Ray, the next three on another, both at once. The load is closed loop, from one process of
its own per measurement. `cpu_ms` is the CPU time per answer of all processes of the side's Ray, beyond what they take
when nobody asks; other work on the machine hardly moves it. `client_cpu_ms` is the client's.

With `EDGEBED_LINES=off` in the environment the gateway calls its replicas by Serve's handle, as it does those of other
machines, instead of over its own lines (`lines` in the figures says which). `python -m benchmarks calls` has the call
alone, both ways in one run.

`python -m benchmarks.gateway` prints the medians of the last run that was kept, as Markdown.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ray import serve

from benchmarks._bodies import BODIES, DEVICES, Body, devices
from benchmarks._cpu import cpu_s
from benchmarks._serve_fast import PATIENT
from benchmarks._serve_path import serve_path
from edgebed.wiring.controllers import build_controllers, run_header
from edgebed.wiring.parts import find_scheme
from emulation.domain.scenario import Scenario
from emulation.domain.truth import WorldTruth
from serve_apps.testbed.apps import QUIET
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.ports import checked_port
from serve_apps.wire.line import SWITCH
from serve_apps.wire.messages import RunPlan

CLIENTS = (1, 64)
SLOW = ("serve", "serve_tuned")
"""Serve's slow ways, measured on text alone."""
TARGET_P50, TARGET_PER_S = 0.4, 2.5
"""Over Serve's slow ways, text."""
TARGET_LIMIT = 0.6
"""Throughput over the bare server, text."""
IDLE_S = 4.0
ENDS_S = 120.0
Runs = dict[str, dict[str, dict[str, list[Any]]]]
"""Body, clients (as text), side: its measurements."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way to be answered."""

    url: str
    """Without the path of the API."""
    pid: int
    """Whose processes, with all below it, answer."""
    without: tuple[int, ...] = ()
    """Those below it that do not."""

    def cpu_s(self) -> Counter[str]:
        """CPU seconds so far, by what a process is."""
        return cpu_s(self.pid, self.without)


class BothWays(LiveCluster):
    """A live testbed beside Serve's own way in, which testbeds otherwise do without."""

    proxy_port = 0

    def _start_apps(self, share: float) -> None:
        self.proxy_port = checked_port("127.0.0.1", 0)
        http = {"host": "127.0.0.1", "port": self.proxy_port}
        serve.start(proxy_location="HeadOnly", http_options=http, logging_config=QUIET)
        super()._start_apps(share)
        serve.run_many(
            [serve_path(side, self.testbed.models, DEVICES, side == "serve_tuned") for side in SLOW]
        )

    def urls(self) -> dict[str, str]:
        """Where each side answers."""
        return {"gateway": self.url} | {side: f"http://127.0.0.1:{self.proxy_port}/{side}" for side in SLOW}


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


@contextmanager
def standing(module: str, *arguments: str) -> Iterator[tuple[int, Any]]:
    """A process of ours that says in a line where it answers, and ends with its input: its pid, and that line."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        if not said:
            raise RuntimeError(f"benchmarks.{module} did not come up")
        yield process.pid, json.loads(said)
    finally:
        process.stdin.close()
        try:
            process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()  # its guardian ends what it has started
        process.stdout.close()


def same_answers(sides: Mapping[str, Side]) -> dict[str, bytes]:
    """The gateway's answer to every body. Raises `RuntimeError` unless all say the same but for ids and times."""
    kept = {}
    for name, body in BODIES.items():
        found = {side: asked(body, each.url) for side, each in sides.items()}
        kept[name] = found["gateway"]
        if odd := [side for side, raw in found.items() if body.said(raw) != body.said(kept[name])]:
            other = found[odd[0]]
            raise RuntimeError(f"{name}: {odd} answer otherwise: {kept[name][:2000]!r} {other[:2000]!r}")
    return kept


def asked(body: Body, url: str) -> bytes:
    """The answer to one request, which has the same name everywhere: a caption is drawn by it."""
    named = {"content-type": "application/json", "x-request-id": f"same-{len(body.sent)}"}
    call = urllib.request.Request(url + body.path, body.sent, named)
    with urllib.request.urlopen(call, timeout=60) as answer:
        raw: bytes = answer.read()
    return raw


def load(
    side: Side, url: str, file: Path, clients: int, seconds: float, idle: Mapping[str, float]
) -> dict[str, Any]:
    """One measurement from a process of its own. `idle`: CPU seconds a second, by process, when nobody asks."""
    before, began_s = side.cpu_s(), time.monotonic()
    command = [sys.executable, "-m", "benchmarks._http_load", url, str(file), str(clients), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-2000:]}")
    took_s, after = time.monotonic() - began_s, side.cpu_s()
    figures: dict[str, Any] = json.loads(done.stdout)
    answers = figures["answers"]
    by = {name: (after[name] - before[name] - idle.get(name, 0.0) * took_s) / answers * 1e3 for name in after}
    figures["cpu_ms"] = sum(by.values())
    figures["cpu_ms_by_process"] = {name: ms for name, ms in by.items() if ms > 0.01}
    figures["client_cpu_ms"] = figures.pop("client_cpu_s") / answers * 1e3
    return figures


def idle_rates(sides: Mapping[str, Side]) -> dict[str, dict[str, float]]:
    """CPU seconds a second of each side, by process, while nobody asks."""
    before = {name: side.cpu_s() for name, side in sides.items()}
    time.sleep(IDLE_S)
    return {
        name: {each: (s - before[name][each]) / IDLE_S for each, s in side.cpu_s().items()}
        for name, side in sides.items()
    }


def measure(
    sides: Mapping[str, Side], folder: Path, rounds: int, seconds: float
) -> tuple[Runs, Counter[str]]:
    """Every side in turn, `rounds` times, for every body; and answers by side in all."""
    idle = idle_rates(sides)
    found: Runs = {name: {str(c): {} for c in CLIENTS} for name in BODIES}
    answers: Counter[str] = Counter()
    for name, body in BODIES.items():
        (folder / name).write_bytes(body.sent)
    for i in range(rounds + 1):
        for name, body in BODIES.items():
            for clients in CLIENTS:
                for side, each in sides.items():
                    if side in SLOW and name != "text":
                        continue
                    url = f"{each.url}/{name}" if side == "echo" else each.url + body.path
                    window_s = seconds if i else seconds / 4
                    figures = load(each, url, folder / name, clients, window_s, idle[side])
                    answers[side] += int(figures["answers"])
                    if i:  # in the first round handles, connections and learned laws get warm
                        found[name][str(clients)].setdefault(side, []).append(figures)
    return found, answers


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every figure but the count of answers; of each process its own."""
    names = {name for run in runs for name in run["cpu_ms_by_process"]}
    by = {name: median(run["cpu_ms_by_process"].get(name, 0.0) for run in runs) for name in names}
    plain = [name for name in runs[0] if name not in ("answers", "cpu_ms_by_process")]
    figures: dict[str, Any] = {name: median(run[name] for run in runs) for name in plain}
    return figures | {"cpu_ms_by_process": dict(sorted(by.items(), key=lambda item: -item[1]))}


def ratios(sides: Mapping[str, list[dict[str, Any]]], other: str) -> dict[str, float]:
    """The gateway's figures over another side's: median over neighbouring runs."""
    pairs = list(zip(sides["gateway"], sides[other], strict=True))
    judged = ("p50_ms", "p99_ms", "first_p50_ms", "per_s", "cpu_ms")
    return {name: median(a[name] / b[name] for a, b in pairs) for name in judged}


def run(quick: bool = False) -> dict[str, Any]:
    """Raw figures, medians and ratios.

    Raises `RuntimeError` if the answers differ, or if record and client do not count the same number of them.
    """
    load_average = os.getloadavg()[0]
    rounds, seconds = (1, 1.0) if quick else (3, 1.6)
    scenario = devices()
    os.environ.update({name: value for name, value in PATIENT.items() if name not in os.environ})
    with (
        TemporaryDirectory() as folder,
        standing("_serve_fast") as (fast_pid, fast),
        BothWays.start(scenario.testbed, LiveOptions(port=0, backend="noop")) as both,
    ):
        assert isinstance(both, BothWays)
        begin(both, scenario, folder)
        sides = {name: Side(url, os.getpid(), (fast_pid,)) for name, url in both.urls().items()}
        missing = fast.get("missing")
        if missing is None:
            sides |= {name: Side(url, fast_pid) for name, url in fast.items()}
        else:
            print(f"serve_fast, serve_direct and serve_routed are left out: {missing}", file=sys.stderr)
        said = same_answers(sides)
        answers = {name: (body.pieces(said[name]), body.streamed) for name, body in BODIES.items()}
        (Path(folder) / "answers").write_bytes(pickle.dumps(answers))
        with standing("_echo", folder) as (echo_pid, port):
            sides = {n: Side(s.url, s.pid, (*s.without, echo_pid)) for n, s in sides.items()}
            sides["echo"] = Side(f"http://127.0.0.1:{port}", echo_pid)
            raw, counted = measure(sides, Path(folder), rounds, seconds)
        footer = both.end_run()
    recorded = sum(ends.get("done", 0) for ends in footer.ends.values())
    if recorded != counted["gateway"] + len(BODIES):  # those of `same_answers`
        raise RuntimeError(f"{counted['gateway']} answers counted by the client, {recorded} recorded")
    found = {
        body: {
            clients: {
                "median": {side: medians(runs) for side, runs in by_side.items()},
                "gateway_over": {other: ratios(by_side, other) for other in by_side if other != "gateway"},
            }
            for clients, by_side in by_clients.items()
        }
        for body, by_clients in raw.items()
    }
    return {
        "load_average_before": load_average,
        "missing": missing,
        "lines": os.environ.get(SWITCH) != "off",
        "bodies": found,
        "answers": dict(counted),
        "raw": raw,
        "ratios": rows(found),
    }


def rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The judged ratios: over Serve's slow ways and the bare server on text, over its fastest way on every body."""

    def row(name: str, value: float, target: float, at_least: bool) -> dict[str, Any]:
        return {"name": name, "value": value, "target": target, "at_least": at_least}

    one, many = (found["text"][str(clients)]["gateway_over"] for clients in CLIENTS)
    judged = []
    for side in SLOW:
        name = side.replace("_", ", ")
        judged.append(row(f"text: p50 over {name}, 1 client", one[side]["p50_ms"], TARGET_P50, False))
        judged.append(
            row(f"text: throughput over {name}, 64 clients", many[side]["per_s"], TARGET_PER_S, True)
        )
    limit = many["echo"]["per_s"]
    judged.append(row("text: throughput over the bare server, 64 clients", limit, TARGET_LIMIT, True))
    for body, by_clients in found.items():
        one, many = (by_clients[str(clients)] for clients in CLIENTS)
        rates = {s: f["per_s"] for s, f in many["median"].items() if s.startswith("serve") and s not in SLOW}
        if not rates:
            continue
        side = max(rates, key=lambda s: rates[s])
        name = side.replace("_", ", ")
        judged.append(
            row(f"{body}: p50 over {name}, 1 client", one["gateway_over"][side]["p50_ms"], 1.0, False)
        )
        over = many["gateway_over"][side]
        judged.append(row(f"{body}: throughput over {name}, 64 clients", over["per_s"], 1.0, True))
        judged.append(row(f"{body}: CPU per answer over {name}, 64 clients", over["cpu_ms"], 1.0, False))
    return judged


def table(found: Mapping[str, Any]) -> str:
    """The medians as Markdown, a line for each body, number of clients and side."""
    lines = [
        "| Body | Clients | Side | p50 | p99 | first byte, p50 | answers/s | CPU per answer | of that, most |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for body, by_clients in found.items():
        for clients, figures in by_clients.items():
            for side, m in figures["median"].items():
                most = ", ".join(f"{n} {ms:.2f}" for n, ms in list(m["cpu_ms_by_process"].items())[:3])
                times = f"{m['p50_ms']:.2f} ms | {m['p99_ms']:.1f} ms | {m['first_p50_ms']:.2f} ms"
                rate = f"{m['per_s']:,.0f} | {m['cpu_ms']:.2f} ms"
                lines.append(f"| {body} | {clients} | `{side}` | {times} | {rate} | {most} |")
    return "\n".join(lines)


if __name__ == "__main__":
    kept = Path(__file__).parent / "results" / "gateway.json"
    print(table(json.loads(kept.read_text())["figures"]["bodies"]))
