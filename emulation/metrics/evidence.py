"""The fault ledger: for each event of a plan, the evidence that it landed on its target and was undone.

From records only. `landed` is None where the run cannot tell: nothing was there to be hit ("not exercised"), too
little work passed to tell a fault from chance, or the run ended before it began. False means that enough was there and
the fault did not show. A run with a False is invalid.

In the virtual world the state of the nodes themselves is in the record and decides (`engine_state.py`); what is
measured here on requests is for the live one, and for what only records can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, log
from typing import Any

from pydantic import TypeAdapter

from emulation.domain.events import GOES_AWAY, Drift, Event, LlmOutage, Ramp, Slowdown
from emulation.domain.records import DecisionRecord
from emulation.metrics.engine_state import drift_factor, has_state, state_row
from emulation.metrics.fault_row import (
    Case,
    FaultRow,
    end_s,
    over_s,
    ruled_out,
    states_before,
    window_of,
)
from emulation.metrics.links import link_row, loss_row
from emulation.metrics.outside_row import outside_row
from emulation.metrics.restarts import crash_row
from emulation.metrics.service_factor import ServedSpan, Slowed, Span, slowdown_factor
from emulation.metrics.stops import error_row, pause_row
from emulation.metrics.view import RunView, is_exchange, overtaken

TOO_LITTLE = "too little work passed to tell"
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def played_events(run: RunView, plan: Sequence[Event]) -> list[Event | None]:
    """The plan, followed by what was injected by hand while the run went on, as its own record has it; None for a
    number of which it has no onset."""
    injected = {r.event: r.detail["spec"] for r in run.events if r.event >= len(plan) and "spec" in r.detail}
    later = range(len(plan), 1 + max(injected, default=-1))
    return [*plan, *(_EVENT.validate_python(injected[n]) if n in injected else None for n in later)]


def fault_ledger(
    run: RunView, events: Sequence[Event | None], sites: Mapping[str, str] | None = None
) -> list[FaultRow]:
    """One row per event of the plan, in its order; none where there is None (`played_events`).

    `sites` maps nodes to sites; without it a link delay that shows on no pair of nodes cannot be told from
    one that no traffic crossed.
    """
    return [_row(run, events, i, sites) for i, event in enumerate(events) if event is not None]


def _row(
    run: RunView, events: Sequence[Event | None], index: int, sites: Mapping[str, str] | None
) -> FaultRow:
    event: Any = events[index]
    window = window_of(run, index)
    blank = FaultRow(index, event.kind, event.target)
    if window is None:
        if end_s(run) <= event.at_s:
            return replace(blank, note="never began: the run ended before it")
        return replace(blank, landed=False, note="no onset recorded")
    (onset_s, undo_s), (unit, measure) = window, _EVIDENCE[event.kind]
    ended = undo_s < inf
    blank = replace(blank, onset_s=onset_s, undo_s=undo_s if ended else None, unit=unit)
    span = window if ended else (onset_s, max(end_s(run), onset_s))
    case = Case(run, events, blank, span, sites)
    row = state_row(case) if has_state(run.events, index, event) else measure(case)
    if ended:
        return row
    notes = filter(None, (row.note, "still in force when the run ended"))
    return replace(row, recovered=None, note="; ".join(notes))


# -- slowdown, ramp, drift: service time on the target, in and out of the window


def _slow_row(case: Case) -> FaultRow:
    span, expected = _full_effect(case.event, case.span)
    here, clean = case.served()
    before = [s for s in clean if s.start_s < span[0]]
    after = [s for s in clean if s.start_s >= span[1]]
    during = [s for s in here if s.overlap_s(span) > 0]
    found = slowdown_factor(during, before, span)
    reference = after if found is None else before
    found = found or slowdown_factor(during, after, span)
    if found is None:
        return case.row(expected=expected, note=_why_unmeasured(during, span))
    landed = _shows(found, expected)
    if landed is None:
        return case.row(
            effect=found.factor, expected=expected, note=f"{TOO_LITTLE} ({found.requests} requests)"
        )
    recovered: bool | None = landed
    note = ""
    if reference is before:
        back = slowdown_factor(after, before, (0.0, inf))
        still = None if back is None else _shows(back, expected)
        recovered = None if still is None else not still
        note = "nothing comparable was served after it" if back is None else TOO_LITTLE + " after it"
    return case.row(
        landed=landed,
        effect=found.factor,
        expected=expected,
        recovered=recovered,
        note="" if recovered is not None else note,
    )


def _full_effect(event: Slowdown | Drift | Ramp, span: Span) -> tuple[Span, float]:
    """The part of the window with most of the effect, and the factor to expect there."""
    if isinstance(event, Slowdown):
        return span, event.factor
    if isinstance(event, Drift):
        return span, drift_factor(event)
    start_s = min(span[0] + event.ramp_s, (span[0] + span[1]) / 2)
    reached = min(1.0, (start_s - span[0]) / event.ramp_s)
    return (start_s, span[1]), 1 + (event.factor - 1) * reached


def _shows(found: Slowed, expected: float) -> bool | None:
    """Nearer to the expected factor than to 1, on a log scale; None where chance could bring it to either side."""
    beyond = log(found.factor) - log(expected) / 2
    if abs(beyond) < found.doubt:
        return None
    return (beyond > 0) == (expected >= 1)


def _why_unmeasured(during: Sequence[ServedSpan], span: Span) -> str:
    served = any(s.overlap_s(span) >= 0.5 * s.service_s for s in during)
    what = "comparable was served there outside" if served else "was served there in"
    return f"not exercised: nothing {what} the window"


# -- leave: no work starts, and the executors say so


def _leave_row(case: Case) -> FaultRow:
    (onset_s, undo_s), there, changes = case.span, case.there(), case.changes()
    active = ruled_out(case)
    away = any(e.state == "away" and onset_s <= e.t_s < undo_s for e in changes)
    landed: bool | None = not active
    recovered, note = None, ""
    if away:
        back_s = over_s(case, GOES_AWAY)
        recovered = any(e.t_s >= back_s and e.state != "away" for e in changes)
        recovered = recovered or any((r.started_s or 0) >= back_s for r in there)
        if not recovered and back_s > undo_s:
            recovered, note = None, "another event keeps it away"
    elif active or any(state not in ("off", "away") for state in states_before(changes, onset_s).values()):
        landed, note = False, "no executor was recorded away"
    else:
        landed, note = None, "not exercised: every executor there was off"
    return case.row(landed=landed, effect=float(len(active)), expected=0.0, recovered=recovered, note=note)


# -- reasoners


def _asks_a_reasoner(decision: DecisionRecord) -> bool:
    """The meta-controller's rules fail with the rest, and only its exchanges tell; elsewhere rules cannot fail."""
    if decision.actor == "meta":
        return is_exchange(decision)
    return decision.reasoner not in ("", "rules", "none") and not decision.actor.startswith("router")


