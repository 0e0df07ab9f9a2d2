"""The fault ledger: for each event of a plan, the evidence that it landed on its target and was undone.

From records only. `landed` is None where the run cannot tell, because nothing was there to be hit ("not
exercised"); False means that something was there and the fault did not show. A run with a False is invalid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, inf, log, sqrt
from statistics import median

from emulation.domain.events import (
    Drift,
    Error,
    Event,
    Leave,
    LinkDelay,
    Pause,
    Ramp,
    ReplicaCrash,
    Slowdown,
)
from emulation.domain.records import DecisionRecord, RequestRecord
from emulation.metrics.fault_row import FaultRow, active_in, end_s, grace_s, states_before, window_of
from emulation.metrics.service_factor import ServedSpan, Span, served_on, slowdown_factor
from emulation.metrics.stops import error_row, pause_row
from emulation.metrics.view import RunView, is_exchange, node_of, on_target


def fault_ledger(
    run: RunView, events: Sequence[Event], sites: Mapping[str, str] | None = None
) -> list[FaultRow]:
    """One row per event of the plan, in its order.

    `sites` maps nodes to sites; without it a link delay that shows on no pair of nodes cannot be told from
    one that no traffic crossed.
    """
    return [_row(run, events, index, sites) for index in range(len(events))]


def _row(run: RunView, events: Sequence[Event], index: int, sites: Mapping[str, str] | None) -> FaultRow:
    event = events[index]
    window = window_of(run, index)
    onset_s, undo_s = (None, None) if window is None else (window[0], None if window[1] == inf else window[1])
    blank = FaultRow(index, event.kind, event.target, onset_s, undo_s, None, None, None, "", None)
    if onset_s is None:
        over = end_s(run) <= event.at_s
        return replace(
            blank,
            landed=None if over else False,
            note="the run ended before it" if over else "no onset recorded",
        )
    span = (onset_s, undo_s if undo_s is not None else max(end_s(run), onset_s))
    if isinstance(event, Slowdown | Drift | Ramp):
        row = _slow_row(run, events, event, blank, span)
    elif isinstance(event, Pause):
        row = pause_row(
            run, events, event, blank, span, _clean(run, events, served_on(run, event.node, event.model))
        )
    elif isinstance(event, Error):
        row = error_row(run, events, event, blank, span)
    elif isinstance(event, Leave):
        row = _leave_row(run, event, blank, span)
    elif isinstance(event, ReplicaCrash):
        row = _crash_row(run, event, blank, span)
    elif isinstance(event, LinkDelay):
        row = _link_row(run, event, blank, span, sites)
    else:
        row = _outage_row(run, blank, span)
    if undo_s is None:
        return replace(row, recovered=None, note=_join(row.note, "still in force when the run ended"))
    return row


def _join(*notes: str) -> str:
    return "; ".join(n for n in notes if n)


# -- slowdown, ramp, drift: service time on the target, in and out of the window


def _slow_row(
    run: RunView, events: Sequence[Event], event: Slowdown | Drift | Ramp, blank: FaultRow, span: Span
) -> FaultRow:
    span, expected = _full_effect(event, span)
    blank = replace(blank, expected=expected, unit="x service time")
    here = served_on(run, event.node, event.model)
    clean = _clean(run, events, here)
    before = [s for s in clean if s.start_s < span[0]]
    after = [s for s in clean if s.start_s >= span[1]]
    during = [s for s in here if s.overlap_s(span) > 0]
    reference = before if slowdown_factor(during, before, span) is not None else after
    effect = slowdown_factor(during, reference, span)
    if effect is None:
        return replace(blank, note=_why_unmeasured(during, span))
    landed = _shows(effect, expected)
    recovered = landed if reference is after else _is_back(after, before, expected)
    note = "" if recovered is not None else "nothing comparable was served after it"
    return replace(blank, landed=landed, effect=effect, recovered=recovered, note=note)


def _full_effect(event: Slowdown | Drift | Ramp, span: Span) -> tuple[Span, float]:
    """The part of the window with most of the effect, and the factor to expect there."""
    if isinstance(event, Slowdown):
        return span, event.factor
    if isinstance(event, Drift):
        moved = [f for f in event.factors if f != 1.0] or [1.0]
        return span, exp(sum(log(f) for f in moved) / len(event.factors))
    start_s = min(span[0] + event.ramp_s, (span[0] + span[1]) / 2)
    reached = min(1.0, (start_s - span[0]) / event.ramp_s)
    return (start_s, span[1]), 1 + (event.factor - 1) * reached


def _clean(run: RunView, events: Sequence[Event], here: Sequence[ServedSpan]) -> list[ServedSpan]:
    """What was served while no event slowed or stopped its node."""
    windows = [s for i, e in enumerate(events) if here and (s := _slow_window(run, i, e, here)) is not None]
    return [s for s in here if not any(s.overlap_s(w) > 0 for w in windows)]


def _slow_window(run: RunView, index: int, event: Event, here: Sequence[ServedSpan]) -> Span | None:
    node = node_of(here[0].record.executor or "")
    if not isinstance(event, Slowdown | Drift | Ramp | Pause) or event.node != node:
        return None
    return window_of(run, index)


def _shows(effect: float, expected: float) -> bool:
    """Nearer to the expected factor than to 1, on a log scale."""
    return effect >= sqrt(expected) if expected >= 1 else effect <= sqrt(expected)


def _is_back(after: Sequence[ServedSpan], before: Sequence[ServedSpan], expected: float) -> bool | None:
    effect = slowdown_factor(after, before, (0.0, inf))
    return None if effect is None else not _shows(effect, expected)


def _why_unmeasured(during: Sequence[ServedSpan], span: Span) -> str:
    if not any(s.overlap_s(span) >= 0.5 * s.service_s for s in during):
        return "not exercised: nothing was served there in the window"
    return "not exercised: nothing comparable was served there outside the window"


# -- leave and crash: no work starts, and the executors say so


def _leave_row(run: RunView, event: Leave, blank: FaultRow, span: Span) -> FaultRow:
    inner = (span[0] + grace_s(run), span[1])
    there = [r for r in run.requests if on_target(r, event.node)]
    active = [r for r in there if active_in(r, inner)]
    changes = [e for e in run.executors if node_of(e.executor) == event.node]
    away = [e for e in changes if e.state == "away" and span[0] <= e.t_s < span[1]]
    blank = replace(blank, effect=float(len(active)), expected=0.0, unit="requests served inside")
    after = [e for e in changes if e.t_s >= span[1] and e.state != "away"]
    resumed = [r for r in there if (r.started_s or 0) >= span[1]]
    if not away:
        was_on = any(state not in ("off", "away") for state in states_before(changes, span[0]).values())
        missing = was_on or bool(active)
        note = "no executor was recorded away" if missing else "not exercised: every executor there was off"
        return replace(blank, landed=False if missing else None, recovered=None, note=note)
    return replace(blank, landed=not active, recovered=bool(after or resumed))


def _crash_row(run: RunView, event: ReplicaCrash, blank: FaultRow, span: Span) -> FaultRow:
    executor = f"{event.node}/{event.model}"
    changes = [e for e in run.executors if e.executor == executor]
    inner = (span[0] + grace_s(run), span[1])
    starts = [r for r in run.requests if r.executor == executor and active_in(r, inner)]
    blank = replace(blank, unit="s out of service", expected=span[1] - span[0])
    if states_before(changes, span[0]).get(executor, "off") in ("off", "pending", "draining", "away"):
        return replace(blank, note="not exercised: the executor was not up")
    down = any(span[0] <= e.t_s < span[1] and e.state in ("off", "pending", "starting") for e in changes)
    ready_s = next((e.t_s for e in changes if e.t_s >= span[1] and e.state == "ready"), None)
    later = next((e.state for e in changes if e.t_s >= span[1]), None)
    recovered = True if ready_s is not None else (None if later == "off" else False)
    return replace(
        blank,
        landed=down and not starts,
        effect=None if ready_s is None else ready_s - span[0],
        recovered=recovered,
        note="switched off before it was ready again" if recovered is None else "",
    )


# -- links and reasoners


def _link_row(
    run: RunView, event: LinkDelay, blank: FaultRow, span: Span, sites: Mapping[str, str] | None
) -> FaultRow:
    blank = replace(blank, unit="s per transfer", expected=2 * event.extra_s)
    rises, falls = [], []
    for pair, records in _by_pair(run).items():
        if sites is not None and {sites.get(pair[0]), sites.get(pair[1])} != {event.a, event.b}:
            continue
        inside = [r.transfer_s for r in records if span[0] <= (r.dispatched_s or 0) and r.ended_s <= span[1]]
        before = [r.transfer_s for r in records if r.ended_s <= span[0]]
        after = [r.transfer_s for r in records if (r.dispatched_s or 0) >= span[1]]
        if inside and (before or after):
            rises.append(median(inside) - median(before or after))
            falls.append(median(inside) - median(after) if after else None)
    if not rises:
        return replace(blank, note="not exercised: no request crossed the link in the window")
    best = max(range(len(rises)), key=lambda i: rises[i])
    landed = rises[best] >= event.extra_s
    if not landed and sites is None:
        return replace(blank, effect=rises[best], note="not exercised: no slower pair of nodes was seen")
    fall = falls[best]
    return replace(
        blank, landed=landed, effect=rises[best], recovered=None if fall is None else fall >= event.extra_s
    )


def _by_pair(run: RunView) -> dict[tuple[str, str], list[RequestRecord]]:
    pairs: dict[tuple[str, str], list[RequestRecord]] = defaultdict(list)
    for record in run.requests:
        if record.executor and record.outcome == "done" and node_of(record.executor) != record.origin:
            pairs[record.origin, node_of(record.executor)].append(record)
    return pairs


def _asks_a_reasoner(decision: DecisionRecord) -> bool:
    """The meta-controller's rules fail with the rest, and only its exchanges tell; elsewhere rules cannot fail."""
    if decision.actor == "meta":
        return is_exchange(decision)
    return decision.reasoner not in ("", "rules", "none") and not decision.actor.startswith("router")


def _outage_row(run: RunView, blank: FaultRow, span: Span) -> FaultRow:
    """An outage shows as agents' decisions in the window that carry a violation or were not applied."""
    asked = [d for d in run.decisions if _asks_a_reasoner(d)]
    inside = [d for d in asked if span[0] <= d.t_s < span[1]]
    after = [d for d in asked if d.t_s >= span[1]]
    if not inside:
        return replace(
            blank, unit="failed decisions", note="not exercised: no reasoner was asked in the window"
        )
    failed = [d for d in inside if d.violations or d.outcome != "applied"]
    return replace(
        blank,
        landed=len(failed) == len(inside),
        effect=float(len(failed)),
        expected=float(len(inside)),
        unit="failed decisions",
        recovered=any(not d.violations and d.outcome == "applied" for d in after) if after else None,
    )
