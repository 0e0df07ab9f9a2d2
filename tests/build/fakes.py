"""Fakes used across the tests: a fixed route, a bare testbed, a one-call simulation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

import numpy as np

from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.cluster import ModelSpec, NodeSpec, ProfileEntry, TestbedConfig
from emulation.domain.ports import Completion
from emulation.domain.records import RunHeader
from emulation.domain.request import Request
from emulation.domain.scenario import PoissonSource, Scenario
from emulation.domain.sharing import GpuSpec
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.engine.control import ControlPlane
from emulation.engine.run import Simulation
from emulation.recording import MemorySink, Run
from emulation.rng import stream


class FixedRoute:
    """A fast path that sends everything to one executor, holding while it is away."""

    def __init__(self, executor: str) -> None:
        self.executor = executor
        self.states: dict[str, str] = {}
        self.completions: list[Completion] = []

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        if self.states.get(self.executor) == "away":
            return RoutingDecision(None, "hold", "away")
        return RoutingDecision(self.executor, "route", "fixed")

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        pass

    def completed(self, completion: Completion) -> None:
        self.completions.append(completion)

    def executor_changed(self, executor: str, state: str, mode: str, ready_at_s: float, now_s: float) -> None:
        self.states[executor] = state

    def guide(self, guide: RouteGuide) -> None:
        pass

    def policy(self, policy: MacroPolicy) -> None:
        pass


def device_testbed(unit_s: float = 1.0, nodes: int = 1, **gpu: float) -> TestbedConfig:
    """Always-ready devices with one FIFO each and a service time of `unit_s` per prompt of model `m`."""
    return TestbedConfig(
        name="devices",
        models=(ModelSpec(id="m", modality="text"),),
        nodes=tuple(NodeSpec(id=f"d{i}", hosting="device", gpus=(GpuSpec(**gpu),)) for i in range(nodes)),
        profile=(ProfileEntry(model="m", mode="gpu", theta=(unit_s,)),),
    )


def pod_testbed(
    slices: int = 2, overhead: float = 0.1, cores: int = 16, init_s: float = 4.0
) -> TestbedConfig:
    """One node `n` with pods: models a and b, 1 s a prompt on the GPU, 6 s on 16 cores."""
    return TestbedConfig(
        name="pods",
        models=tuple(
            ModelSpec(id=m, modality="text", ram_gb=2, vram_gb=2, init_s=init_s, unload_s=2.0)
            for m in ("a", "b")
        ),
        nodes=(
            NodeSpec(
                id="n", cores=cores, ram_gb=24, gpus=(GpuSpec(slices=slices, vram_gb=24, overhead=overhead),)
            ),
        ),
        profile=tuple(
            ProfileEntry(model=m, mode=mode, theta=(theta,))
            for m in ("a", "b")
            for mode, theta in (("gpu", 1.0), ("cpu", 6.0))
        ),
    )


def scenario(testbed: TestbedConfig, horizon_s: float = 1000.0, **changes: object) -> Scenario:
    """A scenario whose own workload is not used: the tests hand in their arrivals."""
    fields: dict[str, object] = {
        "name": "test",
        "testbed": testbed,
        "workload": (PoissonSource(rate_per_s=1, mix={testbed.models[0].id: 1.0}),),
        "slot_s": horizon_s / 10,
        "slots": 10,
        "deadline_s": None,
    }
    return Scenario.model_validate({**fields, **changes})


def request(number: int, arrival_s: float, model: str = "m", prompts: int = 1, **fields: object) -> Request:
    """Request `r<number>` entering at the first node."""
    values: dict[str, object] = {"origin": "d0", "deadline_s": inf, **fields}
    return Request(id=f"r{number:06d}", model=model, arrival_s=arrival_s, prompts=prompts, **values)  # type: ignore[arg-type]


def poisson(
    rate: float, count: int, seed: int, service: str = "exponential"
) -> list[tuple[Request, RequestTruth]]:
    """`count` Poisson arrivals with exponential or constant work, mean 1 unit."""
    rng = stream(seed, "test-arrivals")
    times = np.cumsum(rng.exponential(1 / rate, count))
    works = rng.exponential(1.0, count) if service == "exponential" else np.ones(count)
    return [
        (request(i, float(t)), RequestTruth(noise=(float(w),)))
        for i, (t, w) in enumerate(zip(times, works, strict=True))
    ]


def header(world: Scenario, scheme: str = "test", seed: int = 0) -> RunHeader:
    """A header for a hand-made run."""
    return RunHeader(
        scenario=world.name,
        scheme=scheme,
        seed=seed,
        world="virtual",
        reasoner="none",
        lifecycle="warm",
        speedup=1.0,
        models=tuple(m.id for m in world.testbed.models),
        slot_s=world.slot_s,
        slots=world.slots,
        epoch_slots=world.epoch_slots,
        horizon_s=world.horizon_s,
        deadline_s=world.deadline_s,
        objective_weight=world.objective_weight,
    )


def simulate(
    world: Scenario,
    arrivals: Iterable[tuple[Request, RequestTruth]],
    fast_path: object | None = None,
    control: ControlPlane | None = None,
    truth: WorldTruth | None = None,
) -> Run:
    """Run to the end and return the records."""
    sink = MemorySink()
    route = fast_path or FixedRoute(world.testbed.executors()[0].id)
    simulation = Simulation(
        world,
        header(world),
        arrivals,
        truth or WorldTruth(),
        route,
        control or ControlPlane(),
        sink,  # type: ignore[arg-type]
    )
    simulation.run()
    return sink.run()


def latencies(run: Run) -> Sequence[float]:
    """End-to-end latency of everything that was done, in order of ending."""
    return [r.ended_s - r.intended_s for r in run.requests if r.outcome == "done"]
