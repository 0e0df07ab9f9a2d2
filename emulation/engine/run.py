"""One run in virtual time.

One request: arrival → `FastPath.route` → `NodeState.submit` → (queue, service, sharing) → notice → record and
feedback. One decision: slot tick → snapshot → control loop → `Decision` → (thinking time) → landing at the node,
the fast path, or the loops below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from emulation.domain.actions import Decision, MacroPolicy, NodeConfig, RouteGuide, RoutingDecision
from emulation.domain.events import LlmOutage
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion, FastPath, RecordSink
from emulation.domain.records import RunFooter, RunHeader
from emulation.domain.request import Outcome, Request
from emulation.domain.scenario import PLANNER_GRACE_SHARE, Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.engine.control import ControlPlane
from emulation.engine.kernel import ARRIVAL, CONTROL, DELIVERY, FAULT, LANDING, NODE, Kernel
from emulation.engine.meta import MetaLink
from emulation.executor import Changed, Ended, Job, NodeState, Returned
from emulation.faults import Step, apply, timeline
from emulation.ledger import Ledger

Arrival = tuple[Request, RequestTruth]
PLANNER, SCHEDULER = "planner", "scheduler"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, for whoever shows it."""

    t_s: float
    end_s: float
    arrived: int
    ended: int


class Simulation:
    """The virtual world of one run. Build it, then call `run` once.

    `arrivals` come in the order they are sent: at `sent_s[request id]`, or at their intended time.
    """

    def __init__(
        self,
        scenario: Scenario,
        header: RunHeader,
        arrivals: Iterable[Arrival],
        truth: WorldTruth,
        fast_path: FastPath,
        control: ControlPlane,
        sink: RecordSink | None = None,
        on_slot: Callable[[Progress], None] | None = None,
        sent_s: Mapping[str, float] | None = None,
    ) -> None:
        self.scenario = scenario
        self.kernel = Kernel()
        self.nodes = {n.id: NodeState(scenario.testbed, n.id, truth) for n in scenario.testbed.nodes}
        self.ledger = Ledger(header, sink, scenario.testbed)
        self._fast_path = fast_path
        self._control = control
        self._arrivals = iter(arrivals)
        self._on_slot = on_slot
        self._sent_s = sent_s or {}
        self._node_of = {e.id: self.nodes[e.node] for e in scenario.testbed.executors()}
        self._armed = dict.fromkeys(self.nodes, inf)
        self._out: dict[str, float] = {}
        """Actor whose decision is still out to when it lands; until then it is not asked again."""
        self._held: dict[str, Job] = {}
        self._decisions: dict[str, RoutingDecision] = {}
        self._routing: Job
        self._in_system: dict[str, Request] = {}
        self._settled_s = max([scenario.horizon_s, *(e.until_s for e in scenario.events)])
        """From here on nothing new is counted and every fault is undone, but for those of this very instant."""
        self._faults_left = 0
        self._meta = None if control.meta is None else MetaLink(control, self.kernel, self.nodes, self.ledger)
        patience_s = scenario.deadline_s or 100 * scenario.horizon_s
        self._give_up_s = max(self._settled_s, scenario.end_s + patience_s)

    def run(self) -> RunFooter:
        """Run to the end of every counted request; returns the conserved books.

        Raises `ConservationError` if they do not balance. On `KeyboardInterrupt` the books are closed with what
        has happened so far (`footer.interrupted`).
        """
        interrupted = False
        try:
            self._begin()
            self.kernel.run(self._give_up_s)
        except KeyboardInterrupt:
            interrupted = True
        if self._meta is not None:
            self._meta.pass_records()
        in_system: dict[str, int] = {}
        for request in self._in_system.values():
            in_system[request.model] = in_system.get(request.model, 0) + 1
        return self.ledger.close(self.kernel.now_s, in_system, interrupted)

    def true_service_s(self, executor: str, request_id: str) -> float:
        """For the oracle: present true service time, seconds, of a request being routed."""
        job = self._routing
        assert job.request.id == request_id
        return self._node_of[executor].true_service_s(executor, job.request, job.truth, job.attempt)

    def true_backlog_s(self, executor: str) -> float:
        """For the oracle: present true time until the executor is free, seconds."""
        return self._node_of[executor].true_backlog_s(executor, self.kernel.now_s)

    def stutters(self, executor: str, model: str) -> bool:
        """For the oracle: whether work of this model dispatched to the executor now would stutter."""
        return self._node_of[executor].stutters(model)

    def _begin(self) -> None:
        steps = timeline(self.scenario.events, self.scenario.testbed)
        self._faults_left = len(steps)
        for step in steps:
            self.kernel.at(step.at_s, FAULT, self._fault, step)
        for executor in (e for node in self.nodes.values() for e in node.view(0.0).executors):
            self._fast_path.executor_changed(executor.id, executor.state, executor.mode, 0.0)
        self.kernel.at(0.0, CONTROL, self._tick, 0)
        self._next_arrival()

    # -- one request --------------------------------------------------------------------------------------

    def _next_arrival(self) -> None:
        arrival = next(self._arrivals, None)
        if arrival is not None:
            request = arrival[0]
            self.kernel.at(self._sent_s.get(request.id, request.arrival_s), ARRIVAL, self._arrive, arrival)

    def _arrive(self, arrival: Arrival) -> None:
        self._next_arrival()
        request, truth = arrival
        self.ledger.arrive(request)
        self._in_system[request.id] = request
        self._dispatch(Job(request, truth, sent_s=self._sent_s.get(request.id)))

    def _dispatch(self, job: Job) -> None:
        request, now_s = job.request, self.kernel.now_s
        self._routing = job
        decision = self._fast_path.route(request, now_s)
        self.ledger.route(request, decision, now_s)
        executor = decision.executor
        if executor is None:
            self._not_routed(job, decision)
            return
        node = self._node_of[executor]
        if not node.available:
            self._hold(job)
            return
        self._decisions[request.id] = decision
        self._fast_path.dispatched(request, decision, now_s)
        node.submit(executor, job, now_s)
        self._settle(node)

    def _not_routed(self, job: Job, decision: RoutingDecision) -> None:
        if decision.action == "reject":
            self._end_unserved(job, "rejected", decision.reason)
        elif decision.action == "no_host":
            self._end_unserved(job, "no_host", decision.reason)
        else:
            self._hold(job)

    def _hold(self, job: Job) -> None:
        if job.request.id not in self._held and job.request.deadline_s != inf:
            self.kernel.at(max(job.request.deadline_s, self.kernel.now_s), NODE, self._expire_held, job)
        self._held[job.request.id] = job

    def _expire_held(self, job: Job) -> None:
        if self._held.pop(job.request.id, None) is not None:
            self._end_unserved(job, "expired", "deadline passed while held")

    def _end_unserved(self, job: Job, outcome: Outcome, reason: str) -> None:
        self._close(job.request, outcome, self.kernel.now_s, job.measured(False), reason)

    def _retry_held(self) -> None:
        held, self._held = list(self._held.values()), {}
        for job in held:
            self._dispatch(job)

    def _close(self, request: Request, outcome: Outcome, t_s: float, measured: Measured, reason: str) -> None:
        del self._in_system[request.id]
        decision = self._decisions.pop(request.id, None)
        self.ledger.end(request, outcome, t_s, measured, decision, reason)
        if self.ledger.counted_open == 0 and self.kernel.now_s >= self._settled_s and self._faults_left == 0:
            self.kernel.stop()

    # -- one node -----------------------------------------------------------------------------------------

    def _settle(self, node: NodeState) -> None:
        """Handle what a node has to say, and see that it is called again in time."""
        for notice in node.take_notices():
            if isinstance(notice, Ended):
                if notice.deliver_s > self.kernel.now_s:
                    self.kernel.at(notice.deliver_s, DELIVERY, self._deliver, notice)
                else:
                    self._deliver(notice)
            elif isinstance(notice, Returned):
                self._returned(notice)
            elif isinstance(notice, Changed):
                self._changed(notice)
        next_s = node.next_s()
        if next_s < self._armed[node.id]:
            self._armed[node.id] = next_s
            self.kernel.at(next_s, NODE, self._wake, (node, next_s))

    def _wake(self, armed: tuple[NodeState, float]) -> None:
        node, t_s = armed
        if self._armed[node.id] != t_s:
            return
        self._armed[node.id] = inf
        node.advance(t_s)
        self._settle(node)

    def _deliver(self, notice: Ended) -> None:
        measured = notice.job.measured(notice.outcome == "done")
        self._feed_back(notice.job, notice.outcome, measured)
        self._close(notice.job.request, notice.outcome, notice.deliver_s, measured, notice.reason)

    def _returned(self, notice: Returned) -> None:
        job = notice.job
        self._feed_back(job, "node_lost", job.measured(False))
        job.attempt += 1
        self.kernel.at(self.kernel.now_s, ARRIVAL, self._dispatch, job)

    def _feed_back(self, job: Job, outcome: Outcome, measured: Measured) -> None:
        decision = self._decisions.get(job.request.id)
        if decision is None or decision.executor is None:
            return
        completion = Completion(job.request, decision.executor, outcome, self.kernel.now_s, measured)
        self._tell(self._fast_path.completed, completion)

    def _tell(self, hear: Callable[[Any], None], news: Any, whom: str = "gateway") -> None:
        """Somebody hears or looks now, or as late as in a live run (jittered runs)."""
        if self._control.delay_s is None:
            hear(news)
        else:
            delay_s = self._control.delay_s(whom, self.kernel.now_s)
            self.kernel.at(self.kernel.now_s + delay_s, DELIVERY, hear, news)

    def _changed(self, notice: Changed) -> None:
        self.ledger.executor(notice)
        self._tell(self._hear_changed, notice)

    def _hear_changed(self, notice: Changed) -> None:
        self._fast_path.executor_changed(notice.executor, notice.state, notice.mode, notice.ready_at_s)
        if self._held:
            self.kernel.at(self.kernel.now_s, ARRIVAL, lambda _: self._retry_held())

    def _fault(self, step: Step) -> None:
        self._faults_left -= 1
        self.ledger.event(step, self.kernel.now_s)
        for node_id in step.nodes:
            node = self.nodes[node_id]
            apply(step, node, self.kernel.now_s)
            self._settle(node)
        if isinstance(step.spec, LlmOutage):
            self._control.outage(step.spec.failure if step.phase == "onset" else None)
        if self._meta is not None:
            self._meta.sense(step)

    # -- one decision -------------------------------------------------------------------------------------

    def _tick(self, slot: int) -> None:
        now_s = self.kernel.now_s
        control, scenario = self._control, self.scenario
        if self._on_slot is not None:
            self._on_slot(Progress(now_s, scenario.end_s, self.ledger.arrived.total(), self._ended()))
        if now_s < self._give_up_s and (now_s < scenario.end_s or self._in_system):
            self.kernel.at((slot + 1) * scenario.slot_s, CONTROL, self._tick, slot + 1)
        epoch = slot % scenario.epoch_slots == 0
        if control.planner is None or not epoch:
            self._tick_lower(slot)
            return
        if PLANNER not in self._out:
            cause = f"epoch {slot // scenario.epoch_slots}"
            self._decided(PLANNER, control.planner.observe(self._snapshot(slot, reset=True), cause))
        late_s = self._out.get(PLANNER, now_s) - now_s
        grace_s = min(late_s, PLANNER_GRACE_SHARE * scenario.slot_s)
        if grace_s > 0:
            self.kernel.at(now_s + grace_s, LANDING, self._tick_lower, slot)
        else:
            self._tick_lower(slot)

    def _tick_lower(self, slot: int) -> None:
        """Scheduler and deployment agents; at an epoch boundary after the planner, if it is not too late."""
        if self._control.scheduler is not None:
            self._tell(self._schedule, slot, "look:scheduler")
        for node_id in self._control.deployers:
            self._tell(self._deploy, (node_id, slot), f"look:deployer:{node_id}")

    def _schedule(self, slot: int) -> None:
        scheduler = self._control.scheduler
        assert scheduler is not None
        if SCHEDULER not in self._out:
            self._decided(SCHEDULER, scheduler.observe(self._snapshot(slot, reset=False), f"slot {slot}"))

    def _deploy(self, of: tuple[str, int]) -> None:
        node_id, slot = of
        actor = f"deployer:{node_id}"
        if self.nodes[node_id].available and actor not in self._out:
            view = self.nodes[node_id].view(self.kernel.now_s)
            self._decided(actor, self._control.deployers[node_id].observe(view, f"slot {slot}"))

    def _snapshot(self, slot: int, reset: bool) -> ClusterSnapshot:
        now_s = self.kernel.now_s
        views = tuple(node.view(now_s) for node in self.nodes.values())
        return ClusterSnapshot(now_s, slot, views, self.ledger.window(now_s, reset))

    def _decided(self, actor: str, decision: Decision | None) -> None:
        """Let a decision land when its thinking is over; before a run begins there is time to think."""
        if decision is None:
            return
        delay_s = decision.thinking_s if self.kernel.now_s > 0 else 0.0
        if self._control.delay_s is not None:
            delay_s += self._control.delay_s(decision.actor, self.kernel.now_s)
        if delay_s > 0:
            self._out[actor] = self.kernel.now_s + delay_s
            self.kernel.at(self._out[actor], LANDING, self._land_late, (actor, decision))
        else:
            self._land(decision)

    def _land_late(self, of: tuple[str, Decision]) -> None:
        actor, decision = of
        del self._out[actor]
        self._land(decision)

    def _land(self, decision: Decision) -> None:
        command, refused, changes = decision.command, [], 0
        if isinstance(command, NodeConfig):
            node = self.nodes[command.node]
            before = node.targets()
            refused = node.configure(command, self.kernel.now_s)
            changes = sum(mode != before[e] for e, mode in node.targets().items())
            self._settle(node)
        elif isinstance(command, RouteGuide):
            self._tell(self._fast_path.guide, command)
        elif isinstance(command, MacroPolicy):
            self._tell(self._fast_path.policy, command)
            if self._control.scheduler is not None:
                self._control.scheduler.accept(command)
            for deployer in self._control.deployers.values():
                deployer.accept(command)
        outcome = "voided" if refused else "applied"
        self.ledger.decide(decision, self.kernel.now_s, outcome, tuple(refused), changes)

    def _ended(self) -> int:
        return sum(ends.total() for ends in self.ledger.ends.values())
