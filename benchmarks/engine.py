"""The discrete-event engine against SimPy doing the same routing, and the largest scenario it runs in a minute.

Both sides are given the same arrivals, call the same fast path (`route`, `dispatched`, `completed`: SECT with the
learned performance model over eight unequal devices) and give the same mean latency, which is checked. The
SimPy side is a process per request and a `Resource` per device, the form its own documentation teaches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import simpy

from controller.fast_path import build_fast_path
from edgebed.virtual import simulate
from edgebed.wiring import find_scheme, run_header
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import Completion, RecordSink
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.engine.control import ControlPlane
from emulation.engine.run import Simulation
from emulation.files import load_scenario
from emulation.recording import JsonlSink
from workloads.generate import generate

Arrivals = Sequence[tuple[Request, RequestTruth]]
THETA = (0.0005, 0.01)
"""Seconds per input and per output token on a device of speed 1."""
LOAD = 0.8
MINUTE_S = 60.0


# -- one pool of devices, two simulators ------------------------------------------------------------------


def device_pool(devices: int, requests: int) -> Scenario:
    """One token model on devices of differing speed, Poisson arrivals at 80% of what they can do."""
    speeds = [1.0 + 0.9 * i / devices for i in range(devices)]
    work_s = THETA[0] * 512 + THETA[1] * 64
    rate_per_s = LOAD * sum(speeds) / work_s
    testbed = {
        "name": f"pool-{devices}",
        "models": [{"id": "m", "modality": "text", "features": "tokens"}],
        "nodes": [{"id": f"d{i}", "hosting": "device", "gpus": [{}], "speed": s} for i, s in enumerate(speeds)],
        "profile": [{"model": "m", "mode": "gpu", "theta": THETA}],
    }
    lengths = {"prompt_tokens": [256, 512, 768], "output_tokens": [32, 64, 96]}
    source = {"kind": "poisson", "rate_per_s": rate_per_s, "mix": {"m": 1.0}, "lengths": lengths}
    return Scenario.model_validate(
        {
            "name": f"pool-{devices}",
            "testbed": testbed,
            "workload": [source],
            "slot_s": requests / rate_per_s / 20,
            "slots": 20,
            "deadline_s": None,
            "service_cv": 0.2,
            "length_knowledge": "exact",
        }
    )


def ours(scenario: Scenario, arrivals: Arrivals, sink: RecordSink | None = None) -> float:
    """Mean latency, seconds, by our engine."""
    header = run_header(scenario, find_scheme("sect"), 0, "virtual")
    path = build_fast_path(scenario.testbed)
    simulation = Simulation(scenario, header, arrivals, WorldTruth(), path, ControlPlane(), sink)
    simulation.run()
    stats = simulation.ledger.window()["m"]
    return stats.latency_sum_s / stats.done


def with_simpy(scenario: Scenario, arrivals: Arrivals) -> float:
    """Mean latency, seconds, by SimPy."""
    world = SimpyPool(scenario.testbed)
    world.env.process(world.arrive(arrivals))
    world.env.run()
    return world.latency_sum_s / world.done


class SimpyPool:
    """FIFO devices in SimPy, driving the fast path exactly as our engine does."""

    def __init__(self, testbed: TestbedConfig) -> None:
        self.env = simpy.Environment()
        self.path = build_fast_path(testbed)
        self.servers = {n.id: simpy.Resource(self.env) for n in testbed.nodes}
        self.theta = {n.id: testbed.theta(n.id, "m", "gpu") or () for n in testbed.nodes}
        self.latency_sum_s = 0.0
        self.done = 0
        for node in testbed.nodes:
            self.path.executor_changed(node.id, "ready", "gpu", 0.0)

    def arrive(self, arrivals: Arrivals) -> Generator[simpy.Event, Any, None]:
        """Start a process at the arrival of every request."""
        for request, truth in arrivals:
            yield self.env.timeout(request.arrival_s - self.env.now)
            self.env.process(self.serve(request, truth))

    def serve(self, request: Request, truth: RequestTruth) -> Generator[simpy.Event, Any, None]:
        """One request: route, queue, service, feedback."""
        decision = self.path.route(request, self.env.now)
        device = str(decision.executor)
        self.path.dispatched(request, decision, self.env.now)
        with self.servers[device].request() as turn:
            yield turn
            per_input_s, per_output_s = self.theta[device]
            work_s = per_input_s * request.prompt_tokens + per_output_s * truth.output_tokens
            service_s = work_s * truth.noise[0]
            yield self.env.timeout(service_s)
        now_s = self.env.now
        self.path.completed(
            Completion(request, device, "gpu", "done", now_s, service_s, truth.output_tokens, False)
        )
        self.latency_sum_s += now_s - request.arrival_s
        self.done += 1


def routing_only(scenario: Scenario, arrivals: Arrivals) -> float:
    """The fast path's calls alone, each request ending as soon as it was dispatched: what both sides share."""
    path = build_fast_path(scenario.testbed)
    for request, truth in arrivals:
        decision = path.route(request, request.arrival_s)
        path.dispatched(request, decision, request.arrival_s)
        service_s = decision.predicted_s or 0.0
        end = Completion(
            request, str(decision.executor), "gpu", "done", request.arrival_s, service_s, truth.output_tokens, False
        )
        path.completed(end)
    return 0.0


