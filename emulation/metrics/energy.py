"""Energy and cost of a run, from its record and the watts and prices of its testbed: the same in both worlds.

A node that is there draws its idle watts. What is in service adds the difference to its busy watts, by the share of the
node's cores or of a GPU that it has:

    E = sum over nodes of the integral over time of  idle + (cpu - idle) u_cpu + (gpu - idle) sum over its GPUs of u_gpu

u_cpu: executors at work on the CPU over those that hold a place there, since the cores are split equally over these.
u_gpu: 1 while any executor is at work on that GPU; under static slices, those at work over all slices. Executors at
work have equal parts of it, and so do the requests in service at one executor. What a `pause` keeps still is not at
work. Assumed: a linear law between idle and busy; starting and stopping a replica draws as much as idling; a node that
has left draws nothing that is ours; of a request that went out several times the last attempt counts, if it was done:
of the others no line tells.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from emulation.domain.cluster import TestbedConfig
from emulation.domain.power import TIERS, NodeWatts, Tier, price_by_node
from emulation.domain.records import ExecutorRecord, RequestRecord
from emulation.metrics.occupancy import Span, pauses_of, served_span, stood_still, without
from emulation.metrics.placed import Placed
from emulation.metrics.view import RunView, last_s, node_of

JOULES_PER_KWH = 3_600_000.0
LEAVING = ("leave", "drain", "node_kill")
"""Events that take a node away until they are undone."""
MODES = ("cpu", "gpu")
STILL = "still"
"""In the place of a mode: in service, and kept still by a `pause`."""
_ROUNDING_S = 1e-9

_END, _AWAY, _CHANGE, _START = range(4)
"""Order of what happens at one instant: work that ends there is over before anything changes."""
Work = tuple[Span, int, str, str]
"""A stretch of a request's service, its index in the record, at which executor and in which mode."""
Happening = tuple[float, int, int]
"""When, what, and the index of the work, the change or the step."""


