"""The books of a run of either world: each arrival, end and decision; conservation is checked at the close."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mypy_extensions import mypyc_attr

from emulation.domain.actions import Decision, RoutingDecision
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.measured import Measured
from emulation.domain.plain import command_data
from emulation.domain.ports import RecordSink
from emulation.domain.records import (
    DecisionRecord,
    EventRecord,
    ExecutorRecord,
    LinkRecord,
    RunFooter,
    RunHeader,
)
from emulation.domain.request import Outcome, Request
from emulation.domain.snapshot import Arrived, TypeStats, Window, WorkStats
from emulation.executor.notices import Changed
from emulation.faults import Step
from emulation.line_sink import LineSink
from emulation.metrics.fairness import Counted
from emulation.record_lines import (
    blank_request,
    blank_routing,
    exchange_record,
    fill_request,
    fill_routing,
    proposal_record,
    record_of,
)

Unfinished = tuple[Request, Measured | None, RoutingDecision | None]
"""A request in the system when a run ends: its present attempt if it has one, and where it was sent."""
MOST_ARRIVALS = 5_000
"""Requests of one epoch a planner is told one by one; of the rest it knows the counts."""


@mypyc_attr(native_class=False)
class ConservationError(AssertionError):
    """Requests appeared or vanished: arrived differs from the sum of ends plus those in the system."""


class Ledger:
    """Counts and records one run. `sink` None keeps the counts only."""

    def __init__(self, header: RunHeader, sink: RecordSink | None, testbed: TestbedConfig) -> None:
        self.header = header
        self.arrived: Counter[str] = Counter()
        self.ends: dict[str, Counter[str]] = defaultdict(Counter)
        self.counted_open = 0
        """Requests of the horizon that have not ended."""
        self._sink: RecordSink | None = None
        self._lines: LineSink | None = None
        """The sink, if it wants no records made, only what is written of them."""
        self._routing, self._ending = blank_routing(), blank_request()
        self._horizon_s = header.horizon_s
        self._last_window: Window | None = None
        self._reset_s = 0.0
        self._node_of = {e.id: e.node for e in testbed.executors()}
        self._by_prompts = {m.id for m in testbed.models if m.features == "prompts"}
        self._work: dict[tuple[str, str, Mode], list[float]] = {}
        self._arrivals: list[Request] = []
        """The first of the window that counts them; live, what came just before its begin is heard of after it."""
        self._window: dict[str, list[float]] = {m: [0, 0, 0, 0, 0.0] for m in header.models}
        self._counted: dict[str, list[float]] = {m: [0.0, 0.0, 0.0, 0.0] for m in header.models}
        if sink is not None:
            self.write_to(sink)
            sink.write(header)

    @property
    def records(self) -> bool:
        """Whether anybody takes records: what is only for them need not be made."""
        return self._sink is not None

    def write_to(self, sink: RecordSink) -> None:
        """Record from now on: what was counted so far is in its file already."""
        self._sink = sink
        self._lines = sink if isinstance(sink, LineSink) else None

    def _write(self, fields: dict[str, Any], side: Mapping[str, Any] | None = None) -> None:
        if self._lines is not None:
            self._lines.write_fields(fields, side)
        elif self._sink is not None:
            self._sink.write(record_of(fields), side)

    # -- requests -----------------------------------------------------------------------------------------

    def arrive(self, request: Request) -> None:
        """A request entered the system."""
        self.arrived[request.model] += 1
        window = self._window[request.model]
        window[0] += 1
        window[1] += request.prompts
        if len(self._arrivals) < MOST_ARRIVALS:
            self._arrivals.append(request)
        if request.arrival_s < self._horizon_s:
            self.counted_open += 1

    def route(
        self, request: Request, decision: RoutingDecision, t_s: float, side: Mapping[str, Any] | None = None
    ) -> None:
        """The router decided about a request. What is held is told of once per reason (`Holds`): see to it before."""
        if self._sink is not None:
            fill_routing(self._routing, request, decision, t_s, landed_s=t_s)
            self._write(self._routing, side)

    def end(
        self,
        request: Request,
        outcome: Outcome,
        t_s: float,
        measured: Measured | None = None,
        decision: RoutingDecision | None = None,
        reason: str = "",
        side: Mapping[str, Any] | None = None,
    ) -> None:
        """A request ended, in exactly one way. `measured`: its last attempt; None: it was never dispatched."""
        self.ends[request.model][outcome] += 1
        window = self._window[request.model]
        if outcome == "done":
            window[2] += 1
            window[4] += t_s - request.arrival_s
            if measured is not None and not measured.interrupted and measured.attempt == 1:
                self._worked(request, measured)
        else:
            window[3] += 1
        counted = request.arrival_s < self._horizon_s
        if counted:
            self.counted_open -= 1
            self._count(request, outcome == "done", t_s)
        if self._sink is not None:
            blank = self._ending
            ended = fill_request(blank, request, outcome, t_s, counted, measured, decision, reason)
            self._write(ended, side)

    def _count(self, request: Request, done: bool, t_s: float) -> None:
        counted = self._counted[request.model]
        counted[0] += 1.0
        if done:
            counted[1] += 1.0
            counted[2] += t_s - request.arrival_s
            counted[3] += request.prompts

    def counted(self) -> dict[str, Counted]:
        """Model to what became of its requests of the horizon; once the books are closed, of all of them."""
        return {m: Counted(*counted) for m, counted in self._counted.items()}

    def _worked(self, request: Request, measured: Measured) -> None:
        """Count finished work for its service law: [requests, work_s, sum of each feature]."""
        if measured.executor is None:
            return
        key = (self._node_of[measured.executor], request.model, measured.mode)
        by_prompts = request.model in self._by_prompts
        counted = self._work.get(key)
        if counted is None:
            counted = self._work[key] = [0.0] * (3 if by_prompts else 4)
        counted[0] += 1
        counted[1] += measured.work_s
        if by_prompts:
            counted[2] += request.prompts
        else:
            counted[2] += request.prompt_tokens
            counted[3] += measured.output_tokens

    # -- everything else ----------------------------------------------------------------------------------

    def decide(
        self,
        decision: Decision,
        landed_s: float | None,
        outcome: str,
        refused: tuple[str, ...] = (),
        changes: int = 0,
        side: Mapping[str, Any] | None = None,
    ) -> None:
        """A slot- or epoch-scale decision landed, or failed to. What its reasoner was asked stands before it."""
        if self._sink is None:
            return
        for number, exchange in enumerate(decision.exchanges, start=1):
            self._sink.write(exchange_record(decision, exchange, number))
        if decision.proposal is not None:
            self._sink.write(proposal_record(decision, decision.proposal))
        record = DecisionRecord(
            t_s=decision.decided_at_s,
            actor=decision.actor,
            cause=decision.cause,
            inputs_age_s=decision.inputs_age_s,
            choice=command_data(decision.command),
            reason=decision.reason,
            reasoner=decision.reasoner,
            thinking_s=decision.thinking_s,
            landed_s=landed_s,
            promised=decision.promised,
            outcome=outcome,
            violations=(*decision.violations, *refused),
            changes=changes,
        )
        self._sink.write(record, side)

    def audit(self, record: DecisionRecord, side: Mapping[str, Any] | None = None) -> None:
        """An entry of a controller's own audit trail, as it wrote it."""
        if self._sink is not None:
            self._sink.write(record, side)

    def event(
        self,
        step: Step,
        t_s: float,
        side: Mapping[str, Any] | None = None,
        in_force: Mapping[str, tuple[float | None, float | None]] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """A step of the event plan was applied.

        `in_force`: node to the magnitude of the event's effect by the node's own state, before the step and after it.
        `more`: what else there is to say of this kind of event, as plain data.
        """
        if self._sink is not None:
            detail: dict[str, Any] = {"value": step.value}
            if step.phase == "onset":
                detail["spec"] = json.loads(step.spec.model_dump_json())  # infinity as JSON can say it
            if step.by_hand:
                detail["by_hand"] = True
            if in_force:
                detail["in_force"] = {node: list(both) for node, both in in_force.items()}
            detail |= more or {}
            record = EventRecord(
                t_s, step.event, step.spec.kind, step.spec.target, step.phase, step.visible, detail
            )
            self._sink.write(record, side)

    def executor(self, changed: Changed) -> None:
        """An executor changed state or mode."""
        if self._sink is not None:
            self._sink.write(ExecutorRecord(changed.t_s, changed.executor, changed.state, changed.mode))

    def link(self, record: LinkRecord, side: Mapping[str, Any] | None = None) -> None:
        """How long messages take to a node was measured."""
        if self._sink is not None:
            self._sink.write(record, side)

    def window(self, t_s: float, reset: bool = False) -> Window:
        """What was counted since the last reset, at an epoch boundary: what planner and scheduler are told.

        Until half a slot after a reset it still tells of the whole window before it: the layers below the planner
        look at the same boundary a moment later, and must not take that moment for the epoch.
        """
        stats = {
            m: TypeStats(int(w[0]), int(w[1]), int(w[2]), int(w[3]), w[4]) for m, w in self._window.items()
        }
        work = {key: WorkStats(int(w[0]), tuple(w[2:]), w[1]) for key, w in self._work.items()}
        window = Window(self._reset_s, stats, work)
        if reset:
            self._last_window, arrivals = window, self._arrived()
            self._reset_s, self._work, self._arrivals = t_s, {}, []
            for counted in self._window.values():
                counted[:] = [0, 0, 0, 0, 0.0]
            return replace(window, arrivals=arrivals)
        if self._last_window is not None and t_s - self._reset_s < 0.5 * self.header.slot_s:
            return self._last_window
        return window

    def _arrived(self) -> tuple[Arrived, ...]:
        return tuple(
            [
                Arrived(
                    max(0.0, r.arrival_s - self._reset_s), r.model, r.origin, r.prompts,
                    r.prompt_tokens, r.known_output_tokens,
                )
                for r in self._arrivals
            ]
        )  # fmt: skip

    def carry(self, requests: Sequence[Request]) -> None:
        """Begin to count anew, with these requests in the system."""
        self.arrived, self.ends = Counter(r.model for r in requests), defaultdict(Counter)
        self.counted_open = sum([r.arrival_s < self._horizon_s for r in requests])

    def turn(self, t_s: float, in_system: Sequence[Request], side: Mapping[str, Any] | None) -> None:
        """Write a footer of all that ended; who is in the system is counted again from now on, in another file."""
        ends = {m: dict(sorted(e.items())) for m, e in sorted(self.ends.items())}
        footer = RunFooter(t_s, {m: sum(e.values()) for m, e in ends.items()}, ends, {})
        if self._sink is not None:
            self._sink.write(footer, side)
        self.carry(in_system)

    def close(
        self,
        t_s: float,
        unfinished: Iterable[Unfinished],
        interrupted: bool = False,
        side: Mapping[str, Any] | None = None,
    ) -> RunFooter:
        """Write what is still in the system, and the footer. Raises `ConservationError` if the books do not balance."""
        in_system: Counter[str] = Counter()
        for request, measured, decision in unfinished:
            in_system[request.model] += 1
            counted = request.arrival_s < self._horizon_s
            if counted:
                self._count(request, False, t_s)
            if self._sink is not None:
                blank = self._ending
                self._write(fill_request(blank, request, "unfinished", t_s, counted, measured, decision))
        footer = RunFooter(
            t_s=t_s,
            arrived=dict(sorted(self.arrived.items())),
            ends={m: dict(sorted(e.items())) for m, e in sorted(self.ends.items())},
            in_system=dict(sorted(in_system.items())),
            interrupted=interrupted,
        )
        if self._sink is not None:
            self._sink.write(footer, side)
        if not footer.conserved():
            raise ConservationError(
                f"arrived {footer.arrived}, ends {footer.ends}, in system {footer.in_system}"
            )
        return footer
