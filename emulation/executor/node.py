"""Every executor of one node: FIFO service, GPU and CPU sharing, lifecycle, condition, leaving and returning.

The same object lives in the discrete-event engine and in the live node runtime. It does no I/O and has no
clock: callers pass the time, `next_s()` says when something will happen by itself, `advance(now)` makes it
happen at its exact time however late the call comes, and `take_notices()` tells what did.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from math import inf

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.events import InFlight
from emulation.domain.feasibility import node_violations
from emulation.domain.request import Outcome, Request
from emulation.domain.snapshot import NodeView
from emulation.domain.truth import Condition, RequestTruth, WorldTruth
from emulation.executor.executor import Executor
from emulation.executor.job import Job
from emulation.executor.milestones import Milestone, milestone
from emulation.executor.notices import Changed, Ended, Notice, Returned, Started
from emulation.executor.paths import Paths
from emulation.executor.resources import allocate
from emulation.executor.speed import Speed
from emulation.executor.telemetry import node_view


class NodeState:
    """State machine of one node.

    With `external_init`, starting an executor waits for `mark_ready` and draining for `mark_stopped` instead of
    the emulated times (lifecycle `cold`, where processes really start and stop). Service of the models in `real`
    waits for `complete`: somebody really computes, and nobody knows for how long.
    """

    def __init__(
        self,
        testbed: TestbedConfig,
        node_id: str,
        truth: WorldTruth | None = None,
        external_init: bool = False,
        real: Collection[str] = (),
    ) -> None:
        self.testbed = testbed
        self.id = node_id
        self.spec = testbed.node(node_id)
        self.available = True
        self._external_init = external_init
        self._real = frozenset(real)
        self._models = {m.id: m for m in testbed.models}
        self._executors = [Executor(spec) for spec in testbed.executors_of(node_id)]
        self._by_id = {e.spec.id: e for e in self._executors}
        self._single = len(self._executors) == 1 and not self._real
        self._speed = Speed(testbed, node_id, truth or WorldTruth())
        self._paths = Paths(testbed, node_id)
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
        self._paths.time(job)
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

    def pace(self, request_id: str) -> tuple[float, ...] | None:
        """Real work: how many times slower each coefficient is to be at present; None if it is not in service."""
        executor = self._computing(request_id)
        if executor is None or executor.job is None:
            return None
        return self._speed.factors(executor.job.request.model)

    def advanced(self, request_id: str, prompts_done: int, now_s: float) -> None:
        """Real work: so many of its prompts are finished; nothing changes if it is not in service."""
        self.advance(now_s)
        executor = self._computing(request_id)
        if executor is not None and executor.job is not None:
            executor.sync(now_s)
            job = executor.job
            job.prompts_done = max(job.prompts_done, min(prompts_done, len(job.truth.noise) - 1))
            executor.remaining_units = job.remaining_units

    def complete(self, request_id: str, service_s: float, output_tokens: int, now_s: float) -> bool:
        """Real work is over: what it took, over all attempts, and what came out. False if it is not in service."""
        self.advance(now_s)
        executor = self._computing(request_id)
        if executor is None or executor.job is None:
            return False
        executor.sync(now_s)
        job = executor.job
        job.service_s = job.work_s = service_s
        job.truth = RequestTruth(output_tokens, job.truth.noise)
        self._finish(executor, now_s)
        self._refresh()
        return True

    def _computing(self, request_id: str) -> Executor | None:
        """The executor that has this real work in service."""
        return next(
            (
                e
                for e in self._executors
                if e.job is not None and e.job.request.id == request_id and e.job.request.model in self._real
            ),
            None,
        )

    def milestones(self, now_s: float) -> list[Milestone]:
        """Where every job of several prompts that is in service stands."""
        self.advance(now_s)
        return [m for m in (milestone(e, now_s) for e in self._executors) if m is not None]

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
            executor.begin(
                job, self._unit_s(executor, job), self._speed.alone(executor, self._executors), t_s
            )
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

    def stutters(self, model: str) -> bool:
        """Whether work of this model dispatched here now would stutter (E3 eq. 3)."""
        return self._speed.stutters(model)

    def _unit_s(self, executor: Executor, job: Job) -> float:
        if self._real and job.request.model in self._real:
            return inf
        return self._speed.unit_s(executor.mode, job.request, job.truth)

    def _share_out(self, executor: Executor, t_s: float) -> None:
        """Set the speed of every busy executor that shares a resource with this one."""
        if self._single:
            return
        group, share = self._speed.shared(executor, self._executors)
        for member in group:
            # Real work shares a real device: what it loses there is in its measured time already.
            member.rerate(member.unit_s, 1.0 if member.unit_s == inf else share, t_s)

    # -- lifecycle ----------------------------------------------------------------------------------------

    def configure(self, config: NodeConfig, now_s: float) -> list[str]:
        """Apply an activation pattern; returns what was refused and why (empty: all of it was applied).

        An infeasible pattern is refused whole. Stops come first, then starts one by one, longest queue first (ties:
        inventory order); once a pod has to wait for resources (or one is still starting from before), further changes
        that need resources are voided (MA section V-D), but for moves off a GPU slice that a pending pod waits for, as
        both would wait for ever. Interrupted work stays queued, at its last finished prompt.
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
        wanted.sort(key=lambda pair: (pair[1] != "off", -pair[0].prompts_left(now_s)))
        for executor, want in wanted:
            if want == executor.target:
                continue
            if want != "off" and blocked and not self._waited_for(executor):
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

    def _waited_for(self, executor: Executor) -> bool:
        """Whether a pod waits for a slice such as this one holds: to move off it frees more than it takes."""
        return executor.mode == "gpu" and any(
            e.state == "pending" and e.target == "gpu" for e in self._executors if e is not executor
        )

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
            if executor.state == "pending" and allocate(executor, self._executors, self._models, self.spec):
                init_s = self._models[executor.spec.models[0]].init_s
                self._change(executor, "starting", inf if self._external_init else t_s + init_s, t_s)
                self._share_out(executor, t_s)

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
        self._speed.set_condition(event, condition, model, hint)
        for executor in self._executors:
            if executor.job is not None:
                executor.rerate(self._unit_s(executor, executor.job), executor.share, now_s)
        self._refresh()

    def set_link_delay(self, event: int, site: str, extra_s: float, now_s: float) -> None:
        """Extra seconds each way between this node and a site, for requests dispatched from now on; 0 ends it."""
        self.advance(now_s)
        self._paths.set_delay(event, site, extra_s)

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
        return (
            self._unit_s(executor, Job(request, truth))
            * sum(truth.noise)
            / self._speed.alone(executor, self._executors)
        )

    def true_backlog_s(self, executor_id: str, now_s: float) -> float:
        """Time until the executor is free of its present work if nothing changes; infinity while off."""
        self.advance(now_s)
        executor = self._by_id[executor_id]
        if executor.mode == "off":
            return inf
        wait_s = executor.finish_s - now_s if executor.job is not None else 0.0
        wait_s += max(0.0, executor.timer_s - now_s) if executor.state == "starting" else 0.0
        share = self._speed.alone(executor, self._executors)
        return wait_s + sum(self._unit_s(executor, j) * j.remaining_units / share for j in executor.queue)

    # -- telemetry ----------------------------------------------------------------------------------------

    def view(self, now_s: float) -> NodeView:
        """What telemetry may say about this node now."""
        self.advance(now_s)
        hints = self._speed.hints()
        return node_view(self.spec, self._executors, self._models, self.available, hints, now_s)
