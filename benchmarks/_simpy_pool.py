"""The same worlds in SimPy: a process per request, a `Resource` per executor, interrupts where a GPU is shared."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal, Protocol

import simpy

from emulation.domain.actions import RoutingDecision
from emulation.domain.cluster import LinkSpec
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth

Arrivals = Sequence[tuple[Request, RequestTruth]]
Process = Generator[simpy.Event, Any, None]


class Route(Protocol):
    """The calls of the fast path that a simulator of requests makes."""

    def route(self, request: Request, now_s: float) -> RoutingDecision: ...

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None: ...

    def completed(self, completion: Completion) -> None: ...


class SharedGpu:
    """Processor sharing: whoever joins or leaves interrupts the others, who work on at their new speed."""

    def __init__(self, overhead: float) -> None:
        self.overhead = overhead
        self.busy: list[simpy.Process] = []

    def share(self) -> float:
        """Speed of one of the busy executors relative to having the GPU alone."""
        count = len(self.busy)
        return 1.0 / (count * (1.0 + self.overhead * (count - 1)))

    def join(self, process: simpy.Process) -> None:
        """One more is busy."""
        for other in self.busy:
            other.interrupt()
        self.busy.append(process)

    def leave(self, process: simpy.Process) -> None:
        """One less is busy."""
        self.busy.remove(process)
        for other in self.busy:
            other.interrupt()


class SimpyPool:
    """FIFO executors in SimPy, driving the fast path exactly as our engine does. `scenario.name` is the world."""

    def __init__(self, scenario: Scenario, path: Route) -> None:
        testbed = scenario.testbed
        self.env = simpy.Environment()
        self.path = path
        self.servers = {e.id: simpy.Resource(self.env) for e in testbed.executors()}
        self.theta = {e.id: testbed.theta(e.node, e.models[0], "gpu") or () for e in testbed.executors()}
        self.links = {
            (a.id, b.id): testbed.link(a.site, b.site) or LinkSpec(a=a.site, b=b.site)
            for a in testbed.nodes
            for b in testbed.nodes
        }
        gpus = {n.id: SharedGpu(n.gpus[0].overhead) for n in testbed.nodes}
        self.gpu_of = {e.id: gpus[e.node] for e in testbed.executors()}
        self.serve = {"fifo": self.serve_fifo, "edge": self.serve_edge, "shared": self.serve_shared}[
            scenario.name
        ]
        self.latency_sum_s = 0.0
        self.done = 0
        self.expired = 0

    def arrive(self, arrivals: Arrivals) -> Process:
        """Start a process at the arrival of every request."""
        for request, truth in arrivals:
            yield self.env.timeout(request.arrival_s - self.env.now)
            self.env.process(self.serve(request, truth))

    def serve_fifo(self, request: Request, truth: RequestTruth) -> Process:
        """One request: route, queue, service, feedback."""
        device = self.dispatch(request)
        with self.servers[device].request() as turn:
            yield turn
            service_s = self.service_s(device, request, truth)
            yield self.env.timeout(service_s)
        self.end(request, truth, device, service_s)

    def serve_edge(self, request: Request, truth: RequestTruth) -> Process:
        """One request: route, uplink, queue and service until the deadline, feedback, downlink."""
        env, device = self.env, self.dispatch(request)
        link = self.links[request.origin, device]
        due_s = request.deadline_s - link.transfer_s(request.down_bytes)
        due = env.timeout(due_s - env.now)
        yield env.timeout(link.transfer_s(request.up_bytes))
        with self.servers[device].request() as turn:
            yield turn | due
            if not turn.processed:
                self.end(request, truth, device, None)
                return
            service_s = self.service_s(device, request, truth)
            work = env.timeout(service_s)
            yield work | due
        if not work.processed:
            self.end(request, truth, device, None)
            return
        yield env.timeout(link.transfer_s(request.down_bytes))
        self.end(request, truth, device, service_s)

    def serve_shared(self, request: Request, truth: RequestTruth) -> Process:
        """One request: route, queue and service until the deadline at the speed the GPU has left, feedback."""
        env, executor = self.env, self.dispatch(request)
        gpu, me = self.gpu_of[executor], env.active_process
        assert me is not None
        due = env.timeout(request.deadline_s - env.now)
        with self.servers[executor].request() as turn:
            yield turn | due
            if not turn.processed:
                self.end(request, truth, executor, None)
                return
            left_s, begun_s = self.service_s(executor, request, truth), env.now
            gpu.join(me)
            while True:
                share, since_s = gpu.share(), env.now
                work = env.timeout(left_s / share)
                try:
                    yield work | due
                    break
                except simpy.Interrupt:
                    left_s -= (env.now - since_s) * share
            gpu.leave(me)
        self.end(request, truth, executor, env.now - begun_s if work.processed else None)

    def dispatch(self, request: Request) -> str:
        """Route and note the dispatch; the chosen device."""
        decision = self.path.route(request, self.env.now)
        self.path.dispatched(request, decision, self.env.now)
        return str(decision.executor)

    def service_s(self, device: str, request: Request, truth: RequestTruth) -> float:
        """Service time by the profile, with the request's own noise."""
        per_input_s, per_output_s = self.theta[device]
        return (per_input_s * request.prompt_tokens + per_output_s * truth.output_tokens) * truth.noise[0]

    def end(self, request: Request, truth: RequestTruth, device: str, service_s: float | None) -> None:
        """Feed the end back and count it; without a service time it expired."""
        now_s, done = self.env.now, service_s is not None
        tokens = truth.output_tokens if done else 0
        outcome: Literal["done", "expired"] = "done" if done else "expired"
        self.path.completed(
            Completion(
                request,
                device,
                outcome,
                now_s,
                Measured(mode="gpu", turn_s=service_s, turn_prompts=request.prompts, output_tokens=tokens),
            )
        )
        if done:
            self.latency_sum_s += now_s - request.arrival_s
            self.done += 1
        else:
            self.expired += 1
