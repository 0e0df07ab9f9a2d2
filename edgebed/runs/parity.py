"""Do the two worlds agree? Both definitions, from the record of a live run.

(a) replay: the run's own arrivals and decisions through the virtual state machines give the same per-type means.
(b) closed loop: the live mean of each type lies in the 95% prediction range of virtual runs whose
controllers decide for themselves, jittered by the overhead measured live (a fraction of a second of arrival jitter
alone moves backlog-driven schemes by percents, so a single undisturbed run says nothing). A range that is wide tells
nothing about a mean that lies in it: such a row neither agrees nor disagrees. Nor does one outside of it, where so many
comparisons would have one there by chance (`family.py`).
"""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from statistics import mean, stdev

from numpy.random import Generator
from scipy import stats

from edgebed.report.model import WIDEST, ParityReport, ParityRow
from edgebed.runs.family import judged
from edgebed.runs.network import crossings
from edgebed.runs.pool import each
from edgebed.runs.replay import replay
from edgebed.runs.virtual import simulate
from emulation.domain.events import SchemeSwitch
from emulation.domain.records import PERSON, DecisionRecord, RunHeader
from emulation.domain.request_id import gateway_of, scenario_id_of
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slot_start_s
from emulation.engine.run import Crossing
from emulation.metrics.switches import KIND, decided_by
from emulation.recording import MemorySink, Run
from emulation.rng import stream
from workloads.generate import generate

REPLAY_TOLERANCE = 0.02
"""Largest relative difference of a per-type mean under definition (a)."""
CLOSED_LOOP_RUNS = 20
LEVEL = 0.95
"""Probability with which the mean of one type of an agreeing run lies in its range."""


