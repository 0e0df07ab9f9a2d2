"""One run in virtual time.

One request: arrival → `FastPath.route` → `NodeState.submit` → (queue, service, sharing) → notice → record and
feedback. One decision is told in `deciding.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf

from emulation.domain.actions import RoutingDecision
from emulation.domain.events import LlmOutage
from emulation.domain.holds import Holds
from emulation.domain.last_begun import LastBegun
from emulation.domain.measured import Measured
from emulation.domain.mistakes import Mistake
from emulation.domain.ports import Completion, FastPath, RecordSink
from emulation.domain.records import RunFooter, RunHeader
from emulation.domain.request import Outcome, Request
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slot_of, slot_start_s
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.engine.control import ControlPlane, Newcomers
from emulation.engine.deciding import Deciding
from emulation.engine.faulting import PlayedPlan
from emulation.engine.hearing import Hearing
from emulation.engine.interrupts import stopped_by_ctrl_c
from emulation.engine.kernel import ARRIVAL, CONTROL, DELIVERY, FAULT, NODE, Kernel
from emulation.engine.meta import VirtualMetaLink
from emulation.engine.progress import Progress
from emulation.engine.progress import SimulationProgress as SimulationProgress
from emulation.engine.switching import Switching
from emulation.executor import Changed, Ended, Job, NodeState, Returned
from emulation.faults import Step
from emulation.ledger import Ledger, Unfinished

Arrival = tuple[Request, RequestTruth]
Crossing = tuple[float, str, float]
"""From when on messages to and from a node take how many seconds each way, beside the links of the testbed."""


class Simulation:
    """The virtual world of one run. Build it, then call `run` once.

    `arrivals` come in the order they are sent: at `sent_s[request id]`, or at their intended time. `crossings`: what
    the network between machines takes, where a run over several is computed again.
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
        on_slot: Callable[[SimulationProgress], None] | None = None,
        sent_s: Mapping[str, float] | None = None,
        crossings: Iterable[Crossing] = (),
    ) -> None:
        self.scenario = scenario
        self.kernel = Kernel()
        self.nodes = {n.id: NodeState(scenario.testbed, n.id, truth) for n in scenario.testbed.nodes}
        self.ledger = Ledger(header, sink, scenario.testbed)
        self._arrivals = iter(arrivals)
        self._sent_s = dict(sent_s or {})
        self._node_of = {e.id: self.nodes[e.node] for e in scenario.testbed.executors()}
        self._armed = dict.fromkeys(self.nodes, inf)
        self._held: dict[str, Job] = {}
        self._looks_s: dict[str, float] = {}
        """Requests that were held, their deadlines being on the heap, to the moment that their last route named."""
        self._waking = False  # all of them are routed again at this instant
        self._holds = Holds()
        self._decisions: dict[str, RoutingDecision] = {}
        self._routing: Job
        self._arrives, self._wakes = self._arrive, self._wake  # bound once, as every request needs them
        self._hears_end, self._hears_change = self._hear_completed, self._hear_changed
        self._in_system: dict[str, Job] = {}
        for t_s, node_id, one_way_s in crossings:
            self.kernel.at(t_s, FAULT, self.nodes[node_id].set_network, one_way_s)
        self._settled_s, self._give_up_s = scenario.settled_s, scenario.give_up_s
        self._slot_s, self._arrivals_until_s = scenario.slot_s, max(scenario.end_s, scenario.settled_s)
        self._switching = Switching(control.schemes, self._take_up)
        self._outages: LastBegun[str | None] = LastBegun(None)  # how the reasoners fail; None: they do not
        self._plan = PlayedPlan(
            scenario, self.kernel, self.nodes, self.ledger,
            lambda step: self._switching.play(step, self._control), self._played,
        )  # fmt: skip
        self._hearing = Hearing(self.kernel, control.delay_s)
        self._retired: list[Deciding] = []  # of schemes that went out
        self._progress = Progress(scenario, self.kernel, self.nodes, self.ledger, on_slot)
        self._put_in_force(fast_path, control)

    def run(self) -> RunFooter:
        """Run to the end of every counted request; returns the conserved books.

        Raises `ConservationError` if they do not balance. On a Ctrl-C, and on `KeyboardInterrupt` from `on_slot`, the
        books are closed with what has happened so far (`footer.interrupted`). So they are before a `Mistake` is raised
        that only shows while the run goes on, as where a reasoner will never answer again.
        """
        interrupted, mistake = False, None
        with stopped_by_ctrl_c(self.kernel) as heard:
            try:
                self._begin()
                self.kernel.run(self._give_up_s)
                if self._plan.left:  # of an event that began when everybody was about to give up
                    self.kernel.run(self.scenario.latest_s)
            except KeyboardInterrupt:
                interrupted = True
            except Mistake as error:
                interrupted, mistake = True, error
        interrupted = interrupted or bool(heard)
        for deciding in (*self._retired, self._deciding):
            deciding.end()
        if self._meta is not None:
            self._meta.end()
        footer = self.ledger.close(self.kernel.now_s, self._unfinished(), interrupted)
        if mistake is not None:
            raise mistake
        return footer

    def _unfinished(self) -> list[Unfinished]:
        """What is in the system, in order of arrival."""
        return [
            (job.request, job.measured(False), self._decisions.get(request_id))
            for request_id, job in self._in_system.items()
        ]

    def true_service_s(self, executor: str, request_id: str) -> float:
        """For the oracle: present true service time, seconds, of a request being routed."""
        job = self._routing
        assert job.request.id == request_id
        return self._node_of[executor].oracle.service_s(executor, job.request, job.truth, job.attempt)

    def true_backlog_s(self, executor: str) -> float:
        """For the oracle: present true time until the executor is free, seconds."""
        return self._node_of[executor].oracle.backlog_s(executor, self.kernel.now_s)

    def stutters(self, executor: str, model: str) -> bool:
        """For the oracle: whether work of this model dispatched to the executor now would stutter."""
        return self._node_of[executor].oracle.stutters(model)

    def _begin(self) -> None:
        for executor in (e for node in self.nodes.values() for e in node.view(0.0).executors):
            self._fast_path.executor_changed(executor.id, executor.state, executor.mode, 0.0, 0.0)
        self.kernel.at(0.0, CONTROL, self._tick, 0)
        self._next_arrival()

    # -- who decides --------------------------------------------------------------------------------------

    def _put_in_force(self, fast_path: FastPath, control: ControlPlane) -> None:
        self._fast_path, self._control = fast_path, control
        self._meta: VirtualMetaLink | None = None
        if control.meta is not None:
            self._meta = VirtualMetaLink(control, self.kernel, self.nodes, self.ledger, self._wake_held)
        self._deciding = Deciding(
            self.scenario, control, self.kernel, self.nodes, self.ledger, fast_path, self._hearing,
            self._settle, self._wake_held,
        )  # fmt: skip

    def _take_up(self, came: Newcomers, cause: str) -> None:
        """From now on others decide. They go on with what is in flight, and look at once."""
        self._deciding.retire()
        self._retired.append(self._deciding)
        if self._meta is not None:
            self._meta.retire()
        came.fast_path.take_over(self._fast_path)
        self._put_in_force(came.fast_path, came.control)
        if self._outages.now is not None:
            self._break_reasoners()
        if self._meta is not None:
            self._meta.come_in()
        self._deciding.come_in(cause, slot_of(self.kernel.now_s, self.scenario.slot_s))
        self._wake_held()

    def _break_reasoners(self) -> None:
        self._control.outage(self._outages.now)
        if self._control.meta is not None:
            self._control.meta.outage(self._outages.now, self.kernel.now_s)

    # -- one request --------------------------------------------------------------------------------------

    def _next_arrival(self) -> None:
        arrival = next(self._arrivals, None)
        if arrival is not None:
            request = arrival[0]
            self.kernel.at(self._sent_s.get(request.id, request.arrival_s), ARRIVAL, self._arrives, arrival)

    def _arrive(self, arrival: Arrival) -> None:
        self._next_arrival()
        request, truth = arrival
        self.ledger.arrive(request)
        job = Job(request, truth, sent_s=self._sent_s.get(request.id))
        self._in_system[request.id] = job
        self._progress.step()
        self._dispatch(job)

    def _dispatch(self, job: Job) -> None:
        request, now_s = job.request, self.kernel.now_s
        self._routing = job
        decision = self._fast_path.route(request, now_s)
        executor = decision.executor
        if executor is not None and (node := self._node_of[executor]).available:
            self._holds.over(request.id)
            self.ledger.route(request, decision, now_s)
            self._decisions[request.id] = decision
            self._fast_path.dispatched(request, decision, now_s)
            if self._hearing.at_once:
                self._submit((node, executor, job))
            else:
                self._hearing.tell(self._submit, (node, executor, job), f"sent to {executor}", "way")
        elif executor is None and decision.action in ("reject", "no_host"):
            self.ledger.route(request, decision, now_s)
            refusal: Outcome = "rejected" if decision.action == "reject" else "no_host"
            self._end_unserved(job, refusal, decision.reason)
        else:
            self._hold(job, decision)

    def _submit(self, sent: tuple[NodeState, str, Job]) -> None:
        """A request comes to the node that it was sent to, which may have left meanwhile (jittered runs)."""
        node, executor, job = sent
        if node.available:
            node.submit(executor, job, self.kernel.now_s)
            self._settle(node)
        else:
            self._returned(Returned(self.kernel.now_s, job))

    def _hold(self, job: Job, decision: RoutingDecision) -> None:
        if self._holds.is_new(job.request.id, decision):
            self.ledger.route(job.request, decision, self.kernel.now_s)
        if job.request.id not in self._looks_s and job.request.deadline_s != inf:
            self.kernel.at(max(job.request.deadline_s, self.kernel.now_s), NODE, self._expire_held, job)
        self._held[job.request.id] = job
        look_s = inf if decision.again_s is None else self.kernel.now_s + decision.again_s
        self._looks_s[job.request.id] = look_s
        if look_s < inf:
            self.kernel.at(look_s, ARRIVAL, self._look_again, (job, look_s))

    def _expire_held(self, job: Job) -> None:
        if self._held.pop(job.request.id, None) is not None:
            self._end_unserved(job, "expired", "deadline passed while held")

    def _end_unserved(self, job: Job, outcome: Outcome, reason: str) -> None:
        self._close(job.request, outcome, self.kernel.now_s, job.measured(False), reason)

    def _look_again(self, of: tuple[Job, float]) -> None:
        job, look_s = of
        if self._looks_s.get(job.request.id) == look_s and self._held.pop(job.request.id, None) is not None:
            self._dispatch(job)

    def _wake_held(self) -> None:
        """Something changed: what is held is routed again, after all that goes on at this instant."""
        if self._held and not self._waking:
            self._waking = True
            self.kernel.at(self.kernel.now_s, ARRIVAL, self._retry_held)

    def _retry_held(self, _: None) -> None:
        self._waking, held, self._held = False, list(self._held.values()), {}
        for job in held:
            self._dispatch(job)

    def _close(self, request: Request, outcome: Outcome, t_s: float, measured: Measured, reason: str) -> None:
        del self._in_system[request.id]
        self._holds.over(request.id)
        self._looks_s.pop(request.id, None)
        decision = self._decisions.pop(request.id, None)
        self.ledger.end(request, outcome, t_s, measured, decision, reason)
        self._stop_if_over()
        self._progress.step()

    def _stop_if_over(self) -> None:
        if self.ledger.counted_open == 0 and self.kernel.now_s >= self._settled_s and self._plan.left == 0:
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
                if notice.t_s > self.kernel.now_s:
                    self.kernel.at(notice.t_s, DELIVERY, self._returned, notice)
                else:
                    self._returned(notice)
            elif isinstance(notice, Changed):
                self.ledger.executor(notice)
                self._hearing.tell(self._hears_change, notice, notice.executor)
        next_s = node.next_s()
        if next_s < self._armed[node.id]:
            self._armed[node.id] = next_s
            self.kernel.at(next_s, NODE, self._wakes, (node, next_s))

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
        self._hearing.tell(self._hears_end, completion, completion.executor)

    def _hear_completed(self, completion: Completion) -> None:
        self._fast_path.completed(completion)

    def _hear_changed(self, notice: Changed) -> None:
        self._fast_path.executor_changed(
            notice.executor, notice.state, notice.mode, notice.ready_at_s, self.kernel.now_s
        )
        self._wake_held()

    def _played(self, step: Step) -> None:
        for node_id in step.nodes:
            self._settle(self.nodes[node_id])
        if isinstance(step.spec, LlmOutage):
            if step.phase == "onset":
                self._outages.begin(step.event, step.spec.failure)
            else:
                self._outages.end(step.event)
            self._break_reasoners()
        if self._meta is not None:
            self._meta.sense(step)
        self._stop_if_over()

    def _tick(self, slot: int) -> None:
        now_s = self.kernel.now_s
        self._progress.tell()
        if now_s < self._give_up_s and (now_s < self._arrivals_until_s or self._in_system):
            if self._progress.is_over():
                self.kernel.stop()
                return
            self.kernel.at(slot_start_s(slot + 1, self._slot_s), CONTROL, self._tick, slot + 1)
        self._deciding.slot(slot)
