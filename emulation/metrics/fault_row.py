"""One line of the fault ledger, and what every kind of evidence needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from emulation.domain.events import Drain, Drift, Event, Pause, Ramp, Slowdown
from emulation.domain.records import ExecutorRecord, RequestRecord
from emulation.metrics.service_factor import ServedSpan, Span, served_on
from emulation.metrics.view import RunView, node_of, on_target


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One event of the plan, in one run."""

    event: int
    """Index in the event plan."""
    type: str
    target: str
    onset_s: float | None = None
    undo_s: float | None = None
    landed: bool | None = None
    effect: float | None = None
    """What was measured on the target, in `unit`."""
    expected: float | None = None
    unit: str = ""
    recovered: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One event of the plan that took effect in one run: what its evidence is looked for in."""

    run: RunView
    events: Sequence[Event | None]
    """By their numbers; None: of another run, or it never began."""
    blank: FaultRow
    """Its row, without evidence."""
    span: Span
    """When it was in force, at most until the run ended."""
    sites: Mapping[str, str] | None

    @property
    def event(self) -> Any:
        """The event itself, of the kind whose evidence this is."""
        return self.events[self.blank.event]

    @property
    def grace_s(self) -> float:
        """Virtual seconds within which a live world may still act on what it knew just before."""
        return 0.5 * self.run.header.speedup if self.run.header.world == "live" else 1e-9

    @property
    def inner(self) -> Span:
        """The span without the grace after the onset."""
        return self.span[0] + self.grace_s, self.span[1]

    def row(self, **evidence: Any) -> FaultRow:
        """Its row with this evidence."""
        return replace(self.blank, **evidence)

    def there(self) -> list[RequestRecord]:
        """Requests whose last attempt was on the target."""
        model = getattr(self.event, "model", None)
        return [r for r in self.run.requests if on_target(r, self.event.node, model)]

    def changes(self) -> list[ExecutorRecord]:
        """What the executors of its node said of themselves."""
        return [e for e in self.run.executors if node_of(e.executor) == self.event.node]

    def served(self) -> tuple[list[ServedSpan], list[ServedSpan]]:
        """What was served on the target, and of that what was while no event slowed or stopped its node."""
        slowing = [
            window_of(self.run, i)
            for i, e in enumerate(self.events)
            if isinstance(e, Slowdown | Drift | Ramp | Pause) and e.node == self.event.node
        ]
        here = served_on(self.run, self.event.node, self.event.model)
        return here, [s for s in here if not any(w and s.overlap_s(w) > 0 for w in slowing)]


def window_of(run: RunView, index: int) -> Span | None:
    """When an event of the plan was in force; without end if its undo was not recorded, None if its onset was not."""
    times = {e.phase: e.t_s for e in reversed(run.events) if e.event == index}  # the first counts
    return (times["onset"], times.get("undo", inf)) if "onset" in times else None


def over_s(case: Case, kinds: tuple[type, ...]) -> float:
    """When nothing of these kinds is in force at the node of an event, from its own end on; infinity: never."""
    others = (
        window_of(case.run, i)
        for i, e in enumerate(case.events)
        if isinstance(e, kinds) and getattr(e, "node", None) == case.event.node and i != case.blank.event
    )
    found_s = case.span[1]
    for start_s, stop_s in sorted(window for window in others if window is not None):
        if start_s <= found_s < stop_s:
            found_s = stop_s
    return found_s


def end_s(run: RunView) -> float:
    """When the run ended."""
    return max([r.ended_s for r in run.requests] + [run.footer.t_s if run.footer else 0.0])


def active_in(record: RequestRecord, span: Span) -> bool:
    """Whether service started in the span, or surely ended in it."""
    if record.started_s is None:
        return False
    finished = (
        record.outcome == "done" and span[0] < record.ended_s - record.transfer_s and record.ended_s < span[1]
    )
    return began_in(record, span) or finished


def began_in(record: RequestRecord, span: Span) -> bool:
    """Whether service surely started in the span."""
    return record.attempt <= 1 and record.started_s is not None and span[0] < record.started_s < span[1]


def ruled_out(case: Case) -> list[RequestRecord]:
    """Requests that were served on the target although its event rules that out: a node that drains begins nothing, one
    that is away serves nothing."""
    event = case.event
    if not isinstance(event, Drain):
        return [r for r in case.there() if active_in(r, case.inner)]
    leaves_s = case.span[0] + (inf if event.notice_s is None else event.notice_s)
    gone = (leaves_s + case.grace_s, case.span[1])
    return [r for r in case.there() if began_in(r, case.inner) or active_in(r, gone)]


def states_before(changes: Sequence[ExecutorRecord], before_s: float) -> dict[str, str]:
    """State of each executor just before a time, as far as any change of it was recorded."""
    return {change.executor: change.state for change in changes if change.t_s < before_s}