@dataclass(frozen=True, slots=True)
class NodeEnergy:
    """What one node drew from the beginning of a record to its end."""

    present_s: float
    """Seconds that it was there."""
    idle_j: float
    cpu_j: float
    """Above idle, by what was in service on its cores."""
    gpu_j: float
    """Above idle, by what was in service on its GPUs."""

    @property
    def total_j(self) -> float:
        """All of it."""
        return self.idle_j + self.cpu_j + self.gpu_j


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a run and what it cost."""

    nodes: Mapping[str, NodeEnergy]
    requests_j: tuple[float, ...]
    """Above idle, of every request, in the order of the record; 0 of one that was never in service."""
    missing: tuple[str, ...]
    """Watts that are not given, as `idle of VM2`: unless empty, no energy here is that of the run."""
    tiers: Mapping[Tier, int]
    """How many of the entries that count are how sure."""
    cost: float | None
    """None: not given for every node."""
    currency: str | None

    @property
    def idle_j(self) -> float:
        """What the nodes drew for being there."""
        return sum(n.idle_j for n in self.nodes.values())

    @property
    def dynamic_j(self) -> float:
        """What service added."""
        return sum(n.cpu_j + n.gpu_j for n in self.nodes.values())

    @property
    def total_j(self) -> float:
        """All of it."""
        return self.idle_j + self.dynamic_j


def not_given(run: RunView, testbed: TestbedConfig) -> list[str]:
    """The watts that are missing for the energy of a run, as `idle of VM2`; empty if it can be told."""
    watts = testbed.watts()
    missing = [f"idle of {node}" for node, own in watts.items() if own.idle is None]
    used = {
        (node_of(str(r.executor)), str(r.mode))
        for r in run.requests
        if r.executor is not None and work_span(r) is not None
    }
    return missing + [
        f"{mode} of {node}"
        for node, mode in sorted(used)
        if node not in watts or getattr(watts[node], mode) is None
    ]


def energy_of(run: RunView, testbed: TestbedConfig) -> Energy | None:
    """Energy and cost of a run on its testbed; None where that states neither watts nor prices."""
    if not testbed.power and testbed.prices is None:
        return None
    begin_s, end_s = float(run.side.get(0, {}).get("begin_s", 0.0)), last_s(run)
    work: dict[str, list[Work]] = defaultdict(list)
    pauses = pauses_of(run)
    for i, record in enumerate(run.requests):
        for one in _works(i, record, stood_still(record, pauses)):
            work[node_of(one[2])].append(one)
    changes: dict[str, list[ExecutorRecord]] = defaultdict(list)
    for change in run.executors:
        changes[node_of(change.executor)].append(change)
    steps = _steps_away(run)
    requests_j = [0.0] * len(run.requests)
    nodes: dict[str, NodeEnergy] = {}
    for node, watts in testbed.watts().items():
        meter = _Meter(testbed, node, watts, begin_s)
        meter.run(work[node], changes[node], steps[node], requests_j, end_s)
        nodes[node] = meter.read()
    missing = not_given(run, testbed)
    return Energy(
        nodes=nodes,
        requests_j=tuple(requests_j),
        missing=tuple(missing),
        tiers=_tiers(testbed),
        cost=_cost(nodes, testbed, energy_known=not missing),
        currency=None if testbed.prices is None else testbed.prices.currency,
    )


def work_span(record: RequestRecord, still: Sequence[Span] = ()) -> Span | None:
    """When a request was in service at the executor that its line names; None if it never was, or nothing tells.

    `still`: when its work stood still there, disjoint and in order; it is in service then, too. `started_s` and
    `service_s` are over all attempts. Of the last of several only a done one says how long it took.
    """
    if record.executor is None or record.mode not in MODES:
        return None
    if record.attempt <= 1:
        return served_span(record)
    if record.turn_s is None:
        return None
    end_s = record.ended_s - record.transfer_s / 2  # the way back is about half of both ways
    begin_s = end_s - record.turn_s
    for since_s, until_s in reversed(still):  # which are no part of the turn
        if begin_s + _ROUNDING_S < until_s and since_s < end_s:
            begin_s -= min(until_s, end_s) - since_s
    return max(begin_s, record.started_s or 0.0), end_s


def _works(i: int, record: RequestRecord, still: Sequence[Span]) -> Iterator[Work]:
    """The service of a request: when it was at work, and when it was kept still."""
    span = work_span(record, still)
    if span is None or record.executor is None or span[1] <= span[0]:
        return
    moving = without([span], still) if still else [span]
    for piece in moving:
        yield piece, i, record.executor, str(record.mode)
    for piece in without([span], moving):
        yield piece, i, record.executor, STILL


def _steps_away(run: RunView) -> dict[str, list[tuple[float, int]]]:
    """Node to (when, +1 as an event takes it away, -1 as that is undone); it is back when none keeps it away."""
    steps: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for event in run.events:
        if event.type in LEAVING and event.phase in ("onset", "undo"):
            steps[event.target].append((event.t_s, 1 if event.phase == "onset" else -1))
    return steps


def _tiers(testbed: TestbedConfig) -> dict[Tier, int]:
    seen = Counter(entry.tier for entry in testbed.power)
    return {tier: seen[tier] for tier in TIERS if seen[tier]}


def _cost(nodes: Mapping[str, NodeEnergy], testbed: TestbedConfig, energy_known: bool) -> float | None:
    """Price x hours of each node, and electricity where that is paid besides; None unless every node's is known."""
    prices = testbed.prices
    if prices is None:
        return None
    total, per_kwh = 0.0, None if prices.electricity is None else prices.electricity.per_kwh
    for node, price in price_by_node(prices, nodes).items():
        if price is not None:
            total += price.per_hour * nodes[node].present_s / 3600.0
        if price is None or not price.includes_energy:
            if per_kwh is None or not energy_known:
                return None
            total += per_kwh * nodes[node].total_j / JOULES_PER_KWH
    return total


