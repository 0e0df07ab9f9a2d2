"""Do the two worlds agree? Both definitions, from the record of a live run.

(a) replay: the run's own arrivals and decisions through the virtual state machines give the same per-type means.
(b) closed loop: the live mean lies in the 95% prediction range of virtual runs whose controllers decide for
themselves, jittered by the overhead measured live (a fraction of a second of arrival jitter alone moves
backlog-driven schemes by percents, so a single undisturbed run says nothing).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import sqrt
from multiprocessing import get_context
from statistics import mean, stdev

from scipy import stats

from edgebed.replay import replay
from edgebed.report.model import ParityReport, ParityRow
from edgebed.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.recording import MemorySink, Run
from emulation.rng import stream
from workloads.generate import generate

REPLAY_TOLERANCE = 0.02
"""Largest relative difference of a per-type mean under definition (a)."""
CLOSED_LOOP_RUNS = 20


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the platform of a live run added, in virtual seconds: the pools jittered runs draw from."""

    send_s: tuple[float, ...]
    """Intended send time to dispatch, per request dispatched once."""
    decide_s: Mapping[str, tuple[float, ...]]
    """Actor kind to the time its decisions took to land, beyond their own thinking time."""


def measured_overhead(run: Run) -> Overhead:
    """The overhead a record shows, from its stage timestamps."""
    sends = [
        max(0.0, r.dispatched_s - r.intended_s)
        for r in run.requests
        if r.attempt == 1 and r.dispatched_s is not None
    ]
    lands: dict[str, list[float]] = defaultdict(list)
    for d in run.decisions:
        if d.actor != "router" and d.landed_s is not None:
            lands[_kind(d.actor)].append(max(0.0, d.landed_s - d.t_s - d.thinking_s))
    return Overhead(tuple(sends) or (0.0,), {k: tuple(v) for k, v in lands.items()})


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
    return ParityReport(tuple(rows))


def replay_rows(run: Run, scenario: Scenario) -> list[ParityRow]:
    """Definition (a): one row per model that was served."""
    live, virtual = type_means(run), type_means(replay(run, scenario))
    rows: list[ParityRow] = []
    for model, live_s in live.items():
        virtual_s = virtual.get(model)
        difference = None if virtual_s is None else (virtual_s - live_s) / live_s
        low, high = live_s * (1 - REPLAY_TOLERANCE), live_s * (1 + REPLAY_TOLERANCE)
        ok = virtual_s is not None and low <= virtual_s <= high
        rows.append(
            ParityRow(run.header.scheme, "replay", model, live_s, virtual_s, difference, low, high, ok)
        )
    return rows


def closed_loop_rows(
    run: Run, scenario: Scenario, count: int = CLOSED_LOOP_RUNS, on_run: Callable[[], None] = lambda: None
) -> list[ParityRow]:
    """Definition (b): one row per model that was served."""
    overhead = measured_overhead(run)
    pool: dict[str, list[float]] = defaultdict(list)
    with ProcessPoolExecutor(mp_context=get_context("fork")) as workers:
        jobs = [
            workers.submit(_jittered, scenario, run.header.scheme, run.header.seed, overhead, k)
            for k in range(count)
        ]
        for job in jobs:
            for model, value in job.result().items():
                pool[model].append(value)
            on_run()
    rows: list[ParityRow] = []
    for model, live_s in type_means(run).items():
        values = pool.get(model, [])
        low, high = prediction_range(values)
        center = mean(values) if values else None
        difference = None if center is None else (center - live_s) / live_s
        ok = low is not None and high is not None and low <= live_s <= high
        rows.append(
            ParityRow(run.header.scheme, "closed-loop", model, live_s, center, difference, low, high, ok)
        )
    return rows


def prediction_range(values: Sequence[float], level: float = 0.95) -> tuple[float | None, float | None]:
    """Where one more value of the same kind falls with this probability: mean +- t s sqrt(1 + 1/n)."""
    if len(values) < 2:
        return None, None
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1)) * stdev(values) * sqrt(1 + 1 / len(values))
    return mean(values) - half, mean(values) + half


def type_means(run: Run) -> dict[str, float]:
    """Mean latency of the counted requests that were done, per model; models without any are left out."""
    found: dict[str, list[float]] = {model: [] for model in run.header.models}
    for r in run.requests:
        if r.counted and r.outcome == "done":
            found[r.model].append(r.ended_s - r.intended_s)
    return {model: mean(values) for model, values in found.items() if values}


def _jittered(
    scenario: Scenario, scheme: str, seed: int, overhead: Overhead, number: int
) -> dict[str, float]:
    rng = stream(seed, f"parity/{number}")
    items = generate(scenario, seed).items
    drawn = rng.choice(overhead.send_s, len(items))
    sent_s = {request.id: request.arrival_s + float(d) for (request, _), d in zip(items, drawn, strict=True)}
    items = tuple(sorted(items, key=lambda item: (sent_s[item[0].id], item[0].id)))

    def delay_s(actor: str) -> float:
        pool = overhead.decide_s.get(_kind(actor))
        return float(rng.choice(pool)) if pool else 0.0

    sink = MemorySink()
    simulate(scenario, scheme, seed, sink, items, delay_s, sent_s=sent_s)
    return type_means(sink.run())


def _kind(actor: str) -> str:
    return actor.partition(":")[0]
