"""Evidence that messages between two sites were delayed or got lost: how long requests took to cross."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from emulation.domain.records import RequestRecord
from emulation.domain.truth import lost
from emulation.metrics.fault_row import Case, FaultRow
from emulation.metrics.view import node_of

UNCROSSED = "not exercised: no request crossed the link in the window"


def link_row(case: Case) -> FaultRow:
    """How much longer transfers took inside the window than outside, on the pair of nodes where it shows most."""
    event, (onset_s, undo_s) = case.event, case.span
    expected = 2 * event.extra_s
    moves: list[tuple[float, float | None]] = []
    """Per pair of nodes, how much longer transfers took inside than outside, and than after it alone."""
    for records in _crossing(case):
        inside = [r.transfer_s for r in records if onset_s <= (r.dispatched_s or 0) and r.ended_s <= undo_s]
        before = [r.transfer_s for r in records if r.ended_s <= onset_s]
        after = [r.transfer_s for r in records if (r.dispatched_s or 0) >= undo_s]
        if inside and (before or after):
            middle_s = median(inside)
            moves.append((middle_s - median(before or after), middle_s - median(after) if after else None))
    if not moves:
        return case.row(expected=expected, note=UNCROSSED)
    rise, fall = max(moves, key=lambda move: move[0])
    landed = rise >= event.extra_s
    if not landed and case.sites is None:
        note = "not exercised: no slower pair of nodes was seen"
        return case.row(expected=expected, effect=rise, note=note)
    recovered = None if fall is None else fall >= event.extra_s
    return case.row(landed=landed, effect=rise, expected=expected, recovered=recovered)


def loss_row(case: Case) -> FaultRow:
    """Share of the requests sent over the link in the window that had to be sent again, against the rate.

    Which ones is known beforehand: one whose first try was to get lost and that crossed at once speaks against it.
    """
    event, index, (onset_s, undo_s) = case.event, case.blank.event, case.span
    inside: list[bool] = []
    leaked = late = clean = 0
    for records in _crossing(case):
        at_best_s = min(r.transfer_s for r in records)
        for r in records:
            sent_s = r.dispatched_s or 0.0
            slow = r.transfer_s >= at_best_s + event.retry_s / 2
            first = lost(event, index, r.request_id, r.attempt, "up", 0, onset_s)
            if onset_s + case.grace_s < sent_s < undo_s - case.grace_s:
                inside.append(slow)
                leaked += first and not slow
            elif first and sent_s >= undo_s + case.grace_s:
                late, clean = late + slow, clean + (not slow)
    if not inside:
        return case.row(expected=event.rate, note=UNCROSSED)
    effect = sum(inside) / len(inside)
    if not any(inside) and not leaked:
        note = f"not exercised: none of {len(inside)} messages was to get lost"
        return case.row(expected=event.rate, effect=effect, note=note)
    return case.row(
        landed=not leaked,
        effect=effect,
        expected=event.rate,
        recovered=not late if late or clean else None,
        note=f"{leaked} messages arrived that were to get lost" if leaked else "",
    )


def _crossing(case: Case) -> Iterator[list[RequestRecord]]:
    """Of every pair of nodes that the link of the event joins, what was served across it.

    Where nobody says which site a node is at, that is every pair.
    """
    event, sites = case.event, case.sites
    pairs: dict[tuple[str, str], list[RequestRecord]] = defaultdict(list)
    for record in case.run.requests:
        if record.executor and record.outcome == "done" and node_of(record.executor) != record.origin:
            pairs[record.origin, node_of(record.executor)].append(record)
    for (origin, node), records in pairs.items():
        if sites is None or {sites.get(origin), sites.get(node)} == {event.a, event.b}:
            yield records
