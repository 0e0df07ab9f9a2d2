"""One line of the fault ledger, and what every kind of evidence needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from emulation.domain.records import ExecutorRecord, RequestRecord
from emulation.metrics.service_factor import Span
from emulation.metrics.view import RunView


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One event of the plan, in one run."""

    event: int
    """Index in the event plan."""
    type: str
    target: str
    onset_s: float | None
    undo_s: float | None
    landed: bool | None
    effect: float | None
    """What was measured on the target, in `unit`."""
    expected: float | None
    unit: str
    recovered: bool | None
    note: str = ""


def window_of(run: RunView, index: int) -> Span | None:
    """When an event of the plan was in force; without end if its undo was not recorded, None if its onset was not."""
    times = {e.phase: e.t_s for e in reversed(run.events) if e.event == index}  # the first counts
    return (times["onset"], times.get("undo", inf)) if "onset" in times else None


def end_s(run: RunView) -> float:
    """When the run ended."""
    return max([r.ended_s for r in run.requests] + [run.footer.t_s if run.footer else 0.0])


def grace_s(run: RunView) -> float:
    """Virtual seconds within which a live world may still act on what it knew just before."""
    return 0.5 * run.header.speedup if run.header.world == "live" else 1e-9


def active_in(record: RequestRecord, span: Span) -> bool:
    """Whether service started in the span, or surely ended in it."""
    if record.started_s is None:
        return False
    started = record.attempt <= 1 and span[0] < record.started_s < span[1]
    finished = (
        record.outcome == "done" and span[0] < record.ended_s - record.transfer_s and record.ended_s < span[1]
    )
    return started or finished


def states_before(changes: Sequence[ExecutorRecord], before_s: float) -> dict[str, str]:
    """State of each executor just before a time, as far as any change of it was recorded."""
    states: dict[str, str] = {}
    for change in changes:
        if change.t_s < before_s:
            states[change.executor] = change.state
    return states
