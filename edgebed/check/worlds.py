"""Small testbeds and a driver for tests of the fast path: what a world would tell it, without a world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from controller.fast_path import FastPath
from emulation.domain.actions import RoutingDecision
from emulation.domain.cluster import TestbedConfig
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Outcome, Request
from emulation.rng import stream


def pods() -> TestbedConfig:
    """Three GPU nodes and one without, two sites; `sd` is only routed to GPU nodes."""
    return TestbedConfig.model_validate(
        {
            "name": "pods",
            "models": [
                {"id": "gpt2", "modality": "text", "ram_gb": 1, "vram_gb": 2, "init_s": 4, "unload_s": 2},
                {"id": "sd", "modality": "image", "ram_gb": 1, "vram_gb": 2, "route_to": "gpu_nodes"},
            ],
            "nodes": [
                {"id": "cpu", "cores": 32, "site": "far"},
                *({"id": f"gpu{i}", "cores": 16, "gpus": [{"slices": 2}]} for i in range(3)),
            ],
            "profile": [
                {"model": "gpt2", "mode": "gpu", "theta": [1.0]},
                {"model": "gpt2", "mode": "cpu", "theta": [6.0]},
                {"model": "sd", "mode": "gpu", "theta": [11.0]},
                {"model": "sd", "mode": "cpu", "theta": [180.0]},
            ],
            "links": [{"a": "far", "b": "edge", "latency_s": 0.25, "bandwidth_mbps": 8.0}],
        }
    )


def batched() -> TestbedConfig:
    """The same nodes; the text model is served four at a time on a GPU."""
    plain = pods().model_dump()
    plain["profile"][0]["batch"] = {"width": 4, "cost": 0.25}
    return TestbedConfig.model_validate(plain)


def devices() -> TestbedConfig:
    """E3's shape: two devices for a token model, two for a fixed job, one of them able to do both."""
    return TestbedConfig.model_validate(
        {
            "name": "devices",
            "models": [
                {"id": "llm", "modality": "text", "features": "tokens"},
                {"id": "sdxl", "modality": "image"},
            ],
            "nodes": [
                {"id": "llm0", "hosting": "device", "models": ["llm"], "gpus": [{}]},
                {"id": "llm1", "hosting": "device", "models": ["llm", "sdxl"], "gpus": [{}]},
                {"id": "sd0", "hosting": "device", "models": ["sdxl"], "gpus": [{}]},
                {"id": "sd1", "hosting": "device", "models": ["sdxl"], "gpus": [{}]},
            ],
            "profile": [
                {"model": "llm", "mode": "gpu", "theta": [0.001, 0.05]},
                {"model": "llm", "mode": "gpu", "node": "llm1", "theta": [0.002, 0.08]},
                {"model": "sdxl", "mode": "gpu", "theta": [4.0]},
                {"model": "sdxl", "mode": "gpu", "node": "sd0", "theta": [2.0]},
            ],
        }
    )


WORLDS = {"pods": pods, "batched": batched, "devices": devices}


def ready(path: FastPath, mode: str = "gpu") -> FastPath:
    """The same path with every executor ready, on GPU where it can be."""
    for name, belief in path.view.beliefs.items():
        pool, column = belief.places[0]
        node = pool.names[column].split("/")[0]
        path.executor_changed(name, "ready", "cpu" if node == "cpu" else mode, 0.0, 0.0)  # type: ignore[arg-type]
    return path


def request(model: str, index: int = 0, origin: str = "gpu0", at_s: float = 0.0, **fields: object) -> Request:
    """A request of one prompt unless said otherwise."""
    given = {"prompts": 1, "prompt_tokens": 512, **fields}
    return Request(f"r{index}", model, origin, at_s, at_s + 900.0, **given)  # type: ignore[arg-type]


def completion(
    request: Request,
    executor: str,
    at_s: float,
    service_s: float | None,
    output_tokens: int = 0,
    outcome: Outcome | None = None,
    stutter: bool = False,
) -> Completion:
    """The end of a request on a GPU executor; without a service time it expired unserved."""
    measured = Measured(
        mode="gpu", service_s=service_s or 0.0, turn_s=service_s, turn_prompts=request.prompts,
        output_tokens=output_tokens, stutter=stutter,
    )  # fmt: skip
    how = outcome or ("expired" if service_s is None else "done")
    return Completion(request, executor, how, at_s, measured)


@dataclass
class Driver:
    """Sends random requests through a fast path, completes them late and now and then lets a node go."""

    path: FastPath
    testbed: TestbedConfig
    seed: int = 0
    now_s: float = 0.0
    sent: int = 0
    open: list[tuple[Request, str]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.draws = stream(self.seed, "driver")

    def pick(self, names: Sequence[str]) -> str:
        """One of them."""
        return names[int(self.draws.integers(len(names)))]

    def next_request(self) -> Request:
        """A request of a random model at a random origin, a little later."""
        self.now_s += float(self.draws.exponential(2.0))
        self.sent += 1
        model = self.pick([m.id for m in self.testbed.models])
        origin = self.pick([n for n in self.testbed.hosts(model) if n not in self.away])
        prompts, tokens = int(self.draws.integers(1, 9)), int(self.draws.choice((64, 512)))
        return request(
            model, self.sent, origin, self.now_s, prompts=prompts, prompt_tokens=tokens, up_bytes=10_000
        )

    def steps(self, count: int) -> Iterator[tuple[Request, RoutingDecision]]:
        """Route, yield, dispatch, and sometimes complete or let a node leave or return."""
        for _ in range(count):
            wanted = self.next_request()
            decision = self.path.route(wanted, self.now_s)
            yield wanted, decision
            if decision.executor is not None:
                self.path.dispatched(wanted, decision, self.now_s)
                self.open.append((wanted, decision.executor))
            if self.open and self.draws.random() < 0.6:
                self.complete(int(self.draws.integers(len(self.open))))
            if self.draws.random() < 0.1:
                self.toggle(self.pick([n.id for n in self.testbed.nodes]))

    def complete(self, index: int) -> None:
        """One outstanding request ends; a third of them without service."""
        done, executor = self.open.pop(index)
        served = self.draws.random() < 0.67
        service_s = float(self.draws.uniform(0.5, 5.0)) if served else None
        self.path.completed(completion(done, executor, self.now_s, service_s, 40 if served else 0))

    def toggle(self, node: str) -> None:
        """A node leaves, if another stays for each of its models, or returns; its work stays (resume)."""
        leaving = node not in self.away
        if leaving:
            hosted = self.testbed.hosted(node)
            if any(set(self.testbed.routable(m)) <= self.away | {node} for m in hosted):
                return
        self.away ^= {node}
        mode = "off" if leaving else ("cpu" if node == "cpu" else "gpu")
        for name, belief in self.path.view.beliefs.items():
            if belief.node == node:
                state = "away" if leaving else "ready"
                ready_at_s = float("inf") if leaving else self.now_s
                self.path.executor_changed(name, state, mode, ready_at_s, self.now_s)  # type: ignore[arg-type]
