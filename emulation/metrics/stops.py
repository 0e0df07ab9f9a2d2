"""Evidence that a pause or an error landed on its target: what stood still, and which requests failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf

from emulation.domain.events import Error, Pause
from emulation.domain.records import RequestRecord
from emulation.domain.truth import fails
from emulation.metrics.fault_row import Case, FaultRow, active_in, end_s, window_of
from emulation.metrics.occupancy import without
from emulation.metrics.service_factor import ServedSpan, Span, law_of
from emulation.metrics.view import RunView

SHOWS = 0.5
"""Share of the seconds with work in which it must have stood still."""


# -- pause: nothing begins or ends, although there is work


def pause_row(case: Case) -> FaultRow:
    """Seconds that work on the target stood still, against the seconds of the window in which there was some.

    Two things show it: a request in service that took longer than its law says, if the window is at least as long as
    all its work, and requests that waited although their executor was up and idle. One that was caught in service
    tells nothing if it never finished. Anything that began or ended inside speaks against it.
    """
    there, undo_s = case.there(), case.span[1]
    moved = [r for r in there if active_in(r, case.inner)]
    stood_s, of_s = _caught(*case.served(), case.span)
    idle_s = _length_s(_waiting_idle(case, case.span))
    effect, expected = stood_s + idle_s, of_s + idle_s
    if not moved and expected <= case.grace_s:
        return case.row(note="not exercised: no work there that shows it")
    landed, recovered, note = effect >= SHOWS * expected, None, ""
    if moved:
        landed, note = False, f"{len(moved)} requests began or ended inside"
    elif any(active_in(r, (undo_s, inf)) or _ended_after(r, undo_s) for r in there):
        recovered = True
    elif (
        _length_s(without(_waiting_idle(case, (undo_s, end_s(case.run))), _other_pauses(case))) > case.grace_s
    ):
        recovered = False
    else:
        note = "nothing was there to be served after it"
    return case.row(landed=landed, effect=effect, expected=expected, recovered=recovered, note=note)


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


def _waiting_idle(case: Case, span: Span) -> list[Span]:
    """Stretches of a span in which requests of the target waited while their executor was up and served nobody."""
    waits: dict[str, list[Span]] = defaultdict(list)
    for r in case.there():
        if r.enqueued_s is not None and r.attempt <= 1:
            until_s = r.ended_s if r.started_s is None else r.started_s
            waits[r.executor or ""].append((max(r.enqueued_s, span[0]), min(until_s, span[1])))
    idle: list[Span] = []
    for executor, waiting in waits.items():
        busy = [
            (r.started_s, r.ended_s)
            for r in case.run.requests
            if r.executor == executor and r.started_s is not None
        ]
        idle += without(_merged(waiting), busy + list(_down(case.run, executor)))
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


def _other_pauses(case: Case) -> list[Span]:
    """When the other pauses of the plan were in force."""
    others = (i for i, e in enumerate(case.events) if isinstance(e, Pause) and i != case.blank.event)
    return [window for i in others if (window := window_of(case.run, i)) is not None]


def _merged(spans: Sequence[Span]) -> list[Span]:
    """The same stretches of time, none of them twice, in order."""
    merged: list[Span] = []
    for start_s, stop_s in sorted(s for s in spans if s[1] > s[0]):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop_s))
        else:
            merged.append((start_s, stop_s))
    return merged


def _length_s(spans: Sequence[Span]) -> float:
    return sum(b - a for a, b in spans)


# -- error: who had to fail did


def error_row(case: Case) -> FaultRow:
    """Share of the requests that came to be served on the target which failed, against the rate.

    Who has to fail is known beforehand: one that had to and was served speaks against it.
    """
    event, index, there, undo_s = case.event, case.blank.event, case.there(), case.span[1]
    late_s = undo_s + case.grace_s
    due = {id(r) for r in there if fails(event.rate, event.seed, index, r.request_id, r.attempt)}
    hit = [r for r in there if r.outcome == "error" and id(r) in due]
    began = [r for r in there if r.attempt <= 1 and r.started_s is not None and r.outcome != "error"]
    failed = [r for r in hit if case.span[0] <= r.ended_s <= late_s]
    served = [r for r in began if case.inner[0] < (r.started_s or 0.0) < case.inner[1]]
    leaked = [r for r in served if id(r) in due]
    if not failed and not leaked:
        why = (
            f"none of {len(served)} requests had to fail" if served else "no request came to be served there"
        )
        return case.row(expected=event.rate, note=f"not exercised: {why}")
    others = [
        e for i, e in enumerate(case.events) if isinstance(e, Error) and i != index and e.node == event.node
    ]
    still = [r for r in hit if r.ended_s > late_s and r.started_s is None]
    recovered, note = None, "none came after it that would have failed"
    if leaked:
        note = f"{len(leaked)} requests were served that had to fail"
    elif still and not others:
        recovered, note = False, f"{len(still)} requests failed after it"
    elif any(id(r) in due and (r.started_s or 0.0) >= undo_s for r in began):
        recovered, note = True, ""
    effect = len(failed) / (len(failed) + len(served))
    return case.row(landed=not leaked, effect=effect, expected=event.rate, recovered=recovered, note=note)
