"""Evidence that a fault of another package landed and ended: what its own `in_force` said at its nodes."""

from __future__ import annotations

from math import isclose

from emulation.metrics.fault_row import Case, FaultRow


def outside_row(case: Case) -> FaultRow:
    """Landed: at some node the onset changed what was in force; recovered: after the undo it is what it was before.

    In the virtual world only, and only where the class says what is in force: nobody else knows what to look for.
    """
    own = [e for e in case.run.events if e.event == case.blank.event]
    told = {
        phase: {
            node: (before, after)
            for e in own
            if e.phase == phase
            for node, (before, after) in e.detail.get("in_force", {}).items()
            if before is not None and after is not None
        }
        for phase in ("onset", "undo")
    }
    onset, undo = told["onset"], told["undo"]
    if not onset:
        return case.row(note="cannot tell: its in_force is asked in virtual time only, or says nothing")
    landed = any(not isclose(before, after) for before, after in onset.values())
    back = [isclose(undo[node][1], onset[node][0]) for node in onset if node in undo]
    effect = max((after for _, after in onset.values()), key=abs)
    return case.row(landed=landed, effect=effect, recovered=all(back) if back else None)
