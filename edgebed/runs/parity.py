"""Do the two worlds agree? Both definitions, from the record of a live run.

(a) replay: the run's own arrivals and decisions through the virtual state machines give the same per-type means.
(b) closed loop: the live mean of each type lies in the 95% prediction range of virtual runs whose
controllers decide for themselves, jittered by the overhead measured live (a fraction of a second of arrival jitter
alone moves backlog-driven schemes by percents, so a single undisturbed run says nothing). A range that is wide tells
nothing about a mean that lies in it: such a row neither agrees nor disagrees. Nor does one outside of it, where so many
comparisons would have one there by chance (`family.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import hypot, sqrt
from statistics import mean, stdev

from edgebed.report.model import WIDEST, ParityReport, ParityRow
from edgebed.report.student import quantile, share_below
from edgebed.runs.family import judged
from edgebed.runs.network import crossings
from edgebed.runs.overhead import Jitter, Overhead, measured_overhead
from edgebed.runs.pool import each
from edgebed.runs.replay import replay
from edgebed.runs.virtual import simulate
from emulation.domain.events import SchemeSwitch
from emulation.domain.request_id import gateway_of, scenario_id_of
from emulation.domain.scenario import Scenario
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
RESOLUTION_S = 0.002
"""Wall seconds, as a standard deviation, below which a live mean is not known: up to a millisecond that a timer of
`epoll` is late with the end of a service, a millisecond between the clocks of two machines that NTP has set in one
network, and a millisecond of a probe of the network, of which each way is taken for half. Together 1.7 ms."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What jittered virtual runs take from a live one."""

    scheme: str
    seed: int
    overhead: Overhead
    gateways: Mapping[str, int]
    """Request id to the gateway it came to."""
    network: tuple[Crossing, ...]

    @classmethod
    def of(cls, run: Run) -> Conditions:
        """As its record says."""
        gateways = {scenario_id_of(r.request_id): gateway_of(r.request_id) for r in run.requests}
        header, network = run.header, tuple(crossings(run))
        return cls(header.scheme, header.seed, measured_overhead(run), gateways, network)


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
    pool: dict[str, list[float]] = defaultdict(list)
    means = partial(_means, as_landed(scenario, run), Conditions.of(run))
    for found in each(means, range(count)):
        for model, value in found.items():
            pool[model].append(value)
        on_run()
    live, resolution_s = type_means(run), RESOLUTION_S * run.header.speedup
    return [
        closed_loop_row(decided_by(run), model, live.get(model), pool.get(model, ()), resolution_s)
        for model in run.header.models
        if model in live or model in pool
    ]


def closed_loop_row(
    scheme: str, model: str, live_s: float | None, virtual: Sequence[float], resolution_s: float = 0.0
) -> ParityRow:
    """A live mean, known to `resolution_s` (a standard deviation, in virtual seconds), against those of virtual runs.

    By itself it disagrees if it lies outside their range, or only one world served the model. It agrees if it lies in a
    range of at most `WIDEST`; in a wider one nearly anything would, so that tells nothing.
    """
    low, high = prediction_range(virtual, resolution_s=resolution_s)
    center = mean(virtual) if virtual else None
    difference = None if center is None or live_s is None else (center - live_s) / live_s
    row = ParityRow(scheme, "closed-loop", model, live_s, center, difference, low, high, None)
    if live_s is None or center is None:
        return replace(row, ok=False)
    if low is None or high is None:
        return row
    row = replace(row, chance=chance_of(live_s, virtual, resolution_s))
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


def prediction_range(
    values: Sequence[float], level: float = LEVEL, resolution_s: float = 0.0
) -> tuple[float | None, float | None]:
    """Where one more value of the same kind falls with this probability if it is measured with that resolution:
    mean +- t sqrt(s^2 (1 + 1/n) + resolution^2)."""
    if len(values) < 2:
        return None, None
    half = quantile(0.5 + level / 2, len(values) - 1) * _spread(values, resolution_s)
    return mean(values) - half, mean(values) + half


def chance_of(value: float, values: Sequence[float], resolution_s: float = 0.0) -> float:
    """Probability that one more value of the same kind, measured with that resolution, is at least as far from their
    mean, by Student's t."""
    spread = _spread(values, resolution_s)
    off = abs(value - mean(values))
    return 2.0 * share_below(-off / spread, len(values) - 1) if spread > 0 else float(off == 0)


def _spread(values: Sequence[float], resolution_s: float) -> float:
    """Standard deviation of the difference between one more value, as it is measured, and the mean of these."""
    return hypot(stdev(values) * sqrt(1 + 1 / len(values)), resolution_s)


def type_means(run: Run) -> dict[str, float]:
    """Mean latency of the counted requests that were done, per model; models without any are left out."""
    found: dict[str, list[float]] = {model: [] for model in run.header.models}
    for r in run.requests:
        if r.counted and r.outcome == "done":
            found[r.model].append(r.ended_s - r.intended_s)
    return {model: mean(values) for model, values in found.items() if values}


def jittered(scenario: Scenario, live: Conditions, number: int) -> Run:
    """A virtual run in which everybody is as late as in a live one; each `number` is another draw."""
    jitter = Jitter(live.overhead, stream(live.seed, f"parity/{number}"))
    items = generate(scenario, live.seed).items
    sent_s = {r.id: r.arrival_s + jitter.send_s(r.arrival_s) for r, _ in items}
    items = tuple(sorted(items, key=lambda item: (sent_s[item[0].id], item[0].id)))
    sink = MemorySink()
    simulate(
        scenario, live.scheme, live.seed, sink, items, jitter.delay_s,
        sent_s=sent_s, gateway_of=live.gateways, crossings=live.network,
    )  # fmt: skip
    return sink.run()


def _means(scenario: Scenario, live: Conditions, number: int) -> dict[str, float]:
    return type_means(jittered(scenario, live, number))
