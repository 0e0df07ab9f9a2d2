"""What a run would have to do, told from its scenario before it begins: a slip of the pen must not become a hang."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from emulation.domain.events import Ramp
from emulation.domain.quantities import MOST_S
from emulation.domain.sources import (
    BurstSource,
    OutsideSource,
    PeriodicSource,
    PoissonSource,
    SessionSource,
    SlottedSource,
    TraceSource,
    WorkloadSource,
)

if TYPE_CHECKING:
    from emulation.domain.scenario import Scenario

MOST_REQUESTS = 10_000_000
"""In one run: a quarter of an hour of computing, and some ten gigabytes of records, written as they are made."""
MOST_PROMPTS = 50_000_000
MOST_CANDIDATES = 20_000_000
"""Arrivals that are drawn, of which a burst keeps a share."""
MOST_NODE_SLOTS = 5_000_000
"""Decisions of deployment agents."""
MOST_STEPS = 1_000_000
"""Of an event plan."""


def check_effort(scenario: Scenario) -> None:
    """Raise `ValueError` for a run that would take hours or all memory; it says how much, and what to lower."""
    if scenario.end_s > MOST_S:
        raise ValueError(
            f"slots x slot_s is {scenario.end_s:.3g} virtual s, more than {MOST_S:g}: lower slots, tail_slots or slot_s"
        )
    _within(
        "events", "steps", sum(e.steps for e in scenario.events if isinstance(e, Ramp)), MOST_STEPS, "steps"
    )
    slots, nodes = scenario.slots + scenario.tail_slots, len(scenario.testbed.nodes)
    _within(
        "slots", f"decisions ({slots} slots on {nodes} nodes)", slots * nodes, MOST_NODE_SLOTS,
        "slots or tail_slots, or make slot_s longer",
    )  # fmt: skip
    total = 0.0
    for i, source in enumerate(scenario.workload):
        requests, prompts, to_lower = _demand(source, scenario)
        total += requests
        where = f"workload[{i}]"
        _within(where, "requests", requests, MOST_REQUESTS, f"{to_lower}, or slots")
        _within(
            where, "prompts", requests * prompts, MOST_PROMPTS, f"prompts per request, {to_lower}, or slots"
        )
        if isinstance(source, BurstSource):
            peak = max(source.burst_rate_per_s, source.base_rate_per_s) * scenario.end_s
            _within(
                where, "arrivals to draw at the peak rate", peak, MOST_CANDIDATES, f"{to_lower}, or slots"
            )
    _within("workload", "requests of all sources", total, MOST_REQUESTS, "their rates, or slots")


def _demand(source: WorkloadSource, scenario: Scenario) -> tuple[float, float, str]:
    """Requests of a source up to the end of the run, mean prompts of each, and the field that makes them so many."""
    end_s = scenario.end_s
    if isinstance(source, SlottedSource):
        last = scenario.slots + scenario.tail_slots
        slots = min(source.until_slot or last, last) - source.from_slot
        origins = len(source.origins or scenario.testbed.nodes)
        models = len(source.models or scenario.testbed.models)
        return float(slots * origins * models), (source.k_min + source.k_max) / 2, "origins or models"
    if isinstance(source, PeriodicSource):
        return float(source.count), 1.0, "count"
    if isinstance(source, SessionSource):
        turns = sum(source.turns) / len(source.turns)
        return source.sessions_per_s * end_s * turns, 1.0, "sessions_per_s or turns"
    if isinstance(source, OutsideSource):
        return float(source.most_requests), 1.0, "most_requests"
    prompts = sum(source.prompts) / len(source.prompts)
    if isinstance(source, PoissonSource):
        return source.rate_per_s * end_s, prompts, "rate_per_s"
    if isinstance(source, BurstSource):
        period_s = source.on_s + source.off_s
        mean = (source.burst_rate_per_s * source.on_s + source.base_rate_per_s * source.off_s) / period_s
        return mean * end_s, prompts, "burst_rate_per_s or base_rate_per_s"
    if isinstance(source, TraceSource):
        rows = float("inf") if source.rows is None else float(source.rows)
        by_rate = 0.0 if source.rate_per_s is None else source.rate_per_s * end_s
        return (
            min(rows, by_rate) if by_rate else (0.0 if source.rows is None else rows),
            prompts,
            "rows or rate_per_s",
        )
    assert_never(source)


def _within(where: str, what: str, estimate: float, limit: int, to_lower: str) -> None:
    if estimate > limit:
        raise ValueError(
            f"{where}: would make {estimate:.3g} {what}, more than {limit:.0e}: lower {to_lower}"
        )
