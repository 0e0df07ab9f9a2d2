"""Executors of one node start, stop, crash, leave and return: Off, Pending, Starting, Ready, Draining, Away."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.events import InFlight
from emulation.domain.feasibility import node_violations
from emulation.domain.snapshot import ExecutorState
from emulation.executor.executor import Executor
from emulation.executor.job import Job
from emulation.executor.notices import Changed
from emulation.executor.resources import allocate, needs_of
from emulation.executor.service import Service


@mypyc_attr(allow_interpreted_subclasses=True)
class Lifecycle:
    """Which executors of one node are up. The node must have been advanced to the time passed in."""

    def __init__(self, testbed: TestbedConfig, node_id: str, service: Service, external_init: bool) -> None:
        self._testbed = testbed
        self._spec = testbed.node(node_id)
        self._models = {m.id: m for m in testbed.models}
        self._needs = needs_of(testbed.models)
        self._device = self._spec.hosting == "device"
        self.retargeted = 0
        """Modes that were changed by command."""
        self._service = service
        self._executors = service.executors
        self._external_init = external_init
        self._down_until_s: dict[str, dict[int, float]] = {}
        """Executor that crashed, and event, to until when that one keeps it from starting, whatever is done to it."""
        if self._device:
            self._power_on()

    # -- control ------------------------------------------------------------------------------------------

    def configure(self, config: NodeConfig, now_s: float) -> list[str]:
        """Apply an activation pattern; returns what was refused and why (empty: all of it was applied).

        An infeasible pattern is refused whole. Stops come first, then starts one by one, longest queue first (ties:
        inventory order). While a pod of an earlier pattern is still pending (it waits for resources, or starts),
        changes that need resources are voided (MA section V-D), but for moves off a GPU slice that such a pod waits
        for, as both would wait for ever. What drains is not pending, and the starts of one pattern do not void each
        other. Interrupted work stays queued, at its last finished prompt.
        """
        if self._device:
            return [f"{self._spec.id} is a device: its executor is always ready"]
        if not self._service.available:
            return [f"{self._spec.id} is away"]
        refused = node_violations(self._testbed, self._spec.id, config.modes)
        if refused:
            return refused
        blocked = any(e.state in ("pending", "starting") for e in self._executors)
        for executor, want in self._wanted(config.modes, now_s):
            if want != "off" and blocked and not self._waited_for(executor):
                refused.append(f"voided: {executor.id} to {want} while a pod of {self._spec.id} is pending")
                continue
            self._retarget(executor, want, now_s)
            self._start_pending(now_s)
        self._start_pending(now_s)
        return refused

    def hurry(self, executor_id: str, state: ExecutorState, now_s: float) -> None:
        """What an executor waits for has happened: its timer is due, if it still is in this state.

        One that crashed is not ready before it may start again.
        """
        executor = self._service.by_id[executor_id]
        if executor.state == state:
            executor.timer_s = self._may_start_s(executor, now_s) if state == "starting" else now_s

    def _wanted(self, modes: Mapping[str, Mode], now_s: float) -> list[tuple[Executor, Mode]]:
        """Those that are to change, in order."""
        wanted: list[tuple[bool, float, int, Executor, Mode]] = []
        for number, executor in enumerate(self._executors):
            want = modes.get(executor.model, "off")
            executor.sync_all(now_s)
            if want != executor.target:
                left = sum(executor.unfinished(now_s)[1].values())
                wanted.append((want != "off", -left, number, executor, want))
        wanted.sort()
        return [(executor, want) for _, _, _, executor, want in wanted]

    def _waited_for(self, executor: Executor) -> bool:
        """Whether another executor waits for a slice such as this one keeps: moving off frees more than it takes."""
        return (
            executor.mode == "gpu"
            and executor.state != "draining"
            and any(e.state == "pending" and e.target == "gpu" for e in self._executors if e is not executor)
        )

    def _retarget(self, executor: Executor, want: Mode, t_s: float) -> None:
        executor.target = want
        self.retargeted += 1
        if executor.state in ("ready", "starting"):
            executor.interrupt(t_s)
            self._service.share_out(executor, t_s)
            unload_s = self._models[executor.model].unload_s
            self._change(executor, "draining", inf if self._external_init else t_s + unload_s, t_s)
        elif executor.state == "pending" and want == "off":
            self._change(executor, "off", inf, t_s)
        elif executor.state == "off":
            self._change(executor, "pending", inf, t_s)

    # -- by itself ----------------------------------------------------------------------------------------

    def timer(self, executor: Executor, t_s: float) -> None:
        """Starting or draining is over."""
        executor.timer_s = inf
        if executor.state == "starting":
            self._change(executor, "ready", inf, t_s)
            self._service.serve_next(executor, t_s)
        elif executor.state == "draining":
            was_cpu = executor.mode == "cpu"
            executor.mode, executor.gpu = "off", None
            self._change(executor, "off" if executor.target == "off" else "pending", inf, t_s)
            if was_cpu:
                self._share_out_cpu(t_s)
            self._start_pending(t_s)

    def _start_pending(self, t_s: float) -> None:
        for executor in self._executors:
            if executor.state == "pending" and allocate(executor, self._executors, self._needs, self._spec):
                ready_s = self._may_start_s(executor, t_s) + self._models[executor.model].init_s
                self._change(executor, "starting", inf if self._external_init else ready_s, t_s)
                self._service.share_out(executor, t_s)

    def _share_out_cpu(self, t_s: float) -> None:
        for executor in self._executors:
            if executor.mode == "cpu" and executor.jobs:
                self._service.share_out(executor, t_s)
                return

    # -- faults -------------------------------------------------------------------------------------------

    def leave(self, event: int, in_flight: InFlight, now_s: float) -> list[Job]:
        """The node is away; returns the work on it, unless that is kept for its return at the last finished prompt."""
        self._service.away_by.add(event)
        self._service.available = False
        self._service.in_flight = in_flight
        jobs: list[Job] = []
        for executor in self._executors:
            if in_flight == "resume":
                executor.interrupt(now_s)
            else:
                jobs.extend(executor.clear(now_s))
            executor.mode, executor.gpu = "off", None
            self._change(executor, "away", inf, now_s)
        return jobs

    def drain(self, event: int, now_s: float) -> list[Job]:
        """The node takes no new work; returns what waited there. What is in service goes on."""
        self._service.away_by.add(event)
        jobs: list[Job] = []
        if not self._service.available:
            return jobs
        self._service.available, self._service.in_flight = False, "requeue"
        for executor in self._executors:
            jobs.extend(executor.queue.clear())
            if executor.state != "ready":
                executor.mode, executor.gpu = "off", None
            self._change(executor, "away", inf, now_s)
        return jobs

    def join(self, event: int, now_s: float) -> None:
        """This event keeps the node away no longer. If none does it is back: its executors start again; a device, and
        a pod that never left, is ready at once."""
        self._service.away_by.discard(event)
        if self._service.available or self._service.away_by:
            return
        self._service.available = True
        for executor in self._executors:
            if self._device:
                executor.mode, executor.gpu = executor.target, 0 if executor.target == "gpu" else None
                self._change(executor, "ready", inf, now_s)
                self._service.serve_next(executor, now_s)
            elif executor.state == "away" and executor.mode != "off":
                self._change(executor, "ready", inf, now_s)
            else:
                self._change(executor, "off" if executor.target == "off" else "pending", inf, now_s)
        self._start_pending(now_s)

    def crash(self, event: int, model: str, now_s: float, until_s: float) -> list[Job]:
        """The replica of a model dies; it starts again at `until_s`. Returns its work, which stays queued.

        Neither switching it off and on nor a return of its node nor the end of another event brings it back earlier.
        """
        jobs: list[Job] = []
        for executor in self._executors:
            if model in executor.spec.models and executor.state in ("ready", "starting"):
                self._down_until_s.setdefault(executor.id, {})[event] = until_s
                executor.interrupt(now_s)
                self._service.share_out(executor, now_s)
                ready_s = self._may_start_s(executor, now_s) + self._models[model].init_s
                self._change(executor, "starting", ready_s, now_s)
                jobs.extend(executor.queue)
        return jobs

    def restart(self, event: int, model: str, now_s: float) -> None:
        """The replica of a model that crashed, for some time or as long as nobody says otherwise, may start now: this
        event no longer keeps it from that."""
        for executor in self._executors:
            down_until_s = self._down_until_s.get(executor.id, {})
            if model in executor.spec.models and down_until_s.pop(event, now_s) > now_s:
                ready_s = self._may_start_s(executor, now_s) + self._models[model].init_s
                if executor.state == "starting" and ready_s != executor.timer_s:
                    self._change(executor, "starting", ready_s, now_s)

    def _may_start_s(self, executor: Executor, t_s: float) -> float:
        return max([t_s, *self._down_until_s.get(executor.id, {}).values()])

    def _change(self, executor: Executor, state: ExecutorState, timer_s: float, t_s: float) -> None:
        executor.state = state
        executor.timer_s = timer_s
        ready_at_s = timer_s if state == "starting" else (t_s if state == "ready" else inf)
        mode = executor.target if state in ("pending", "starting") else executor.mode
        self._service.notices.append(Changed(t_s, executor.id, executor.state, mode, ready_at_s))

    def _power_on(self) -> None:
        for executor in self._executors:
            mode = self._testbed.modes(self._spec.id, executor.model)[0]
            executor.mode = executor.target = mode
            executor.gpu = 0 if mode == "gpu" else None
            executor.state = "ready"