def against_simpy(requests: int, pairs: int, devices: int = 8) -> dict[str, Any]:
    """Seconds of wall time of each, interleaved; raises `AssertionError` if they disagree on the mean latency."""
    scenario = device_pool(devices, requests)
    arrivals = generate(scenario, seed=1).items
    spans: dict[str, list[float]] = {"simpy": [], "records_off": [], "records_on": [], "routing_only": []}
    means: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        sides: dict[str, Callable[[], float]] = {
            "simpy": lambda: with_simpy(scenario, arrivals),
            "records_off": lambda: ours(scenario, arrivals),
            "records_on": lambda: _recorded(scenario, arrivals, Path(folder)),
            "routing_only": lambda: routing_only(scenario, arrivals),
        }
        for _ in range(pairs):
            for name, side in sides.items():
                begun = perf_counter()
                means[name] = side()
                spans[name].append(perf_counter() - begun)
    assert math.isclose(means["simpy"], means["records_off"], rel_tol=1e-6), means
    return {
        "requests": len(arrivals),
        "mean_latency_s": means["records_off"],
        "median_s": {name: median(values) for name, values in spans.items()},
        "us_per_request": {name: median(values) / len(arrivals) * 1e6 for name, values in spans.items()},
        "raw_s": spans,
    }


def _recorded(scenario: Scenario, arrivals: Arrivals, folder: Path) -> float:
    sink = JsonlSink(folder)
    mean_s = ours(scenario, arrivals, sink)
    sink.close()
    return mean_s


# -- the largest scenario in a minute ---------------------------------------------------------------------


def city(copies: int) -> Scenario:
    """bristol-A with every node `copies` times: 6 nodes and about 1,900 requests of four models each time."""
    base = load_scenario("bristol-A")
    nodes = tuple(
        node.model_copy(update={"id": f"{node.id}-{i}"}) for i in range(copies) for node in base.testbed.nodes
    )
    testbed = base.testbed.model_copy(update={"name": f"city-{copies}", "nodes": nodes})
    return base.model_copy(update={"name": testbed.name, "testbed": testbed, "plan": None})


def city_run(copies: int) -> dict[str, float]:
    """Simulate the city with scheme AL (a Lyapunov controller deciding for every node in every slot)."""
    return _timed(city(copies), "AL")


def pool_run(thousands: int) -> dict[str, float]:
    """Simulate so many thousand requests over 100 devices with scheme sect, learning included."""
    return _timed(device_pool(100, 1000 * thousands), "sect")


def _timed(scenario: Scenario, scheme: str) -> dict[str, float]:
    begun = perf_counter()
    footer = simulate(scenario, scheme, 1)
    wall_s = perf_counter() - begun
    return {"nodes": len(scenario.testbed.nodes), "requests": sum(footer.arrived.values()), "wall_s": wall_s}


def largest(run_size: Callable[[int], dict[str, float]], probe_s: float, confirm: bool) -> dict[str, Any]:
    """Double the size until a run takes `probe_s`; what fits in a minute by the slope of the last two runs.

    With `confirm` nine tenths of that size are then really run.
    """
    size, runs = 1, [run_size(1)]
    while runs[-1]["wall_s"] < probe_s:
        size *= 2
        runs.append(run_size(size))
    slope = 1.0
    if len(runs) > 1:
        slope = max(1.0, math.log2(runs[-1]["wall_s"] / runs[-2]["wall_s"]))
    growth = (MINUTE_S / runs[-1]["wall_s"]) ** (1 / slope)
    found: dict[str, Any] = {
        "extrapolated": {"requests": int(runs[-1]["requests"] * growth), "slope": slope},
        "probes": runs,
    }
    if runs[-1]["nodes"] != runs[0]["nodes"]:
        found["extrapolated"]["nodes"] = int(runs[-1]["nodes"] * growth)
    if confirm:
        found["confirmed"] = run_size(max(1, int(0.9 * size * growth)))
    return found


def run(quick: bool = False) -> dict[str, Any]:
    """Raw figures and ratios; wall times in seconds, generation of the requests of `largest` included."""
    versus = against_simpy(requests=4_000 if quick else 20_000, pairs=3 if quick else 7)
    raw = versus["raw_s"]

    def ratio(side: str) -> float:
        return median(a / b for a, b in zip(raw["simpy"], raw[side], strict=True))

    return {
        "against_simpy": versus,
        "largest_in_60_s": {
            "pods_AL": largest(city_run, 1.0 if quick else 10.0, confirm=not quick),
            "devices_sect": largest(pool_run, 1.0 if quick else 10.0, confirm=not quick),
        },
        "ratios": [
            {"name": "speed, SimPy / ours, records off", "value": ratio("records_off"), "target": 2.0, "at_least": True},
            {"name": "speed, SimPy / ours, records on", "value": ratio("records_on"), "target": 1.0, "at_least": True},
        ],
    }
