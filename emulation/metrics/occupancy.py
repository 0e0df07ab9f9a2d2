"""What was in the system over time: requests that wait, and nodes at work, as means over stretches of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from emulation.domain.records import RequestRecord
from emulation.metrics.view import RunView, node_of

Floats = NDArray[np.float64]
Span = tuple[float, float]
"""From and until, seconds."""


def waiting_series(run: RunView, edges_s: Floats) -> Floats:
    """Mean number of requests that wait between one edge and the next: (edges - 1,).

    A request waits from when it was meant to be sent until its last attempt begins to be served, or until it ends
    unserved. Raises `ValueError` for edges that do not ascend.
    """
    spans = [(r.intended_s, r.ended_s if r.started_s is None else r.started_s) for r in run.requests]
    return mean_count(spans, edges_s)


def at_work_series(run: RunView, edges_s: Floats) -> Floats:
    """Share of the nodes that serve at least one request, between one edge and the next: (edges - 1,).

    Nodes are those of every executor that the record names. Of a request served in several attempts the last one
    counts; one that a pause keeps still is not served meanwhile. Raises `ValueError` for edges that do not ascend.
    """
    nodes = {node_of(e.executor) for e in run.executors}
    by_node: dict[str, list[Span]] = defaultdict(list)
    pauses = pauses_of(run)
    for record in run.requests:
        if record.executor is not None and (span := served_span(record)) is not None:
            by_node[node_of(record.executor)] += without([span], stood_still(record, pauses))
    spans = [span for own in by_node.values() for span in merged(own)]
    return mean_count(spans, edges_s) / max(1, len(nodes | by_node.keys()))


def served_span(record: RequestRecord) -> Span | None:
    """When the last attempt at a request was in service; None if it never was."""
    if record.started_s is None:
        return None
    long_s = record.ended_s - record.started_s
    return record.started_s, record.started_s + min(
        long_s, long_s if record.service_s is None else record.service_s
    )


def pauses_of(run: RunView) -> dict[str, list[Span]]:
    """Node, or node/model, to when `pause` events kept it still: disjoint, in order.

    Without end where no line says that one was undone. One that no line says began kept nothing still, unless the
    record is a later segment of a longer one: then it began before that.
    """
    before = run.side.get(0, {}).get("begin_s") is not None
    times: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for event in run.events:
        if event.type == "pause":
            times[event.event, event.target].setdefault(event.phase, event.t_s)
    spans: dict[str, list[Span]] = defaultdict(list)
    for (_, target), found in times.items():
        if "onset" in found or before:
            spans[target].append((found.get("onset", -inf), found.get("undo", inf)))
    return {target: merged(own) for target, own in spans.items()}


def stood_still(record: RequestRecord, pauses: Mapping[str, Sequence[Span]]) -> Sequence[Span]:
    """When work of a request stood still at the executor that its line names: disjoint, in order."""
    if not pauses or record.executor is None:
        return ()
    node = node_of(record.executor)
    return merged([*pauses.get(node, ()), *pauses.get(f"{node}/{record.model}", ())])


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time covered once: disjoint spans in order."""
    found: list[Span] = []
    for start_s, end_s in sorted(spans):
        if found and start_s <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_s))
        else:
            found.append((start_s, end_s))
    return found


def without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """What is left of some stretches of time outside others."""
    left = list(spans)
    for start_s, stop_s in taken:
        if start_s < stop_s:
            pieces = ((p, q) for a, b in left for p, q in ((a, min(b, start_s)), (max(a, stop_s), b)))
            left = [(p, q) for p, q in pieces if q > p]
    return left


def mean_count(spans: Sequence[Span], edges_s: Floats) -> Floats:
    """Mean number of spans in force between one edge and the next: (edges - 1,).

    Raises `ValueError` for edges that do not ascend.
    """
    if len(edges_s) < 2 or not (np.diff(edges_s) > 0).all():
        raise ValueError(f"edges must be two or more, and ascend: {edges_s}")
    starts, ends = (np.sort(np.array([s[i] for s in spans], dtype=float)) for i in (0, 1))
    return np.diff(_elapsed(starts, edges_s) - _elapsed(ends, edges_s)) / np.diff(edges_s)


def _elapsed(instants: Floats, edges_s: Floats) -> Floats:
    """Sum over the instants of the time since each, at every edge: (edges,). `instants` ascend."""
    sums = np.concatenate([[0.0], np.cumsum(instants)])
    before = np.searchsorted(instants, edges_s)
    elapsed: Floats = before * edges_s - sums[before]
    return elapsed
