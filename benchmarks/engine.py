"""The discrete-event engine against SimPy doing the same routing, and the largest scenario it runs in a minute.

Both sides are given the same arrivals, call the same fast path (`route`, `dispatched`, `completed`: SECT by the
profile over eight executors) and find the same ends and mean latency, which is checked. Three worlds:

- `shared`: two pods on each GPU, which slow each other down, and deadlines: what the packaged scenarios are;
- `edge`: devices behind links, and deadlines, in the queue or in service;
- `fifo`: none of it, the least a simulator can do. Our engine keeps what the others need, SimPy does not.

The fast path takes the same time on both sides and bounds the ratio: SimPy's total over the routing's share.
`without_routing` compares the simulators alone, decisions made beforehand in their place.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from benchmarks._simpy_pool import Arrivals, SimpyPool
from controller.fast_path import FastPath
from controller.perf.prior import Prior
from controller.routers.sect import Sect
from edgebed.runs.virtual import simulate
from edgebed.wiring.controllers import run_header
from edgebed.wiring.parts import find_scheme
from emulation.domain.actions import Decision, MacroPolicy, NodeConfig, RouteGuide, RoutingDecision
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.ports import Completion, RecordSink
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ExecutorState, NodeView
from emulation.domain.truth import WorldTruth
from emulation.engine.control import ControlPlane
from emulation.engine.run import Simulation
from emulation.files import load_scenario
from emulation.recording import JsonlSink
from workloads.generate import generate

WORLDS = ("shared", "edge", "fifo")
THETA = (0.0005, 0.01)
"""Seconds per input and per output token on a device of speed 1."""
LOAD = 0.8
MINUTE_S = 60.0


# -- one pool of devices, two simulators ------------------------------------------------------------------


def device_pool(devices: int, requests: int, world: str = "fifo") -> Scenario:
    """Token models on GPUs of differing speed, Poisson arrivals at 80% of what they can do.

    `edge`: the devices stand at four sites with links between them, and requests expire after 3 s. `shared`: half as
    many nodes with one pod for each of two models, both on one GPU that loses a tenth when both are busy.
    """
    shared, edge = world == "shared", world == "edge"
    models, nodes, sites = ("m", "n") if shared else ("m",), devices // (1 + shared), 4 if edge else 1
    speeds = [1.0 + 0.9 * i / nodes for i in range(nodes)]
    work_s = (THETA[0] * 512 + THETA[1] * 64) * (1.1 if shared else 1.0)
    rate_per_s = LOAD * sum(speeds) / work_s
    hosting = "pods" if shared else "device"
    gpu = {"slices": len(models), "overhead": 0.1 if shared else 0.0}
    testbed = {
        "name": f"pool-{devices}",
        "models": [{"id": m, "modality": "text", "features": "tokens"} for m in models],
        "nodes": [
            {"id": f"d{i}", "site": f"s{i % sites}", "hosting": hosting, "gpus": [gpu], "speed": s}
            for i, s in enumerate(speeds)
        ],
        "profile": [{"model": m, "mode": "gpu", "theta": THETA} for m in models],
        "links": [
            {"a": f"s{a}", "b": f"s{b}", "latency_s": 0.002 * (1 + b - a), "bandwidth_mbps": 50}
            for a in range(sites)
            for b in range(a, sites)
            if edge
        ],
    }
    lengths = {"prompt_tokens": [256, 512, 768], "output_tokens": [32, 64, 96]}
    mix = dict.fromkeys(models, 1.0)
    return Scenario.model_validate(
        {
            "name": world,
            "testbed": testbed,
            "workload": [{"kind": "poisson", "rate_per_s": rate_per_s, "mix": mix, "lengths": lengths}],
            "slot_s": requests / rate_per_s / 20,
            "slots": 20,
            "deadline_s": None if world == "fifo" else 3.0,
            "service_cv": 0.2,
            "length_knowledge": "exact",
        }
    )


class AllOn:
    """Starts every pod of its node in the first slot."""

    repeats, blind = False, False

    def observe(self, view: NodeView, cause: str) -> Decision | None:
        """All on, once."""
        if view.modes:
            return None
        modes: dict[str, Mode] = {e.models[0]: "gpu" for e in view.executors}
        return Decision("deployer", cause, view.taken_at_s, 0.0, NodeConfig(view.id, modes), "all on", "none")

    def outage(self, failure: str | None) -> None:
        """Nobody reasons."""

    def accept(self, policy: MacroPolicy) -> None:
        """Nobody plans."""


class RoundRobinTable:
    """Takes the place of the fast path to measure a simulator alone: decisions made once, handed out in turn."""

    def __init__(self, testbed: TestbedConfig) -> None:
        self._turns = cycle([RoutingDecision(e.id, "route", "in turn") for e in testbed.executors()])

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        """The next device."""
        return next(self._turns)

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """Nothing to remember."""

    def completed(self, completion: Completion) -> None:
        """Nothing to learn."""

    def executor_changed(
        self, executor: str, state: ExecutorState, mode: Mode, ready_at_s: float, now_s: float
    ) -> None:
        """Devices are always there."""

    def guide(self, guide: RouteGuide) -> None:
        """Nobody guides."""

    def policy(self, policy: MacroPolicy) -> None:
        """Nobody plans."""


def sect(testbed: TestbedConfig) -> FastPath:
    """SECT by the profile, every device ready."""
    path = FastPath(testbed, Sect(), Prior(testbed))
    for executor in testbed.executors():
        path.executor_changed(executor.id, "ready", "gpu", 0.0, 0.0)
    return path


@dataclass(frozen=True, slots=True)
class SimulatorResult:
    """What a simulation found; both simulators must agree on it."""

    done: int
    expired: int
    mean_latency_s: float

    def agrees(self, other: SimulatorResult) -> bool:
        """Same ends, and the same mean up to rounding."""
        same = (self.done, self.expired) == (other.done, other.expired)
        return same and math.isclose(self.mean_latency_s, other.mean_latency_s, rel_tol=1e-6)


def ours(
    scenario: Scenario, arrivals: Arrivals, path: FastPath | RoundRobinTable, sink: RecordSink | None = None
) -> SimulatorResult:
    """The pool by our engine."""
    header = run_header(scenario, find_scheme("e3-prior"), 0, "virtual")
    pods = [n.id for n in scenario.testbed.nodes if n.hosting == "pods"]
    control = ControlPlane(deployers={n: AllOn() for n in pods})
    simulation = Simulation(scenario, header, arrivals, WorldTruth(), path, control, sink)  # type: ignore[arg-type]
    ends = simulation.run().ends.values()
    window = simulation.ledger.window(simulation.kernel.now_s).stats.values()
    done = sum(stats.done for stats in window)
    expired = sum(end.get("expired", 0) for end in ends)
    return SimulatorResult(done, expired, sum(stats.latency_sum_s for stats in window) / done)


def recorded(scenario: Scenario, arrivals: Arrivals, path: FastPath | RoundRobinTable) -> SimulatorResult:
    """The pool by our engine, its record written to a temporary folder."""
    with TemporaryDirectory() as folder:
        sink = JsonlSink(Path(folder))
        outcome = ours(scenario, arrivals, path, sink)
        sink.close()
    return outcome


def with_simpy(scenario: Scenario, arrivals: Arrivals, path: FastPath | RoundRobinTable) -> SimulatorResult:
    """The pool by SimPy."""
    world = SimpyPool(scenario, path)
    world.env.process(world.arrive(arrivals))
    world.env.run()
    return SimulatorResult(world.done, world.expired, world.latency_sum_s / world.done)


def against_simpy(requests: int, pairs: int, world: str, routed: bool = True) -> dict[str, Any]:
    """CPU seconds of each side, interleaved A B A B. Raises `RuntimeError` if they disagree on an outcome.

    Each side is one thread that never waits: CPU seconds are its wall seconds on a machine it has for itself.
    """
    scenario = device_pool(8, requests, world)
    arrivals = generate(scenario, seed=1).items
    make = sect if routed else RoundRobinTable
    sides: dict[str, Callable[..., SimulatorResult]] = {
        "simpy": with_simpy,
        "records_off": ours,
        "records_on": recorded,
    }
    spans: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, SimulatorResult] = {}
    for _ in range(pairs):
        for name, side in sides.items():
            path = make(scenario.testbed)
            gc.collect()
            begun = process_time()
            found[name] = side(scenario, arrivals, path)
            spans[name].append(process_time() - begun)
    if not all(found["simpy"].agrees(outcome) for outcome in found.values()):
        raise RuntimeError(f"the simulators disagree: {found}")
    return {
        "requests": len(arrivals),
        "outcome": asdict(found["records_off"]),
        "us_per_request": {name: median(values) / len(arrivals) * 1e6 for name, values in spans.items()},
        "ratio": {name: _ratio(spans["simpy"], spans[name]) for name in ("records_off", "records_on")},
        "raw_cpu_s": spans,
    }


def _ratio(theirs: list[float], ours: list[float]) -> float:
    """Median of the ratios of neighbouring runs."""
    return median(a / b for a, b in zip(theirs, ours, strict=True))


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
    begun = process_time()
    footer = simulate(scenario, scheme, 1)
    core_s = process_time() - begun
    return {"nodes": len(scenario.testbed.nodes), "requests": sum(footer.arrived.values()), "core_s": core_s}


def largest(run_size: Callable[[int], dict[str, float]], probe_s: float, confirm: bool) -> dict[str, Any]:
    """Double the size until a run takes `probe_s`; what fits in a minute by the slope of the last two runs.

    With `confirm` nine tenths of that size are then really run.
    """
    size, runs = 1, [run_size(1)]
    while runs[-1]["core_s"] < probe_s:
        size *= 2
        runs.append(run_size(size))
    slope = 1.0
    if len(runs) > 1:
        slope = max(1.0, math.log2(runs[-1]["core_s"] / runs[-2]["core_s"]))
    growth = (MINUTE_S / runs[-1]["core_s"]) ** (1 / slope)
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
    """Raw figures and ratios; times in seconds of one core, generation of the requests of `largest` included."""
    requests, pairs = (4_000, 3) if quick else (10_000, 7)
    probe_s = 1.0 if quick else 10.0
    worlds = {world: against_simpy(requests, pairs, world) for world in WORLDS}
    alone = {world: against_simpy(requests, 3, world, routed=False) for world in WORLDS}
    ratios = [
        {
            "name": f"speed over SimPy, {world}, {side.replace('_', ' ')}",
            "value": figures["ratio"][side],
            "target": target,
            "at_least": True,
        }
        for world, figures in worlds.items()
        for side, target in (("records_off", 2.0), ("records_on", 1.0))
    ]
    return {
        "against_simpy": worlds,
        "without_routing": alone,
        "largest_in_60_s": {
            "pods_AL": largest(city_run, probe_s, confirm=not quick),
            "devices_sect": largest(pool_run, probe_s, confirm=not quick),
        },
        "ratios": ratios,
    }