def _outage_row(case: Case) -> FaultRow:
    """An outage shows as agents' decisions in the window that carry a violation or were not applied."""
    failed_at = [
        (d.t_s, bool(d.violations) or d.outcome != "applied")
        for d in case.run.decisions
        if _asks_a_reasoner(d) and not overtaken(d)
    ]
    inside = [failed for t_s, failed in failed_at if case.span[0] <= t_s < case.span[1]]
    others = [
        window_of(case.run, i)
        for i, e in enumerate(case.events)
        if isinstance(e, LlmOutage) and i != case.blank.event
    ]
    after = [
        failed
        for t_s, failed in failed_at
        if t_s >= case.span[1] and not any(w and w[0] <= t_s < w[1] for w in others)
    ]
    if not inside:
        return case.row(note="not exercised: no reasoner was asked in the window")
    return case.row(
        landed=all(inside),
        effect=float(sum(inside)),
        expected=float(len(inside)),
        recovered=not all(after) if after else None,
    )


def _scheme_row(case: Case) -> FaultRow:
    """A switch shows in its record: which scheme went out, which came in, and live, which processes took it up."""
    said = next(e for e in case.run.events if e.event == case.blank.event and e.phase == "onset").detail
    if said["scheme"] == said["before"]:
        return case.row(note="not exercised: it was in force already")
    took, missing = said.get("took_up"), said.get("missing", ())
    row = case.row(landed=None if missing else said["scheme"] == case.event.to, recovered=True)
    if took is not None:
        row = replace(row, effect=float(len(took)), expected=float(len(took) + len(missing)))
    return replace(row, note=f"not taken up in time by {', '.join(missing)}") if missing else row


_EVIDENCE: Mapping[str, tuple[str, Callable[[Case], FaultRow]]] = {
    "slowdown": ("x service time", _slow_row),
    "drift": ("x service time", _slow_row),
    "ramp": ("x service time", _slow_row),
    "pause": ("s stood still", pause_row),
    "error": ("of requests failed", error_row),
    "leave": ("requests served inside", _leave_row),
    "drain": ("requests served inside", _leave_row),
    "node_kill": ("requests served inside", _leave_row),
    "replica_crash": ("s out of service", crash_row),
    "replica_kill": ("s out of service", crash_row),
    "link_delay": ("s per transfer", link_row),
    "link_loss": ("of messages lost", loss_row),
    "llm_outage": ("failed decisions", _outage_row),
    "scheme": ("processes took it up", _scheme_row),
    "outside": ("as it says itself", outside_row),
}
"""Kind of event to the unit of its effect, and to what measures it."""