@dataclass(slots=True)
class _Busy:
    """An executor with work in service."""

    modes: dict[int, str] = field(default_factory=dict)
    """Request in service to its mode, in the order in which they began."""
    each_j: float = 0.0
    """What every request in service there so far had in sum, if it had been there from the begin."""
    drawn_w: float = 0.0
    """Above idle, by its share of what its mode takes."""

    @property
    def mode(self) -> str:
        """Of the last that began: what was begun before another mode may still be in service."""
        return next(reversed(self.modes.values()))


@dataclass(slots=True)
class _Meter:
    """Integrates the power of one node over what happens there."""

    testbed: TestbedConfig
    node: str
    watts: NodeWatts
    now_s: float
    placed: Placed = field(init=False)
    above_w: dict[str, float] = field(init=False)
    """Mode to what it adds to the idle node."""
    busy: dict[str, _Busy] = field(default_factory=dict)
    still: int = 0
    """Requests in service that are kept still."""
    away: int = 0
    present_s: float = 0.0
    above_j: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MODES, 0.0))

    def __post_init__(self) -> None:
        self.placed = Placed(self.testbed, self.node)
        self.above_w = {mode: self.watts.above_idle(mode) or 0.0 for mode in MODES}

    def run(
        self,
        work: Sequence[Work],
        changes: Sequence[ExecutorRecord],
        steps: Sequence[tuple[float, int]],
        requests_j: list[float],
        end_s: float,
    ) -> None:
        """Play everything in order of time; writes what each request had into `requests_j`."""
        happenings: list[Happening] = [(change.t_s, _CHANGE, i) for i, change in enumerate(changes)]
        happenings += [(t_s, _AWAY, i) for i, (t_s, _) in enumerate(steps)]
        happenings += [(one[0][0], _START, i) for i, one in enumerate(work)]
        happenings += [(one[0][1], _END, i) for i, one in enumerate(work)]
        happenings.sort()
        for t_s, what, i in happenings:
            if t_s > self.now_s:
                self._advance(t_s)
            if what == _CHANGE:
                self.placed.change(changes[i])
                self._share()
            elif what == _AWAY:
                self.away += steps[i][1]
            elif what == _START:
                requests_j[work[i][1]] -= self._begin(work[i])
            else:
                requests_j[work[i][1]] += self._finish(work[i])
        if end_s > self.now_s:
            self._advance(end_s)

    def read(self) -> NodeEnergy:
        """What it came to."""
        idle_j = (self.watts.idle or 0.0) * self.present_s
        return NodeEnergy(self.present_s, idle_j, self.above_j["cpu"], self.above_j["gpu"])

    def _begin(self, work: Work) -> float:
        if work[3] == STILL:
            self.still += 1
            return 0.0
        executor = self.busy.setdefault(work[2], _Busy())
        before = executor.mode if executor.modes else ""
        executor.modes[work[1]] = work[3]
        if executor.mode != before:
            self._share()
        return executor.each_j

    def _finish(self, work: Work) -> float:
        if work[3] == STILL:
            self.still -= 1
            return 0.0
        executor = self.busy[work[2]]
        before = executor.mode
        del executor.modes[work[1]]
        if not executor.modes:
            del self.busy[work[2]]
        if not executor.modes or executor.mode != before:
            self._share()
        return executor.each_j

    def _share(self) -> None:
        """What each executor at work draws, from now until other ones are."""
        if self.busy:
            shares = self.placed.shares({name: own.mode for name, own in self.busy.items()})
            for name, executor in self.busy.items():
                executor.drawn_w = self.above_w[executor.mode] * shares[name]

    def _advance(self, t_s: float) -> None:
        passed_s, self.now_s = t_s - self.now_s, t_s
        if self.away <= 0 or self.busy or self.still:
            self.present_s += passed_s
        for executor in self.busy.values():
            drawn_j = executor.drawn_w * passed_s
            self.above_j[executor.mode] += drawn_j
            executor.each_j += drawn_j / len(executor.modes)
