"""Every executor of one node: FIFO service, GPU and CPU sharing, lifecycle, condition, leaving and returning.

The same object lives in the discrete-event engine and in the live node runtime. It does no I/O and has no
clock: callers pass the time, `next_s()` says when something will happen by itself, `advance(now)` makes it
happen at its exact time however late the call comes, and `take_notices()` tells what did.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from math import inf

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import LinkSpec, Mode, TestbedConfig
from emulation.domain.events import InFlight
from emulation.domain.feasibility import node_violations
from emulation.domain.request import Outcome, Request
from emulation.domain.snapshot import ExecutorView, NodeView
from emulation.domain.truth import HEALTHY, Condition, RequestTruth, WorldTruth
from emulation.executor.executor import Executor
from emulation.executor.job import Job
from emulation.executor.notices import Changed, Ended, Notice, Returned, Started
from emulation.physics.latency import cpu_share, gpu_share, unit_s


class NodeState:
    """State machine of one node.

    With `external_init`, starting an executor waits for `mark_ready` and draining for `mark_stopped` instead of
    the emulated times (lifecycle `cold`, where processes really start and stop).
    """

    def __init__(
        self,
        testbed: TestbedConfig,
        node_id: str,
        truth: WorldTruth | None = None,
        external_init: bool = False,
    ) -> None:
        self.testbed = testbed
        self.id = node_id
        self.spec = testbed.node(node_id)
        self.available = True
        self._truth = truth or WorldTruth()
        self._external_init = external_init
        self._models = {m.id: m for m in testbed.models}
        self._site_of = {n.id: n.site for n in testbed.nodes}
        self._executors = [Executor(spec) for spec in testbed.executors_of(node_id)]
        self._by_id = {e.spec.id: e for e in self._executors}
        self._theta = {
            (m, mode): (testbed.theta(node_id, m, mode) or (), self._truth.ratios(node_id, m, mode))
            for m in testbed.hosted(node_id)
            for mode in testbed.modes(node_id, m)
        }
        self._healthy = {
            law: tuple(c * r for c, r in zip(*both, strict=False)) for law, both in self._theta.items()
        }
        """True seconds per feature while no condition is in force."""
        self._links: dict[str, LinkSpec | None] = {}
        """Origin to the link its requests come over; None where that costs nothing."""
        self._share_alone = {i: gpu_share(gpu, 1) for i, gpu in enumerate(self.spec.gpus)}
        """Share of a GPU that nobody else uses."""
        self._single = len(self._executors) == 1
        self._conditions: dict[int, tuple[str | None, Condition, str | None]] = {}
        self._in_force: dict[str, tuple[Condition, ...]] = {}
        self._extra_delay: dict[int, tuple[str, float]] = {}
        self._inbound: list[tuple[float, int, Job]] = []
        self._deadlines: list[tuple[float, int, Job]] = []
        self._sequence = 0
        self._in_flight: InFlight = "requeue"
        self._notices: list[Notice] = []
        self._next_s = inf
        if self.spec.hosting == "device":
            self._power_on()

    @property
    def site(self) -> str:
        """Site the node stands at."""
        return self.spec.site

    # -- time ---------------------------------------------------------------------------------------------

    def next_s(self) -> float:
        """When something will happen by itself; infinity if nothing will."""
        return self._next_s

    def advance(self, now_s: float) -> None:
        """Let everything due up to now happen, each at its own time."""
        while self._next_s <= now_s:
            self._step(self._next_s)

    def take_notices(self) -> list[Notice]:
        """What happened since the last call, in order."""
        notices, self._notices = self._notices, []
        return notices

    def _step(self, t_s: float) -> None:
        for executor in self._executors:
            if executor.finish_s <= t_s:
                self._finish(executor, t_s)
            if executor.timer_s <= t_s:
                self._timer(executor, t_s)
        while self._inbound and self._inbound[0][0] <= t_s:
            self._enqueue(heappop(self._inbound)[2], t_s)
        while self._deadlines and self._deadlines[0][0] <= t_s:
            self._expire(heappop(self._deadlines)[2], t_s)
        self._refresh()

    def _refresh(self) -> None:
        next_s = inf
        for executor in self._executors:
            if executor.finish_s < next_s:
                next_s = executor.finish_s
            if executor.timer_s < next_s:
                next_s = executor.timer_s
        if self._inbound and self._inbound[0][0] < next_s:
            next_s = self._inbound[0][0]
        while self._deadlines and (self._deadlines[0][2].ended or self._deadlines[0][2].executor is None):
            heappop(self._deadlines)
        if self._deadlines and self._deadlines[0][0] < next_s:
            next_s = self._deadlines[0][0]
        self._next_s = next_s

    # -- work ---------------------------------------------------------------------------------------------

    def submit(self, executor_id: str, job: Job, now_s: float) -> None:
        """Dispatch a job to one of this node's executors; it queues there after its uplink time.

        Raises `KeyError` if the executor is not of this node.
        """
        self.advance(now_s)
        executor = self._by_id[executor_id]
        job.executor = executor_id
        job.dispatched_s = now_s
        job.stutter = self.stutters(job.request.model)
        self._set_transfer(job)
        self._sequence += 1
        due_s = max(job.request.deadline_s - job.downlink_s, now_s)
        if due_s != inf:
            heappush(self._deadlines, (due_s, self._sequence, job))
        if job.uplink_s > 0:
            job.enqueued_s = None
            heappush(self._inbound, (now_s + job.uplink_s, self._sequence, job))
            self._next_s = min(self._next_s, due_s, now_s + job.uplink_s)
        elif executor.job is not None:
            job.enqueued_s = now_s
            executor.queue.append(job)
            self._next_s = min(self._next_s, due_s)
        else:
            self._enqueue(job, now_s)
            self._refresh()

    def _set_transfer(self, job: Job) -> None:
        request = job.request
        if request.origin not in self._links:
            self._links[request.origin] = self._link_from(request.origin)
        link = self._links[request.origin]
        job.uplink_s = 0.0 if link is None else link.transfer_s(request.up_bytes)
        job.downlink_s = 0.0 if link is None else link.transfer_s(request.down_bytes)
        if self._extra_delay:
            origin = self._site_of.get(request.origin)
            extra_s = sum(s for site, s in self._extra_delay.values() if site == origin)
            job.uplink_s += extra_s
            job.downlink_s += extra_s

    def _link_from(self, origin: str) -> LinkSpec | None:
        link = self.testbed.link(self._site_of.get(origin, self.spec.site), self.spec.site)
        return link if link.latency_s > 0 or link.bandwidth_mbps is not None else None

    def cancel(
        self, request_id: str, now_s: float, outcome: Outcome = "aborted", reason: str = "cancelled"
    ) -> bool:
        """End a request wherever it is here; False if it is not."""
        self.advance(now_s)
        job = self._find(request_id)
        if job is None:
            return False
        self._remove(job, now_s)
        self._end(job, outcome, now_s, reason)
        self._refresh()
        return True

    def progress(self, request_id: str, now_s: float) -> float | None:
        """Done share of a request in service, in [0, 1]; None if it is not in service."""
        self.advance(now_s)
        for executor in self._executors:
            if executor.job is not None and executor.job.request.id == request_id:
                executor.sync(now_s)
                whole = sum(executor.job.truth.noise)
                return 1.0 - executor.remaining_units / whole if whole > 0 else 1.0
        return None

    def targets(self) -> dict[str, Mode]:
        """Executor to the mode it was last told to be in."""
        return {e.spec.id: e.target for e in self._executors}

    def jobs(self) -> list[Job]:
        """All work here: in service, queued, in transit."""
        found = [job for _, _, job in self._inbound if not job.ended]
        for executor in self._executors:
            found.extend([executor.job] if executor.job is not None else [])
            found.extend(executor.queue)
        return found

    def _enqueue(self, job: Job, t_s: float) -> None:
        if job.ended or job.executor is None:
            return
        if not self.available and self._in_flight != "resume":
            self._give_up(job, t_s)
            return
        job.enqueued_s = t_s
        executor = self._by_id[job.executor]
        executor.queue.append(job)
        self._serve_next(executor, t_s)

    def _serve_next(self, executor: Executor, t_s: float) -> None:
        if executor.job is not None or executor.state != "ready" or not executor.queue:
            return
        job = executor.queue.popleft()
        job.mode = executor.mode
        if self._single:  # nothing to share with: its speed is known and stays
            executor.begin(job, self._unit_s(executor, job), self._alone_share(executor), t_s)
        else:
            executor.begin(job, self._unit_s(executor, job), 1.0, t_s)
            self._share_out(executor, t_s)
        if job.started_s is None:
            job.started_s = t_s
            self._notices.append(Started(t_s, job))

    def _finish(self, executor: Executor, t_s: float) -> None:
        job = executor.release(t_s)
        assert job is not None
        job.prompts_done = len(job.truth.noise)
        self._end(job, "done", t_s)
        self._after(executor, t_s)

    def _after(self, executor: Executor, t_s: float) -> None:
        """The executor's job is out of service: take the next one, or leave its share to others."""
        if executor.queue:
            self._serve_next(executor, t_s)
        if executor.job is None:
            self._share_out(executor, t_s)

    def _expire(self, job: Job, t_s: float) -> None:
        if not job.ended and job.executor is not None:
            self._remove(job, t_s)
            self._end(job, "expired", t_s, "deadline passed")

    def _end(self, job: Job, outcome: Outcome, t_s: float, reason: str = "") -> None:
        job.ended = True
        deliver_s = t_s + (job.downlink_s if outcome == "done" else 0.0)
        self._notices.append(Ended(t_s, job, outcome, deliver_s, reason))

    def _find(self, request_id: str) -> Job | None:
        return next((j for j in self.jobs() if j.request.id == request_id), None)

    def _remove(self, job: Job, t_s: float) -> None:
        executor = self._by_id[job.executor or ""]
        if executor.job is job:
            executor.release(t_s)
            self._after(executor, t_s)
        elif job in executor.queue:
            executor.queue.remove(job)

    # -- speed --------------------------------------------------------------------------------------------

    def _unit_s(self, executor: Executor, job: Job) -> float:
        request = job.request
        law = request.model, executor.mode
        if not self._conditions:
            healthy = self._healthy[law]
            if len(healthy) == 1:
                return healthy[0] or 1e-9
            return healthy[0] * request.prompt_tokens + healthy[1] * job.truth.output_tokens or 1e-9
        theta, ratios = self._theta[law]
        x = (request.prompt_tokens, job.truth.output_tokens) if len(theta) == 2 else (1.0,)
        return unit_s(theta, ratios, self._conditions_of(request.model), x) or 1e-9

    def stutters(self, model: str) -> bool:
        """Whether work of this model dispatched here now would stutter (E3 eq. 3)."""
        return bool(self._conditions) and any(c.stutter for c in self._conditions_of(model))

    def _conditions_of(self, model: str) -> tuple[Condition, ...]:
        if not self._conditions:
            return ()
        if model not in self._in_force:
            self._in_force[model] = tuple(
                c for m, c, _ in self._conditions.values() if m is None or m == model
            )
        return self._in_force[model]

    def _share_out(self, executor: Executor, t_s: float) -> None:
        """Set the speed of every busy executor that shares a resource with this one."""
        if self._single:
            return
        if executor.mode == "gpu":
            group = [e for e in self._executors if e.gpu == executor.gpu and e.job is not None]
            share = gpu_share(self.spec.gpus[executor.gpu or 0], len(group))
        elif executor.mode == "cpu":
            group = [e for e in self._executors if e.mode == "cpu" and e.job is not None]
            share = cpu_share(self.spec.cores, self._cpu_pods(), self.testbed.cpu)
        else:
            return
        for member in group:
            member.rerate(member.unit_s, share, t_s)

    def _cpu_pods(self) -> int:
        return sum(e.mode == "cpu" and e.holds for e in self._executors)

    # -- lifecycle ----------------------------------------------------------------------------------------

    def configure(self, config: NodeConfig, now_s: float) -> list[str]:
        """Apply an activation pattern; returns what was refused and why (empty: all of it was applied).

        An infeasible pattern is refused whole. Stops come first, then starts one by one; once a pod has to wait for
        resources (or one is still starting from before), further changes that need resources are voided (MA section
        V-D). Interrupted work stays queued, at its last finished prompt.
        """
        self.advance(now_s)
        if self.spec.hosting == "device":
            return [f"{self.spec.id} is a device: its executor is always ready"]
        if not self.available:
            return [f"{self.spec.id} is away"]
        refused = node_violations(self.testbed, self.spec.id, config.modes)
        if refused:
            return refused
        blocked = any(e.state in ("pending", "starting") for e in self._executors)
        wanted = [(e, config.modes.get(e.spec.models[0], "off")) for e in self._executors]
        for executor, want in sorted(
            wanted, key=lambda pair: pair[1] != "off"
        ):  # stops first, then inventory order
            if want == executor.target:
                continue
            if want != "off" and blocked:
                refused.append(
                    f"voided: {executor.spec.id} to {want} while a pod of {self.spec.id} is pending"
                )
                continue
            self._retarget(executor, want, now_s)
            self._start_pending(now_s)
            blocked = blocked or (want != "off" and executor.state in ("pending", "draining"))
        self._start_pending(now_s)
        self._refresh()
        return refused

    def mark_ready(self, executor_id: str, now_s: float) -> None:
        """`external_init`: the process behind a starting executor is up."""
        executor = self._by_id[executor_id]
        if executor.state == "starting":
            executor.timer_s = now_s
            self._next_s = min(self._next_s, now_s)
            self.advance(now_s)

    def mark_stopped(self, executor_id: str, now_s: float) -> None:
        """`external_init`: the process behind a draining executor is gone."""
        executor = self._by_id[executor_id]
        if executor.state == "draining":
            executor.timer_s = now_s
            self._next_s = min(self._next_s, now_s)
            self.advance(now_s)

    def _retarget(self, executor: Executor, want: Mode, t_s: float) -> None:
        executor.target = want
        if executor.state in ("ready", "starting"):
            executor.interrupt(t_s)
            self._share_out(executor, t_s)
            unload_s = self._models[executor.spec.models[0]].unload_s
            self._change(executor, "draining", inf if self._external_init else t_s + unload_s, t_s)
        elif executor.state == "pending" and want == "off":
            self._change(executor, "off", inf, t_s)
        elif executor.state == "off":
            self._change(executor, "pending", inf, t_s)

    def _start_pending(self, t_s: float) -> None:
        for executor in self._executors:
            if executor.state == "pending" and self._allocate(executor):
                init_s = self._models[executor.spec.models[0]].init_s
                self._change(executor, "starting", inf if self._external_init else t_s + init_s, t_s)
                self._share_out(executor, t_s)

    def _allocate(self, executor: Executor) -> bool:
        """Take RAM, and a slice of the first GPU with room or a place on the CPU, if they are free now."""
        model = self._models[executor.spec.models[0]]
        held = [e for e in self._executors if e.holds]
        if sum(self._models[e.spec.models[0]].ram_gb for e in held) + model.ram_gb > self.spec.ram_gb:
            return False
        if executor.target == "cpu":
            if sum(e.mode == "cpu" for e in held) >= self.spec.cores:
                return False
            executor.mode, executor.gpu = "cpu", None
            return True
        for index, gpu in enumerate(self.spec.gpus):
            here = [self._models[e.spec.models[0]].vram_gb for e in held if e.gpu == index]
            if len(here) < gpu.slices and sum(here) + model.vram_gb <= gpu.vram_gb:
                executor.mode, executor.gpu = "gpu", index
                return True
        return False

    def _timer(self, executor: Executor, t_s: float) -> None:
        executor.timer_s = inf
        if executor.state == "starting":
            self._change(executor, "ready", inf, t_s)
            self._serve_next(executor, t_s)
        elif executor.state == "draining":
            was_cpu = executor.mode == "cpu"
            executor.mode, executor.gpu = "off", None
            self._change(executor, "off" if executor.target == "off" else "pending", inf, t_s)
            if was_cpu:
                self._share_out_cpu(t_s)
            self._start_pending(t_s)

    def _share_out_cpu(self, t_s: float) -> None:
        for executor in self._executors:
            if executor.mode == "cpu" and executor.job is not None:
                self._share_out(executor, t_s)
                return

    def _change(self, executor: Executor, state: str, timer_s: float, t_s: float) -> None:
        executor.state = state  # type: ignore[assignment]
        executor.timer_s = timer_s
        ready_at_s = timer_s if state == "starting" else (t_s if state == "ready" else inf)
        mode = executor.target if state in ("pending", "starting") else executor.mode
        self._notices.append(Changed(t_s, executor.spec.id, executor.state, mode, ready_at_s))

    def _power_on(self) -> None:
        for executor in self._executors:
            mode = self.testbed.modes(self.spec.id, executor.spec.models[0])[0]
            executor.mode = executor.target = mode
            executor.gpu = 0 if mode == "gpu" else None
            executor.state = "ready"

    # -- faults -------------------------------------------------------------------------------------------

    def set_condition(
        self,
        event: int,
        condition: Condition | None,
        now_s: float,
        model: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Put the effect of event number `event` in force, or take it away; work in service changes speed at once."""
        self.advance(now_s)
        if condition is None or condition == HEALTHY:
            self._conditions.pop(event, None)
        else:
            self._conditions[event] = (model, condition, hint)
        self._in_force.clear()
        for executor in self._executors:
            if executor.job is not None:
                executor.rerate(self._unit_s(executor, executor.job), executor.share, now_s)
        self._refresh()

    def set_link_delay(self, event: int, site: str, extra_s: float, now_s: float) -> None:
        """Extra seconds each way between this node and a site, for requests dispatched from now on; 0 ends it."""
        self.advance(now_s)
        if extra_s > 0:
            self._extra_delay[event] = (site, extra_s)
        else:
            self._extra_delay.pop(event, None)

    def leave(self, in_flight: InFlight, now_s: float) -> None:
        """The node goes away; its work is given back, lost, or kept for its return at the last finished prompt."""
        self.advance(now_s)
        self.available = False
        self._in_flight = in_flight
        jobs: list[Job] = []
        for executor in self._executors:
            if in_flight == "resume":
                executor.interrupt(now_s)
            else:
                jobs.extend(executor.clear(now_s))
            executor.mode, executor.gpu = "off", None
            self._change(executor, "away", inf, now_s)
        if in_flight != "resume":
            jobs.extend(job for _, _, job in sorted(self._inbound) if not job.ended)
            self._inbound.clear()
        for job in jobs:
            self._give_up(job, now_s)
        self._refresh()

    def join(self, now_s: float) -> None:
        """The node is back; pods start again, a device is ready at once."""
        self.advance(now_s)
        self.available = True
        for executor in self._executors:
            if self.spec.hosting == "device":
                executor.mode, executor.gpu = executor.target, 0 if executor.target == "gpu" else None
                self._change(executor, "ready", inf, now_s)
                self._serve_next(executor, now_s)
            else:
                self._change(executor, "off" if executor.target == "off" else "pending", inf, now_s)
        self._start_pending(now_s)
        self._refresh()

    def crash(self, model: str, now_s: float, until_s: float) -> None:
        """The replica of a model dies; it starts again at `until_s`. Its work stays queued."""
        self.advance(now_s)
        for executor in self._executors:
            if model in executor.spec.models and executor.state in ("ready", "starting"):
                executor.interrupt(now_s)
                self._share_out(executor, now_s)
                self._change(executor, "starting", until_s + self._models[model].init_s, now_s)
        self._refresh()

    def _give_up(self, job: Job, t_s: float) -> None:
        if self._in_flight == "fail":
            self._end(job, "node_lost", t_s, f"{self.spec.id} left")
        else:
            job.executor = None
            self._notices.append(Returned(t_s, job))

    # -- truth, for an oracle that is given it on purpose ---------------------------------------------------

    def true_service_s(self, executor_id: str, request: Request, truth: RequestTruth) -> float:
        """Service time the request would take there alone under the present conditions; infinity while off."""
        executor = self._by_id[executor_id]
        if executor.mode == "off":
            return inf
        return self._unit_s(executor, Job(request, truth)) * sum(truth.noise) / self._alone_share(executor)

    def true_backlog_s(self, executor_id: str, now_s: float) -> float:
        """Time until the executor is free of its present work if nothing changes; infinity while off."""
        self.advance(now_s)
        executor = self._by_id[executor_id]
        if executor.mode == "off":
            return inf
        wait_s = executor.finish_s - now_s if executor.job is not None else 0.0
        wait_s += max(0.0, executor.timer_s - now_s) if executor.state == "starting" else 0.0
        share = self._alone_share(executor)
        return wait_s + sum(self._unit_s(executor, j) * j.remaining_units / share for j in executor.queue)

    def _alone_share(self, executor: Executor) -> float:
        if executor.mode == "cpu":
            return cpu_share(self.spec.cores, self._cpu_pods(), self.testbed.cpu)
        return self._share_alone[executor.gpu or 0]

    # -- telemetry ----------------------------------------------------------------------------------------

    def view(self, now_s: float) -> NodeView:
        """What telemetry may say about this node now."""
        self.advance(now_s)
        held = [e for e in self._executors if e.holds]
        cpu_busy = sum(e.mode == "cpu" and e.job is not None for e in held)
        return NodeView(
            id=self.spec.id,
            taken_at_s=now_s,
            available=self.available,
            executors=tuple(self._executor_view(e, now_s) for e in self._executors),
            cores_busy=self.spec.cores * cpu_busy / max(self._cpu_pods(), 1),
            ram_used_gb=sum(self._models[m].ram_gb for e in held for m in e.spec.models),
            slices_used=sum(e.mode == "gpu" for e in held),
            hints=tuple(sorted({h for _, _, h in self._conditions.values() if h is not None})),
        )

    def _executor_view(self, executor: Executor, now_s: float) -> ExecutorView:
        executor.sync(now_s)
        queued: Counter[str] = Counter()
        prompts: dict[str, float] = {}
        for job in executor.queue:
            queued[job.request.model] += 1
            prompts[job.request.model] = prompts.get(job.request.model, 0.0) + job.prompts_left()
        if executor.job is not None:
            model = executor.job.request.model
            queued[model] += 1
            prompts[model] = prompts.get(model, 0.0) + executor.job.prompts_left(executor.remaining_units)
        waiting = executor.state in ("starting", "pending")
        return ExecutorView(
            id=executor.spec.id,
            node=executor.spec.node,
            models=executor.spec.models,
            state=executor.state,
            mode=executor.target if waiting else executor.mode,
            queued=dict(queued),
            backlog_prompts=prompts,
            ready_in_s=max(0.0, executor.timer_s - now_s) if waiting and executor.timer_s != inf else 0.0,
            busy=executor.job is not None,
        )
