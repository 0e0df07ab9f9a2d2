"""Evidence that a pause or an error landed on its target: what stood still, and which requests failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf

from emulation.domain.events import Error, Event, Pause
from emulation.domain.records import RequestRecord
from emulation.domain.truth import fails
from emulation.metrics.fault_row import FaultRow, active_in, end_s, grace_s, window_of
from emulation.metrics.service_factor import ServedSpan, Span, law_of, served_on
from emulation.metrics.view import RunView, on_target

SHOWS = 0.5
"""Share of the seconds with work in which it must have stood still."""


# -- pause: nothing begins or ends, although there is work


def pause_row(
    run: RunView,
    events: Sequence[Event],
    event: Pause,
    blank: FaultRow,
    span: Span,
    clean: Sequence[ServedSpan],
) -> FaultRow:
    """Seconds that work on the target stood still, against the seconds of the window in which there was some.

    Two things show it: a request in service that took longer than its law says, if the window is at least as long as
    all its work, and requests that waited although their executor was up and idle. One that was caught in service
    tells nothing if it never finished. Anything that began or ended inside speaks against it.
    """
    inner = (span[0] + grace_s(run), span[1])
    there = _on(run, event)
    moved = [r for r in there if active_in(r, inner)]
    stood_s, of_s = _caught(served_on(run, event.node, event.model), clean, span)
    idle_s = _length_s(_waiting_idle(run, event, span))
    effect, expected = stood_s + idle_s, of_s + idle_s
    blank = replace(blank, unit="s stood still", expected=expected)
    if moved:
        return replace(
            blank, landed=False, effect=effect, note=f"{len(moved)} requests began or ended inside"
        )
    if expected <= grace_s(run):
        return replace(blank, expected=None, note="not exercised: no work there that shows it")
    landed = effect >= SHOWS * expected
    later = [r for r in there if active_in(r, (span[1], inf)) or _ended_after(r, span[1])]
    if later:
        return replace(blank, landed=landed, effect=effect, recovered=True)
    still_s = _length_s(
        _without(_waiting_idle(run, event, (span[1], end_s(run))), _windows(run, events, event))
    )
    stuck = still_s > grace_s(run)
    note = "" if stuck else "nothing was there to be served after it"
    return replace(blank, landed=landed, effect=effect, recovered=False if stuck else None, note=note)


def _on(run: RunView, event: Pause | Error) -> list[RequestRecord]:
    """Requests whose last attempt was on the target."""
    return [r for r in run.requests if on_target(r, event.node, event.model)]


def _ended_after(record: RequestRecord, t_s: float) -> bool:
    return record.outcome == "done" and record.ended_s - record.transfer_s >= t_s


def _caught(here: Sequence[ServedSpan], clean: Sequence[ServedSpan], span: Span) -> tuple[float, float]:
    """How long requests that it caught in service took too long, and how much of their service was inside, seconds."""
    nominal_s = law_of(clean)
    stood_s = of_s = 0.0
    for item in here:
        by_law_s, inside_s = nominal_s(item), item.overlap_s(span)
        if item.start_s < span[0] and by_law_s is not None and inside_s >= by_law_s:
            stood_s += min(max(item.service_s - by_law_s, 0.0), inside_s)
            of_s += inside_s
    return stood_s, of_s


def _waiting_idle(run: RunView, event: Pause, span: Span) -> list[Span]:
    """Stretches of a span in which requests of the target waited while their executor was up and served nobody."""
    waits: dict[str, list[Span]] = defaultdict(list)
    for r in _on(run, event):
        if r.enqueued_s is not None and r.attempt <= 1:
            until_s = r.ended_s if r.started_s is None else r.started_s
            waits[r.executor or ""].append((max(r.enqueued_s, span[0]), min(until_s, span[1])))
    idle: list[Span] = []
    for executor, waiting in waits.items():
        busy = [
            (r.started_s, r.ended_s)
            for r in run.requests
            if r.executor == executor and r.started_s is not None
        ]
        idle += _without(_merged(waiting), busy + list(_down(run, executor)))
    return idle


def _down(run: RunView, executor: str) -> Iterator[Span]:
    """When an executor was not up. One of which nothing was recorded, or first that it went away, was up before."""
    changes = [e for e in run.executors if e.executor == executor]
    since_s = -inf if changes and changes[0].state != "away" else None
    for change in changes:
        if change.state == "ready" and since_s is not None:
            yield (since_s, change.t_s)
            since_s = None
        elif change.state != "ready" and since_s is None:
            since_s = change.t_s
    if since_s is not None:
        yield (since_s, inf)


def _windows(run: RunView, events: Sequence[Event], event: Event) -> list[Span]:
    """When the other pauses of the plan were in force."""
    others = (i for i, other in enumerate(events) if isinstance(other, Pause) and other is not event)
    return [window for i in others if (window := window_of(run, i)) is not None]


def _merged(spans: Sequence[Span]) -> list[Span]:
    """The same stretches of time, none of them twice, in order."""
    merged: list[Span] = []
    for start_s, stop_s in sorted(s for s in spans if s[1] > s[0]):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop_s))
        else:
            merged.append((start_s, stop_s))
    return merged


def _without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """What is left of some stretches of time outside others."""
    left = list(spans)
    for start_s, stop_s in taken:
        if start_s < stop_s:
            pieces = ((p, q) for a, b in left for p, q in ((a, min(b, start_s)), (max(a, stop_s), b)))
            left = [(p, q) for p, q in pieces if q > p]
    return left


def _length_s(spans: Sequence[Span]) -> float:
    return sum(b - a for a, b in spans)


# -- error: who had to fail did


def error_row(run: RunView, events: Sequence[Event], event: Error, blank: FaultRow, span: Span) -> FaultRow:
    """Share of the requests that came to be served on the target which failed, against the rate.

    Who has to fail is known beforehand: one that had to and was served speaks against it.
    """
    inner = (span[0] + grace_s(run), span[1])
    there, late_s = _on(run, event), span[1] + grace_s(run)
    due = {id(r) for r in there if fails(event.rate, event.seed, blank.event, r.request_id, r.attempt)}
    began = [r for r in there if r.attempt <= 1 and r.started_s is not None and r.outcome != "error"]
    failed = [r for r in there if r.outcome == "error" and span[0] <= r.ended_s <= late_s and id(r) in due]
    served = [r for r in began if inner[0] < (r.started_s or 0.0) < inner[1]]
    leaked = [r for r in served if id(r) in due]
    blank = replace(blank, unit="of requests failed", expected=event.rate)
    if not failed and not leaked:
        why = (
            f"none of {len(served)} requests had to fail" if served else "no request came to be served there"
        )
        return replace(blank, note=f"not exercised: {why}")
    blank = replace(blank, landed=not leaked, effect=len(failed) / (len(failed) + len(served)))
    if leaked:
        return replace(blank, note=f"{len(leaked)} requests were served that had to fail")
    others = [e for e in events if isinstance(e, Error) and e is not event and e.node == event.node]
    still = [
        r
        for r in there
        if r.outcome == "error" and r.ended_s > late_s and id(r) in due and r.started_s is None
    ]
    if still and not others:
        return replace(blank, recovered=False, note=f"{len(still)} requests failed after it")
    well = any(id(r) in due and (r.started_s or 0.0) >= span[1] for r in began)
    return replace(
        blank,
        recovered=True if well else None,
        note="" if well else "none came after it that would have failed",
    )