NEIGHBOURS = 10
"""A jittered run draws a delay from those measured this many places before and after in time."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Delays as they were measured, in order of time: a busy spell of the machine stays a busy spell."""

    at_s: tuple[float, ...]
    delay_s: tuple[float, ...]

    def draw(self, t_s: float, rng: Generator) -> float:
        """One of the delays measured around `t_s`; 0 if none was."""
        if not self.at_s:
            return 0.0
        place = bisect(self.at_s, t_s) + int(rng.integers(-NEIGHBOURS, NEIGHBOURS + 1))
        return self.delay_s[min(max(place, 0), len(self.at_s) - 1)]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Delays:
        """Delays from (time, delay) in any order; negative ones count as 0."""
        ordered = sorted(pairs)
        return cls(tuple(t for t, _ in ordered), tuple(max(0.0, d) for _, d in ordered))


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the platform of a live run added, in virtual seconds: what jittered runs draw from."""

    send: Delays
    """Intended send time to arrival at the node, per request dispatched once."""
    decide: Mapping[str, Delays]
    """Actor to the time its decisions took to land, beyond their own thinking time; `look:<actor>`: how long after
    the boundary of a slot it looked; `gateway`: from the end of a request at its node until the gateway heard."""


def measured_overhead(run: Run) -> Overhead:
    """The overhead a record shows, from its stage timestamps."""
    lands: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for d in run.decisions:
        if d.actor not in ("router", PERSON) and d.landed_s is not None:
            looked_s = d.t_s - d.inputs_age_s
            lands[d.actor].append((d.t_s, d.landed_s - looked_s - d.thinking_s))
            begin_s = _told_s(d, run.header)
            if begin_s is not None:
                lands[f"look:{d.actor}"].append((d.t_s, looked_s - begin_s))
    heard = {side["request_id"]: side["heard_s"] for side in run.side.values() if "heard_s" in side}
    lands["gateway"] = [
        (r.ended_s, heard[r.request_id] - r.ended_s)
        for r in run.requests
        if r.outcome == "done" and r.request_id in heard
    ]
    sends = (
        (r.intended_s, r.dispatched_s - r.intended_s)
        for r in run.requests
        if r.attempt == 1 and r.dispatched_s is not None
    )
    return Overhead(Delays.of(sends), {kind: Delays.of(pairs) for kind, pairs in lands.items()})


def _told_s(decision: DecisionRecord, header: RunHeader) -> float | None:
    """When the slot or epoch began that this is the decision for, by its cause; None: nobody was late for it.

    Nobody is for the begin of the run; at the boundary of an epoch the layers below the planner wait for it, which is
    no overhead.
    """
    kind, _, number = decision.cause.partition(" ")
    slots = {"slot": 1, "epoch": header.epoch_slots}.get(kind)
    if slots is None or not number.isdecimal() or int(number) == 0:
        return None
    slot = slots * int(number)
    waited = kind == "slot" and slot % header.epoch_slots == 0
    return None if waited else slot_start_s(slot, header.slot_s)


def parity(
    runs: Iterable[Run],
    scenario: Scenario,
    count: int = CLOSED_LOOP_RUNS,
    on_run: Callable[[], None] = lambda: None,
) -> ParityReport:
    """Both definitions for every live run. `on_run` is called after each virtual run."""
    rows: list[ParityRow] = []
    for run in runs:
        rows += replay_rows(run, scenario)
        on_run()
        rows += closed_loop_rows(run, scenario, count, on_run)
    return ParityReport(judged(rows, 1 - LEVEL))


def replay_rows(run: Run, scenario: Scenario) -> list[ParityRow]:
    """Definition (a): one row per model that either world served."""
    live, virtual = type_means(run), type_means(replay(run, scenario))
    rows: list[ParityRow] = []
    for model in (m for m in run.header.models if m in live or m in virtual):
        live_s, virtual_s = live.get(model), virtual.get(model)
        low = high = difference = None
        if live_s is not None:
            low, high = live_s * (1 - REPLAY_TOLERANCE), live_s * (1 + REPLAY_TOLERANCE)
            difference = None if virtual_s is None else (virtual_s - live_s) / live_s
        ok = virtual_s is not None and low is not None and high is not None and low <= virtual_s <= high
        rows.append(ParityRow(decided_by(run), "replay", model, live_s, virtual_s, difference, low, high, ok))
    return rows


def closed_loop_rows(
    run: Run, scenario: Scenario, count: int = CLOSED_LOOP_RUNS, on_run: Callable[[], None] = lambda: None
) -> list[ParityRow]:
    """Definition (b): one row per model that either world served."""
    overhead = measured_overhead(run)
    pool: dict[str, list[float]] = defaultdict(list)
    gateways = {scenario_id_of(r.request_id): gateway_of(r.request_id) for r in run.requests}
    world, network = as_landed(scenario, run), tuple(crossings(run))
    jittered = partial(_jittered, world, run.header.scheme, run.header.seed, overhead, gateways, network)
    for means in each(jittered, range(count)):
        for model, value in means.items():
            pool[model].append(value)
        on_run()
    live = type_means(run)
    return [
        closed_loop_row(decided_by(run), model, live.get(model), pool.get(model, ()))
        for model in run.header.models
        if model in live or model in pool
    ]


def closed_loop_row(scheme: str, model: str, live_s: float | None, virtual: Sequence[float]) -> ParityRow:
    """A live mean against those of virtual runs.

    By itself it disagrees if it lies outside their range, or only one world served the model. It agrees if it lies in a
    range of at most `WIDEST`; in a wider one nearly anything would, so that tells nothing.
    """
    low, high = prediction_range(virtual)
    center = mean(virtual) if virtual else None
    difference = None if center is None or live_s is None else (center - live_s) / live_s
    row = ParityRow(scheme, "closed-loop", model, live_s, center, difference, low, high, None)
    if live_s is None or center is None:
        return replace(row, ok=False)
    if low is None or high is None:
        return row
    row = replace(row, chance=chance_of(live_s, virtual))
    if not low <= live_s <= high:
        return replace(row, ok=False)
    return replace(row, ok=True) if row.width is not None and row.width <= WIDEST else row


def as_landed(scenario: Scenario, run: Run) -> Scenario:
    """The scenario with its events at the instants at which they landed and were undone in this run, and with the
    switches of the scheme that were made by hand."""
    at = {(r.event, r.phase): r.t_s for r in reversed(run.events)}  # the first counts
    by_hand = {
        r.event: SchemeSwitch.model_validate(r.detail["spec"])
        for r in run.events
        if r.type == KIND and r.phase == "onset" and r.event >= len(scenario.events)
    }
    played = {**dict(enumerate(scenario.events)), **by_hand}
    events = tuple(
        event.model_copy(
            update={
                "at_s": at.get((number, "onset"), event.at_s),
                "until_s": at.get((number, "undo"), event.until_s),
            }
        )
        for number, event in sorted(played.items())
    )
    return scenario.model_copy(update={"events": events})


def prediction_range(values: Sequence[float], level: float = LEVEL) -> tuple[float | None, float | None]:
    """Where one more value of the same kind falls with this probability: mean +- t s sqrt(1 + 1/n)."""
    if len(values) < 2:
        return None, None
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1)) * stdev(values) * sqrt(1 + 1 / len(values))
    return mean(values) - half, mean(values) + half


def chance_of(value: float, values: Sequence[float]) -> float:
    """Probability that one more value of the same kind is at least as far from their mean, by Student's t."""
    spread = stdev(values) * sqrt(1 + 1 / len(values))
    off = abs(value - mean(values))
    return float(2 * stats.t.sf(off / spread, len(values) - 1)) if spread > 0 else float(off == 0)


def type_means(run: Run) -> dict[str, float]:
    """Mean latency of the counted requests that were done, per model; models without any are left out."""
    found: dict[str, list[float]] = {model: [] for model in run.header.models}
    for r in run.requests:
        if r.counted and r.outcome == "done":
            found[r.model].append(r.ended_s - r.intended_s)
    return {model: mean(values) for model, values in found.items() if values}


def _jittered(
    scenario: Scenario,
    scheme: str,
    seed: int,
    overhead: Overhead,
    gateways: Mapping[str, int],
    network: Sequence[Crossing],
    number: int,
) -> dict[str, float]:
    rng = stream(seed, f"parity/{number}")
    items = generate(scenario, seed).items
    sent_s = {r.id: r.arrival_s + overhead.send.draw(r.arrival_s, rng) for r, _ in items}
    items = tuple(sorted(items, key=lambda item: (sent_s[item[0].id], item[0].id)))

    def delay_s(actor: str, t_s: float) -> float:
        delays = overhead.decide.get(actor)
        return 0.0 if delays is None else delays.draw(t_s, rng)

    sink = MemorySink()
    simulate(
        scenario, scheme, seed, sink, items, delay_s, sent_s=sent_s, gateway_of=gateways, crossings=network
    )
    return type_means(sink.run())
