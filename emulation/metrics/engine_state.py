"""Evidence by the state of the virtual world itself: what each step of an event changed at its nodes.

The engine asks the node before and after every step how strong the event's effect is there. So the record says how
strong it was, that it was still in force when it was undone, and that it was gone then; statistics of the requests that
happened to be served are for worlds whose state nobody can ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isclose, log
from typing import Any

from emulation.domain.events import (
    GOES_AWAY,
    Drain,
    Drift,
    Error,
    Leave,
    LinkDelay,
    LinkLoss,
    NodeKill,
    Pause,
    Ramp,
    Slowdown,
)
from emulation.domain.records import EventRecord
from emulation.domain.truth import fails
from emulation.metrics.fault_row import Case, FaultRow, ruled_out

NEUTRAL: Mapping[type, float] = {
    Slowdown: 1.0,
    Ramp: 1.0,
    Drift: 1.0,
    Pause: 0.0,
    Error: 0.0,
    Leave: 0.0,
    Drain: 0.0,
    NodeKill: 0.0,
    LinkDelay: 0.0,
    LinkLoss: 0.0,
}
"""Kind of event that a node's state tells of to what it says without it."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One step at one node."""

    phase: str
    before: float
    after: float
    wanted: float


def has_state(run_events: Sequence[EventRecord], index: int, event: Any) -> bool:
    """Whether the steps of an event say what they changed."""
    own = [e for e in run_events if e.event == index]
    return type(event) in NEUTRAL and bool(own) and all("in_force" in e.detail for e in own)


def state_row(case: Case) -> FaultRow:
    """Its row by the state of its nodes; what records say against it counts too."""
    steps = _steps(case)
    expected, shown = _expected(case, [s for s in steps if s.phase != "undo"])
    if not steps:
        return case.row(expected=expected, note="not exercised: nothing is there that it could hit")
    wrong = [s for s in steps if not isclose(s.after, s.wanted, rel_tol=1e-6, abs_tol=1e-9)]
    rises, undone = [s for s in steps if s.phase != "undo"], [s for s in steps if s.phase == "undo"]
    early = [s for s in undone if not isclose(s.before, rises[-1].wanted, rel_tol=1e-6, abs_tol=1e-9)]
    note = "it was over before its end" if early else _against(case)
    landed = not note and not any(s in wrong for s in rises)
    return case.row(
        landed=landed,
        effect=shown,
        expected=expected,
        recovered=not any(s in wrong for s in undone) if undone else None,
        note=note,
    )


def _steps(case: Case) -> list[_Step]:
    """Every step at every node that has something it could hit."""
    event, found = case.event, []
    for record in case.run.events:
        if record.event != case.blank.event:
            continue
        wanted = NEUTRAL[type(event)] if record.phase == "undo" else _wanted(event, record)
        for before, after in record.detail["in_force"].values():
            if before is not None and after is not None:
                found.append(_Step(record.phase, before, after, wanted))
    return found


def _wanted(event: Any, record: EventRecord) -> float:
    if isinstance(event, (Pause, *GOES_AWAY)):
        return 1.0
    if isinstance(event, Drift):
        return drift_factor(event)
    return float(record.detail["value"])


def drift_factor(event: Drift) -> float:
    """How many times slower a drift makes its target: the geometric mean over the coefficients."""
    return exp(sum(log(f) for f in event.factors) / len(event.factors))


def _expected(case: Case, rises: Sequence[_Step]) -> tuple[float, float | None]:
    """What should stand in the row, in the unit of its kind, and what the state showed."""
    event, (onset_s, undo_s) = case.event, case.span
    last = rises[-1] if rises else None
    if isinstance(event, GOES_AWAY):
        return 0.0, float(len(ruled_out(case)))
    if isinstance(event, Pause):
        return undo_s - onset_s, None if last is None else (undo_s - onset_s) * last.after
    times = 2.0 if isinstance(event, LinkDelay) else 1.0
    wanted = event.extra_s if isinstance(event, LinkDelay) else last.wanted if last else NEUTRAL[type(event)]
    return times * wanted, None if last is None else times * last.after


def _against(case: Case) -> str:
    """What the requests of the run say against it; empty if nothing."""
    event = case.event
    if isinstance(event, (Pause, *GOES_AWAY)):
        moved = ruled_out(case)
        return f"{len(moved)} requests began or ended inside" if moved else ""
    if isinstance(event, Error):
        began = (
            r for r in case.there() if r.attempt <= 1 and r.started_s is not None and r.outcome != "error"
        )
        inside = (r for r in began if case.inner[0] < (r.started_s or 0.0) < case.inner[1])
        leaked = sum(fails(event.rate, event.seed, case.blank.event, r.request_id, r.attempt) for r in inside)
        return f"{leaked} requests were served that had to fail" if leaked else ""
    return ""
