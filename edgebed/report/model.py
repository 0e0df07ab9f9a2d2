"""What a report is about: runs by scheme, the faults they went through, and how far two worlds agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from edgebed.report.energy_row import energy_remarks
from edgebed.report.stats import Interval, mean_interval, paired_difference
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event
from emulation.domain.slo import Slo
from emulation.metrics.evidence import fault_ledger, played_events
from emulation.metrics.fault_row import FaultRow
from emulation.metrics.pace import Laws, laws_of
from emulation.metrics.summary import Summary, summarise
from emulation.recording import Run
from workloads.accounting import Accounting

WIDEST = 0.15
"""Half width, as a share of its middle, of the widest range that still says something when a live mean lies in it."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run with its figures."""

    run: Run
    summary: Summary


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """One event of the plan in one run: did it land on its target, and was it undone?"""

    scheme: str
    seed: int
    world: str
    event: int
    type: str
    target: str
    landed: bool | None
    """None: nothing was there to be hit (`note` says why)."""
    effect: float | None
    expected: float | None
    unit: str
    recovered: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run of the comparison that counts in no mean, and why."""

    scheme: str
    seed: int
    how: Literal["missing", "cut", "failed", "unreadable"]
    why: str


@dataclass(frozen=True, slots=True)
class ParityRow:
    """One live figure against the virtual world; `low` and `high` bound what agrees."""

    scheme: str
    kind: Literal["replay", "closed-loop"]
    model: str
    live_mean_s: float | None
    virtual_mean_s: float | None
    relative_difference: float | None
    low: float | None
    high: float | None
    ok: bool | None
    """None: not distinguishable, as the range is so wide that nearly anything would lie in it; or outside of it by no
    more than chance among so many comparisons."""
    chance: float | None = None
    """Probability of a live mean at least as far off, if the two worlds are alike; None: no test of that."""

    @property
    def width(self) -> float | None:
        """Half of the range as a share of its middle: how far off a live mean may be and still agree."""
        if self.low is None or self.high is None or self.low + self.high <= 0:
            return None
        return (self.high - self.low) / (self.high + self.low)

    @property
    def verdict(self) -> str:
        """`agree`, `disagree`, `not distinguishable`, or `may be chance`."""
        blind = "may be chance" if self.outside else "not distinguishable"
        return {True: "agree", False: "disagree", None: blind}[self.ok]

    @property
    def outside(self) -> bool:
        """Whether the live mean lies outside the range."""
        if self.live_mean_s is None or self.low is None or self.high is None:
            return False
        return not self.low <= self.live_mean_s <= self.high


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Both definitions of agreement: replay of a live run's own decisions, and the closed loop."""

    rows: tuple[ParityRow, ...]

    @property
    def ok(self) -> bool | None:
        """Whether every row that can tell agrees; None if none can."""
        told = [r.ok for r in self.rows if r.ok is not None]
        return all(told) if told else None

    @property
    def said(self) -> str:
        """How many comparisons have power, how many of these agree, and how many tell nothing."""
        told = [r for r in self.rows if r.ok is not None or r.outside]
        blind, chance = len(self.rows) - len(told), sum(r.ok is None for r in told)
        text = f"two worlds: {sum(bool(r.ok) for r in told)} of {len(told)} comparisons with power agree"
        if chance:
            text += f"; {chance} outside by no more than chance among so many"
        if blind:
            text += f"; {blind} not distinguishable (a range wider than ±{WIDEST:.0%} of its mean)"
        return text


