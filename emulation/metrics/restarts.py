"""Evidence of a crash or a kill of one replica: its executor goes down at once, and is up again in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulation.domain.records import ExecutorRecord
from emulation.metrics.fault_row import Case, FaultRow, active_in, end_s, states_before

DOWN = ("off", "pending", "starting")
START_S = 120.0
"""A start that took longer has failed, where the run knows no other start of the model to compare it with."""


def crash_row(case: Case) -> FaultRow:
    """Seconds out of service against those of the event; the start itself comes on top."""
    executor, (onset_s, undo_s) = f"{case.event.node}/{case.event.model}", case.span
    expected = undo_s - onset_s
    changes = [e for e in case.run.executors if e.executor == executor]
    if states_before(changes, onset_s).get(executor, "off") in (*DOWN[:2], "draining", "away"):
        return case.row(expected=expected, note="not exercised: the executor was not up")
    inside = [e.state for e in changes if onset_s <= e.t_s < undo_s]
    down = any(state in DOWN for state in inside)
    if inside and inside[0] in ("draining", "away"):
        return case.row(expected=expected, note="not exercised: its node was taken away at the same time")
    starts = [r for r in case.run.requests if r.executor == executor and active_in(r, case.inner)]
    ready_s = next((e.t_s for e in changes if e.t_s >= undo_s and e.state == "ready"), None)
    return case.row(
        landed=down and not starts,
        effect=None if ready_s is None else ready_s - onset_s,
        expected=expected,
        **({"recovered": True} if ready_s is not None else _still_down(case, changes)),
    )


def _still_down(case: Case, changes: Sequence[ExecutorRecord]) -> dict[str, Any]:
    """What became of an executor that the run never saw ready again: False where it had the time to be."""
    later = [e for e in changes if e.t_s >= case.span[1]]
    last = changes[-1]
    drained = any(e.state == "draining" and e.t_s >= case.span[0] for e in changes)
    if (later and later[0].state == "off") or (drained and last.state in ("draining", "off")):
        return {"recovered": None, "note": "switched off before it was ready again"}
    if last.state == "away":
        return {"recovered": None, "note": "another event keeps it away"}
    since_s = max(last.t_s, case.span[1])
    if end_s(case.run) - since_s <= 2 * _longest_start_s(case):
        return {"recovered": None, "note": "the run ended before it could be ready again"}
    return {"recovered": False, "note": ""}


def _longest_start_s(case: Case) -> float:
    """Of any executor of the model, from its recorded starts that ended in readiness, seconds."""
    took_s, started_s = [], {}
    for change in case.run.executors:
        if not change.executor.endswith(f"/{case.event.model}"):
            continue
        if change.state == "starting":
            started_s[change.executor] = change.t_s
        elif change.state == "ready" and change.executor in started_s:
            took_s.append(change.t_s - started_s.pop(change.executor))
    return max(took_s, default=START_S)
