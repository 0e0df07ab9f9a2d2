"""One run as the page wants it, from the tables of its record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from edgebed.ui.sources.first_token import FirstTokens
from edgebed.ui.sources.intake import Tables
from edgebed.ui.sources.seats import Seating, shares
from edgebed.ui.sources.series import Buckets, bucket_of
from edgebed.ui.sources.words import detail_of, view_of
from edgebed.ui.sources.world import Fault, stands_still
from edgebed.ui.views import (
    CostView,
    DecisionDetail,
    DecisionView,
    EventView,
    ExecutorView,
    FlowView,
    Frame,
    NodeView,
    Series,
    Span,
)
from emulation.domain.cluster import NodeSpec
from emulation.domain.scenario import Scenario
from emulation.metrics.switches import Switch

ENDLESS_S = 1e8
"""A horizon beyond this is one that is not known."""
_VIEWS = 256
"""Decisions that are kept in the words of the feed: every look is at nearly the same ones."""


class TableRun:
    """A `views.Source` over the tables of a record, whoever fills them."""

    def __init__(self, scenario: Scenario, scheme: str, seed: int) -> None:
        """`scheme` and `seed`: by its folder, as long as the record does not say."""
        self.scheme, self.seed = scheme, seed
        self.name = f"{scheme} · seed {seed}"
        self.world = self.reasoner = ""
        self.testbed = scenario.testbed
        self._scenario = scenario
        self._switches: tuple[Switch, ...] = ()
        self._schemes: tuple[str, ...] = (scheme,)
        """Those that decided, in their order."""
        self._hosted = {n.id: scenario.testbed.executors_of(n.id) for n in scenario.testbed.nodes}

    def _show(self, tables: Tables, first_tokens: FirstTokens, from_s: float) -> None:
        """These are its tables from now on."""
        self._tables, self._from_s = tables, from_s
        self._seating = Seating(self.testbed, tables.world)
        self._buckets = Buckets(tables.requests, first_tokens)
        self._view = lru_cache(maxsize=_VIEWS)(self._view_of)

    def _name(self) -> None:
        """Take over what the header says, once it is there, and to which schemes it was switched."""
        header = self._tables.header
        if header is not None:
            self.scheme, self.seed, self.world = header.scheme, header.seed, header.world
            self.reasoner = header.reasoner
            self._switches = self._tables.switches()
            self._schemes = (self.scheme, *(s.scheme for s in self._switches))
            self.name = f"{'→'.join(self._schemes)} · seed {self.seed}"

    def span(self) -> Span:
        """How far it is."""
        to_s = self._to_s()
        return Span(from_s=self._from_s, to_s=to_s, end_s=self._end_s(to_s), growing=False)

    def _to_s(self) -> float:
        return max(self._tables.last_s, self._from_s)

    def _end_s(self, to_s: float) -> float:
        header, footer = self._tables.header, self._tables.footer
        planned_s = self._scenario.horizon_s if header is None else header.horizon_s
        over = footer is not None and not footer.interrupted
        return to_s if over or planned_s > ENDLESS_S else max(to_s, planned_s)

    # -- at a moment ----------------------------------------------------------------------------------------

    def decides(self, t_s: float) -> tuple[str, str]:
        """The scheme in force at that moment, and what thinks in it."""
        last = next((s for s in reversed(self._switches) if s.t_s <= t_s), None)
        return (self.scheme, self.reasoner) if last is None else (last.scheme, last.reasoner)

    def frame(self, t_s: float) -> Frame:
        """The world at that moment."""
        requests = self._tables.requests
        arrived, done, failed = requests.counts(t_s)
        faults = self._tables.world.in_force(t_s)
        after_s = t_s - self._bucket_s()
        measured = requests.measured_s(after_s, t_s)
        return Frame(
            t_s=t_s,
            nodes=tuple(self._node(node, t_s, faults, measured) for node in self.testbed.nodes),
            flows=self._flows(after_s, t_s),
            arrived=arrived,
            done=done,
            failed=failed,
            in_system=arrived - done - failed,
        )

    def _bucket_s(self) -> float:
        span = TableRun.span(self)
        return bucket_of(span.end_s - span.from_s)

    def _node(
        self, node: NodeSpec, t_s: float, faults: Sequence[Fault], measured: dict[str, float]
    ) -> NodeView:
        world = self._tables.world
        executors = self._executors(node, t_s, faults, measured)
        state = world.node(node.id, [e.state for e in executors], t_s, faults)
        return NodeView(
            id=node.id,
            hosting=node.hosting,
            devices=(*(f"GPU {gpu.vram_gb:g} GB" for gpu in node.gpus), f"{node.cores} cores"),
            available=state.available,
            slowdown=state.slowdown,
            faults=state.faults,
            rtt_s=world.rtt_s(node.id, t_s),
            executors=executors,
        )

    def _executors(
        self, node: NodeSpec, t_s: float, faults: Sequence[Fault], measured: dict[str, float]
    ) -> tuple[ExecutorView, ...]:
        tables, at_work = self._tables, list[tuple[str, int | None]]()
        states = {}
        for spec in self._hosted[node.id]:
            state, mode = tables.world.executor(spec.id, t_s)
            if node.hosting == "device" and spec.id not in tables.world.executors:
                state, mode = (
                    "ready",
                    self.testbed.modes(node.id, spec.models[0])[0],
                )  # it is so from the begin
            gpu = self._seating.at(node, spec.id, mode, t_s)
            states[spec.id] = state, mode, gpu
            busy = tables.requests.executors.get(spec.id)
            if (
                state == "ready"
                and gpu is not None
                and busy
                and busy.in_service(t_s)
                and not stands_still(node.id, spec.id, faults)
            ):
                at_work.append((spec.id, gpu))
        share = shares(node, at_work)
        found = []
        for spec in self._hosted[node.id]:
            state, mode, gpu = states[spec.id]
            busy = tables.requests.executors.get(spec.id)
            found.append(
                ExecutorView(
                    id=spec.id, node=node.id, model=", ".join(spec.models), state=state, mode=mode,
                    gpu_share=None if gpu is None else share.get(spec.id, 0.0),
                    queued=0 if busy is None else busy.queued(t_s),
                    masked=tables.decisions.masked(spec.id, node.id, t_s),
                    predicted_s=None if busy is None else busy.predicted.at(t_s),
                    measured_s=measured.get(spec.id),
                )
            )  # fmt: skip
        return tuple(found)

    def _flows(self, after_s: float, t_s: float) -> tuple[FlowView, ...]:
        length_s = t_s - max(after_s, self._from_s)
        return tuple(
            FlowView(origin=origin, node=node, per_s=n / length_s if length_s > 0 else 0.0)
            for (origin, node), n in sorted(self._tables.requests.flows(after_s, t_s).items())
        )

    # -- up to a moment -------------------------------------------------------------------------------------

    def series(self, until_s: float) -> Series:
        """How it went up to then, in at most 240 buckets."""
        header, span = self._tables.header, TableRun.span(self)
        models = [m.id for m in self.testbed.models]
        deadline_s = self._scenario.deadline_s if header is None else header.deadline_s
        return self._buckets.series(models, span.from_s, span.to_s, span.end_s, until_s, deadline_s)

    def decisions(
        self, until_s: float, actors: Sequence[str] = (), before: int | None = None, most: int = 50
    ) -> Sequence[DecisionView]:
        """The latest decisions up to then, the newest first; older than number `before` if that is given.

        `actors` are whole names or kinds (`deployer`). Where none is given, those of the router are a sample.
        """
        numbers = self._tables.decisions.latest(until_s, actors, before, most)
        return [self._view(n) for n in numbers]

    def _view_of(self, number: int) -> DecisionView:
        """One of them in a line, read from the record."""
        decisions = self._tables.decisions
        return view_of(number, decisions.actor(number), decisions.moment(number), decisions.line(number))

    def decision(self, number: int) -> DecisionDetail:
        """All about one of them. Raises `KeyError` if there is none of that number."""
        return detail_of(number, self._tables)

    def events(self, until_s: float) -> Sequence[EventView]:
        """The fault ledger up to then."""
        return self._tables.world.events(until_s, len(self._scenario.events))

    def costs(self, until_s: float) -> Sequence[CostView]:
        """What deciding cost up to then."""
        return self._tables.decisions.costs.until(until_s)