@dataclass(frozen=True, slots=True)
class Comparison:
    """Schemes on one scenario over the same seeds. `schemes` keeps the order in which tables show them."""

    scenario: str
    schemes: Mapping[str, tuple[RunResult, ...]]
    baseline: str | None = None
    """Scheme the others are compared with, seed by seed."""
    parity: ParityReport | None = None
    faults: tuple[FaultEntry, ...] | None = None
    """The fault ledger of every run; None without an event plan."""
    note: str = ""
    left_out: tuple[LeftOut, ...] = ()
    """Runs that were to be made, or were made in part, and count in no mean."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of where the records come from."""
    workload: tuple[Accounting, ...] = ()
    """What became of everything the sources read, summed over seeds; none where the runs' notes do not say."""
    laws: Laws = field(default_factory=dict)
    """Profiled laws of the testbed, for the times of tokens; none where it is not known."""

    def summaries(self, scheme: str) -> list[Summary]:
        """Figures of a scheme, one per run."""
        return [r.summary for r in self.schemes[scheme]]

    def label(self, scheme: str) -> str:
        """The name a table shows: with the reasoner in brackets where one decided, so `MA (rules)`."""
        of = self.summaries(scheme)
        thought = {s.reasoner for s in of} | {switch.reasoner for s in of for switch in s.switches}
        used = sorted(thought - {"none", ""})
        missing = [r for r in used if f"({r})" not in scheme]
        return f"{scheme} ({', '.join(missing)})" if missing else scheme

    def interval(self, scheme: str, name: str) -> Interval | None:
        """Mean and 95% interval of a figure of `Summary` over seeds."""
        return mean_interval([figure_of(s, name) for s in self.summaries(scheme)])

    def model_interval(self, scheme: str, model: str, name: str) -> Interval | None:
        """Mean and 95% interval of a figure of `ModelSummary` over seeds; None for a model it never saw."""
        found = [s.per_model[model] for s in self.summaries(scheme) if model in s.per_model]
        return mean_interval([getattr(m, name) for m in found])

    def difference(self, scheme: str, name: str) -> Interval | None:
        """Paired difference to the baseline over the seeds both ran; None without a baseline."""
        if self.baseline is None or scheme == self.baseline:
            return None
        mine, base = (
            {s.seed: figure_of(s, name) for s in self.summaries(n)} for n in (scheme, self.baseline)
        )
        return paired_difference(mine, base)

    @property
    def faults_valid(self) -> bool | None:
        """Whether no fault provably missed its target or stayed in force; None without an event plan."""
        if self.faults is None:
            return None
        return not any(r.landed is False or r.recovered is False for r in self.faults)

    @property
    def complete(self) -> bool:
        """Whether every run that was to be made is here, whole."""
        return not self.left_out and not any(r.summary.interrupted for r in self.results)

    @property
    def sound(self) -> bool:
        """Whether every check holds: nothing failed or was cut, the books balance, faults landed, worlds agree."""
        conserved = all(r.summary.conservation.ok for r in self.results)
        disagree = self.parity is not None and self.parity.ok is False
        read = all(account.adds_up for account in self.workload)
        return self.complete and conserved and read and self.faults_valid is not False and not disagree

    @property
    def results(self) -> list[RunResult]:
        """Every run, scheme by scheme."""
        return [r for results in self.schemes.values() for r in results]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that was run, ascending."""
        return tuple(sorted({r.summary.seed for r in self.results}))

    @property
    def models(self) -> tuple[str, ...]:
        """Every model of the scenario, in its order."""
        return tuple(dict.fromkeys(m for r in self.results for m in r.run.header.models))


def figure_of(summary: Summary, name: str) -> float | None:
    """A figure of a summary by name, as a number. Raises `AttributeError` for a name it does not have."""
    value = getattr(summary, name)
    return None if value is None else float(value)


def result_of(
    run: Run, testbed: TestbedConfig | None = None, slo: Mapping[str, Slo] | None = None
) -> RunResult:
    """A run with its figures; with its testbed, energy and cost and the times of tokens too."""
    return RunResult(run, summarise(run, testbed, slo))


def compare_runs(
    runs: Iterable[Run],
    events: Sequence[Event] | None = None,
    *,
    baseline: str | None = None,
    sites: Mapping[str, str] | None = None,
    parity: ParityReport | None = None,
    note: str = "",
    left_out: Sequence[LeftOut] = (),
    remarks: Sequence[str] = (),
    testbed: TestbedConfig | None = None,
    slo: Mapping[str, Slo] | None = None,
    workload: Sequence[Accounting] = (),
) -> Comparison:
    """Group runs by scheme (and by world, where a scheme ran in both) and measure all of them.

    `events` is the scenario's event plan; with it the comparison carries a fault ledger, of each run with what was
    injected into it by hand as well. `testbed` states watts and prices, without which there are no energy and no
    cost, and laws, without which there are no times of tokens; `slo` states by model what these must keep. `baseline`
    defaults to the first scheme where there are several. Raises `ValueError` for no runs, runs of different scenarios,
    or a baseline that was not run.
    """
    results = [result_of(run, testbed, slo) for run in runs]
    scenarios = sorted({r.summary.scenario for r in results})
    if len(scenarios) != 1:
        raise ValueError(f"a comparison needs runs of one scenario, not of {scenarios or 'none'}")
    by_name: dict[str, list[RunResult]] = defaultdict(list)
    for result in results:
        by_name[_key(result, results)].append(result)
    baseline = None if baseline is None else _named(baseline, by_name)
    schemes = {name: tuple(sorted(own, key=lambda r: r.summary.seed)) for name, own in by_name.items()}
    return Comparison(
        scenario=scenarios[0],
        schemes=schemes,
        baseline=baseline or (next(iter(schemes)) if len(schemes) > 1 else None),
        parity=parity,
        faults=_ledger(schemes, events, sites),
        note=note,
        left_out=tuple(left_out),
        remarks=(*remarks, *_energy_remarks(results, testbed)),
        workload=tuple(workload),
        laws={} if testbed is None else laws_of(testbed),
    )


def _energy_remarks(results: Sequence[RunResult], testbed: TestbedConfig | None) -> tuple[str, ...]:
    return () if testbed is None else energy_remarks(testbed, [r.summary.energy for r in results])


def _named(baseline: str, by_name: Mapping[str, Sequence[RunResult]]) -> str:
    """The key of a scheme, which may have been switched from. Raises `ValueError` if it was not run."""
    if baseline in by_name:
        return baseline
    began = [key for key, results in by_name.items() if results[0].summary.scheme == baseline]
    if not began:
        raise ValueError(f"baseline {baseline!r} was not run; there are {list(by_name)}")
    return began[0]


def _key(result: RunResult, results: Sequence[RunResult]) -> str:
    """Runs of one key are compared as one: those in which the same schemes decided, in one world."""
    name = result.summary.decided_by
    worlds = {r.summary.world for r in results if r.summary.decided_by == name}
    return name if len(worlds) == 1 else f"{name} [{result.summary.world}]"


def _ledger(
    schemes: Mapping[str, tuple[RunResult, ...]],
    plan: Sequence[Event] | None,
    sites: Mapping[str, str] | None,
) -> tuple[FaultEntry, ...] | None:
    """Of every run, the plan and what was injected into it by hand; None where there is neither."""
    if plan is None:
        return None
    shared = {f.name for f in fields(FaultEntry)} & {f.name for f in fields(FaultRow)}
    rows = tuple(
        FaultEntry(name, r.summary.seed, r.summary.world, **{field: getattr(row, field) for field in shared})
        for name, results in schemes.items()
        for r in results
        for row in fault_ledger(r.run, played_events(r.run, plan), sites)
    )
    return rows or None
