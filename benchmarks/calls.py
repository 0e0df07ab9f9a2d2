"""CPU time of a call to a replica, over the gateway's own line and by Serve's handle: `python -m benchmarks calls`

Both ways in turn, between the same two processes: one that is set as a gateway is, and a replica of the no-op backend.
`cpu_ms` is what both take of a call; no HTTP, no decision, no record. Other work on the machine hardly moves it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any

import psutil
from ray._private.async_compat import try_install_uvloop

from benchmarks._bodies import BODIES, devices
from benchmarks._serve_path import form_of, work_of
from serve_apps.gateway.replicas import NearReplicas, ServeReplicas
from serve_apps.testbed.apps import ON_ONE_LOOP
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.wire.names import app_name

CALLS_AT_ONCE = (1, 64)
TARGET = 0.5
"""CPU of a call over the line, of that by the handle: what ADR 41 asks for, of whole answers, on text."""
Found = dict[str, dict[str, dict[str, list[float]]]]
"""Body, calls at once (as text), way: CPU ms of both processes, round by round."""


def run(quick: bool = False) -> dict[str, Any]:
    """Raw figures, medians and ratios."""
    rounds, seconds = ("2", "0.5") if quick else ("5", "1.0")
    command = [sys.executable, "-m", "benchmarks.calls", rounds, seconds]
    done = subprocess.run(
        command, env=os.environ | ON_ONE_LOOP, stdout=subprocess.PIPE, text=True, check=True
    )
    raw: Found = json.loads(done.stdout.splitlines()[-1])
    rows, medians = [], {}
    for body, by_count in raw.items():
        for count, ways in by_count.items():
            name = f"{body}, {count} at once"
            medians[name] = {way: median(each) for way, each in ways.items()}
            ratio = median(a / b for a, b in zip(ways["line"], ways["handle"], strict=True))
            said = f"{name}: CPU over the line, of that by the handle"
            rows.append({"name": said, "value": ratio, "target": TARGET, "at_least": False})
    return {"cpu_ms": medians, "raw": raw, "ratios": rows}


async def measure(rounds: int, seconds: float) -> Found:
    """Every body and number of calls at once, both ways in turn."""
    ways: Mapping[str, ServeReplicas] = {"line": NearReplicas(), "handle": ServeReplicas()}
    found: Found = {}
    for name, body in BODIES.items():
        _, parsed = form_of(body.path, body.sent)
        work, app = work_of("x", parsed.ask()), app_name("d0", body.what["model"])
        for replicas in ways.values():
            await replicas.warm_up([app])
        replica = psutil.Process(await ways["handle"]._handle(app, "pid").remote())
        for count in CALLS_AT_ONCE:
            figures = found.setdefault(name, {}).setdefault(str(count), {way: [] for way in ways})
            for number in range(rounds + 1):
                for way, replicas in ways.items():
                    call = streaming(replicas, app, work) if body.streamed else whole(replicas, app, work)
                    cpu_ms = await cost_ms(call, count, seconds, replica)
                    if number:  # the first one is to get warm
                        figures[way].append(cpu_ms)
    return found


def whole(replicas: ServeReplicas, app: str, work: Any) -> Callable[[], Awaitable[None]]:
    """A call for an answer in one piece."""

    async def call() -> None:
        await replicas.serve(app, work)

    return call


def streaming(replicas: ServeReplicas, app: str, work: Any) -> Callable[[], Awaitable[None]]:
    """A call for an answer item by item."""

    async def call() -> None:
        async for _ in replicas.stream(app, work):
            pass

    return call


async def cost_ms(call: Callable[[], Awaitable[None]], at_once: int, seconds: float, replica: Any) -> float:
    """CPU ms of this process and the replica for a call, so many of them going on all the time."""
    calls, until_s = 0, time.monotonic() + seconds

    async def caller() -> None:
        nonlocal calls
        while time.monotonic() < until_s:
            await call()
            calls += 1

    before_s = time.process_time() + sum(replica.cpu_times()[:2])
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return float(time.process_time() + sum(replica.cpu_times()[:2]) - before_s) / calls * 1e3


async def measure_and_stop(cluster: LiveCluster, rounds: int, seconds: float) -> Found:
    """Measure; Serve ends its handles in the event loop that they were made in, so that has to go on meanwhile."""
    found = await measure(rounds, seconds)
    await asyncio.to_thread(cluster.stop)
    return found


def main(rounds: int, seconds: float) -> None:
    """Measure against a testbed of this process."""
    try_install_uvloop()  # type: ignore[no-untyped-call]
    with LiveCluster.start(devices().testbed, LiveOptions(port=0, backend="noop")) as cluster:
        found = asyncio.run(measure_and_stop(cluster, rounds, seconds))
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
