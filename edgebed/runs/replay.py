"""Replay of a recorded run's own arrivals and decisions: the same dispatches, configurations and faults at the
same instants, through fresh node state machines. Parity of design note (a): what the two worlds do with equal input.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from edgebed.runs.network import crossings
from emulation.domain.actions import NodeConfig
from emulation.domain.records import DecisionRecord, RequestRecord, RunFooter
from emulation.domain.request import Request
from emulation.domain.request_id import scenario_id_of
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.executor import Ended, Job, NodeState
from emulation.faults import Step, apply, timeline
from emulation.jsonl import RecordError
from emulation.metrics.switches import KIND
from emulation.record_lines import request_record
from emulation.recording import Run
from workloads.generate import generate
from workloads.mismatch import world_truth

_FAULT, _CONFIGURE, _SUBMIT = 0, 1, 2
"""What lands at the same instant lands in this order; the network is as it is before any of it."""


@dataclass(frozen=True, slots=True)
class _Action:
    """Something the recorded run did to one node."""

    t_s: float
    priority: int
    order: int
    node: str
    do: Callable[[NodeState, float], object]


def replay(
    run: Run,
    scenario: Scenario,
    items: Mapping[str, tuple[Request, RequestTruth]] | None = None,
    truth: WorldTruth | None = None,
) -> Run:
    """Serve the recorded dispatches again; returns the same requests with the times the state machines give.

    `items` (by request id) and `truth` replace what scenario and seed give: for runs on real models, whose truth no
    seed has. Only requests the run dispatched are in the result. Raises `RecordError` if the record names a request the
    scenario and seed do not have, or an event the plan does not have.
    """
    seed = run.header.seed
    known = {r.id: (r, t) for r, t in generate(scenario, seed).items} if items is None else items
    hidden = world_truth(scenario, seed) if truth is None else truth
    jobs: dict[str, Job] = {}
    nodes = {n.id: NodeState(scenario.testbed, n.id, hidden) for n in scenario.testbed.nodes}
    node_of = {e.id: e.node for e in scenario.testbed.executors()}
    actions = [
        *_dispatches(run, known, jobs, nodes, node_of),
        *_configurations(run),
        *_faults(run, scenario),
        *(
            _Action(t_s, _FAULT, i, node, partial(_cross, s))
            for i, (t_s, node, s) in enumerate(crossings(run))
        ),
    ]
    ended: dict[str, Ended] = {}
    for action in sorted(actions, key=lambda a: (a.t_s, a.priority, a.order)):
        for node in nodes.values():
            _advance(node, action.t_s, jobs, ended)
        action.do(nodes[action.node], action.t_s)
    for node in nodes.values():
        while node.next_s() < inf:
            _advance(node, node.next_s(), jobs, ended)
    recorded = {r.request_id: r for r in run.requests if r.outcome != "unfinished"}
    requests = tuple(_record(recorded[i], jobs[i], notice) for i, notice in ended.items() if i in recorded)
    return replace(
        run, header=replace(run.header, world="virtual"), requests=requests, footer=_footer(run, requests)
    )


def _advance(node: NodeState, t_s: float, jobs: Mapping[str, Job], ended: dict[str, Ended]) -> None:
    node.advance(t_s)
    for notice in node.take_notices():
        if isinstance(notice, Ended) and jobs[notice.job.request.id] is notice.job:
            ended[notice.job.request.id] = notice


def _dispatches(
    run: Run,
    known: Mapping[str, tuple[Request, RequestTruth]],
    jobs: dict[str, Job],
    nodes: Mapping[str, NodeState],
    node_of: dict[str, str],
) -> list[_Action]:
    """One submit per recorded dispatch: routes in order, the last at the time the node saw it."""
    routes: dict[str, list[DecisionRecord]] = defaultdict(list)
    for decision in run.decisions:
        if decision.actor == "router" and decision.request_id is not None and decision.choice in node_of:
            routes[decision.request_id].append(decision)
    ends = {r.request_id: r for r in run.requests}
    actions: list[_Action] = []
    for request_id, decisions in routes.items():
        named = request_id if request_id in known else scenario_id_of(request_id)
        if named not in known:
            raise RecordError(
                f"request {request_id!r} is not of scenario {run.header.scenario!r} with this seed"
            )
        request, truth = known[named]
        jobs.setdefault(request_id, Job(replace(request, id=request_id), truth))
        end = ends.get(request_id)
        for number, decision in enumerate(decisions, start=1):
            t_s = decision.t_s
            if number == len(decisions) and end is not None and end.dispatched_s is not None:
                t_s = end.dispatched_s
            submit = _submit(request_id, decision.choice, jobs, nodes, node_of)
            actions.append(_Action(t_s, _SUBMIT, len(actions), node_of[decision.choice], submit))
    return actions


def _submit(
    request_id: str,
    executor: str,
    jobs: dict[str, Job],
    nodes: Mapping[str, NodeState],
    node_of: dict[str, str],
) -> Callable[[NodeState, float], None]:
    def do(node: NodeState, t_s: float) -> None:
        job = jobs[request_id]
        if job.ended:
            return
        if job.executor is not None:  # here it is still served where, in the record, its replica was lost
            jobs[request_id] = again = _once_more(job)
            nodes[node_of[job.executor]].cancel(request_id, t_s)
            job = again
        else:
            job.attempt += job.enqueued_s is not None or job.lost
        node.submit(executor, job, t_s)

    return do


def _once_more(job: Job) -> Job:
    """Another attempt at the same request, with the progress of this one."""
    again = Job(job.request, job.truth, job.attempt + 1, job.dispatched_s, job.sent_s)
    again.resume(job.measured(done=False))
    return again


def _configurations(run: Run) -> list[_Action]:
    found: list[_Action] = []
    for decision in run.decisions:
        if decision.actor.startswith("deployer:") and decision.landed_s is not None:
            config = NodeConfig(decision.choice["node"], decision.choice["modes"])
            found.append(
                _Action(decision.landed_s, _CONFIGURE, len(found), config.node, partial(_configure, config))
            )
    return found


def _configure(config: NodeConfig, node: NodeState, t_s: float) -> None:
    node.configure(config, t_s)


def _cross(one_way_s: float, node: NodeState, t_s: float) -> None:
    node.set_network(one_way_s)


def _faults(run: Run, scenario: Scenario) -> list[_Action]:
    """The plan's steps at the instants at which the run applied them."""
    steps: dict[tuple[int, str], list[Step]] = defaultdict(list)
    for step in timeline(scenario.events, scenario.testbed):
        steps[step.event, step.phase].append(step)
    found: list[_Action] = []
    for event in run.events:
        planned = steps.get((event.event, event.phase))
        if event.type == KIND and not planned:
            continue  # by hand, and of no node
        if not planned:
            raise RecordError(
                f"event {event.event} ({event.type}, {event.phase}) is not of the scenario's plan"
            )
        step = planned.pop(0)
        found.extend(
            _Action(event.t_s, _FAULT, len(found), node, partial(apply, step)) for node in step.nodes
        )
    return found


def _record(recorded: RequestRecord, job: Job, notice: Ended) -> RequestRecord:
    again = request_record(
        job.request,
        notice.outcome,
        notice.deliver_s,
        recorded.counted,
        job.measured(notice.outcome == "done"),
        None,
        notice.reason,
    )
    return replace(
        again,
        intended_s=recorded.intended_s,
        sent_s=recorded.sent_s,
        predicted_s=recorded.predicted_s,
        predicted_sd_s=recorded.predicted_sd_s,
    )


def _footer(run: Run, requests: tuple[RequestRecord, ...]) -> RunFooter:
    arrived = Counter(record.model for record in requests)
    ends: dict[str, Counter[str]] = {model: Counter() for model in arrived}
    for record in requests:
        ends[record.model][record.outcome] += 1
    ended = {model: dict(counts) for model, counts in ends.items()}
    return RunFooter(max((r.t_s for r in requests), default=0.0), dict(arrived), ended, {}, False)
