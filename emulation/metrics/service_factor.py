"""How much slower an executor served than it normally does, measured from request lines alone.

Service times differ by batch size, length, mode and how many share the node, so a request is compared with
a law fitted to the requests of the same executor, model and mode (and, where enough exist, the same number
of sharers) outside every fault: s = theta . (prompts, n_in, n_out), non-negative least squares.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.optimize import nnls

from emulation.domain.records import ExecutorRecord, RequestRecord
from emulation.metrics.view import RunView, node_of

Span = tuple[float, float]
"""Start and end in virtual seconds."""

MIN_GROUP = 4
"""Requests needed to fit the law for one number of sharers."""


@dataclass(frozen=True, slots=True)
class Served:
    """One request that was served to the end: where, from when to when, and beside how many others."""

    record: RequestRecord
    start_s: float
    service_s: float
    sharers: int

    @property
    def key(self) -> tuple[str, str, str]:
        """Executor, model and mode."""
        return (self.record.executor or "", self.record.model, self.record.mode or "")

    def overlap_s(self, span: Span) -> float:
        """Seconds of service inside the span."""
        return max(0.0, min(self.start_s + self.service_s, span[1]) - max(self.start_s, span[0]))


def served_on(run: RunView, node: str, model: str | None) -> list[Served]:
    """Requests served on a node (and of one model, if given) in one go and to the end, by start of service.

    Service that was interrupted or began elsewhere is left out: its seconds cannot be placed in time.
    """
    here = [r for r in run.requests if r.executor and node_of(r.executor) == node and r.started_s is not None]
    sharers = _sharers(run, node, here)
    found = [
        Served(r, r.started_s, r.service_s, sharers(r))
        for r in here
        if r.started_s is not None and r.service_s and r.outcome == "done" and model in (None, r.model)
        if r.attempt <= 1 and r.ended_s - r.transfer_s <= r.started_s + 1.1 * r.service_s + 0.1
    ]
    return sorted(found, key=lambda s: s.start_s)


def slowdown_factor(during: Sequence[Served], reference: Sequence[Served], span: Span) -> float | None:
    """Median service time in the span over the reference's, the part served outside the span taken out.

    Only requests that spent at least half of their service in the span count. None if none did, or the
    reference has none of the same executor, model and mode.
    """
    law = _fit(reference)
    factors = []
    for item in during:
        nominal, inside = law(item), item.overlap_s(span)
        if nominal is None or inside < 0.5 * item.service_s:
            continue
        work_inside_s = nominal - (item.service_s - inside)
        if work_inside_s > 0.1 * nominal:
            factors.append(inside / work_inside_s)
    return median(factors) if factors else None


def _features(item: Served) -> tuple[float, float, float]:
    return (float(item.record.prompts), float(item.record.prompt_tokens), float(item.record.output_tokens))


def _fit(reference: Sequence[Served]) -> Callable[[Served], float | None]:
    coarse: dict[tuple[str, str, str], list[Served]] = defaultdict(list)
    fine: dict[tuple[tuple[str, str, str], int], list[Served]] = defaultdict(list)
    for item in reference:
        coarse[item.key].append(item)
        fine[item.key, item.sharers].append(item)
    theta = {key: _theta(items) for key, items in coarse.items()}
    theta_fine = {key: _theta(items) for key, items in fine.items() if len(items) >= MIN_GROUP}

    def nominal(item: Served) -> float | None:
        found = theta_fine.get((item.key, item.sharers), theta.get(item.key))
        seconds = 0.0 if found is None else float(np.dot(found, _features(item)))
        return seconds if seconds > 0 else None

    return nominal


def _theta(items: Sequence[Served]) -> tuple[float, ...]:
    """Coefficients that fit the relative error best; the single most telling feature where data are few."""
    x = np.array([_features(i) for i in items])
    s = np.array([i.service_s for i in items])
    if not x[:, 1:].any():
        return (float(np.median(s / np.maximum(x[:, 0], 1.0))), 0.0, 0.0)
    if len(items) < MIN_GROUP:
        return (
            (0.0, 0.0, float(np.median(s / np.maximum(x[:, 2], 1.0))))
            if x[:, 2].all()
            else (float(np.median(s)), 0.0, 0.0)
        )
    solution, _ = nnls(x / s[:, None], np.ones(len(s)))
    return tuple(float(c) for c in solution)


def _sharers(run: RunView, node: str, here: Sequence[RequestRecord]) -> Callable[[RequestRecord], int]:
    """Requests in service on the node's GPUs at mid-service, or pods its cores are split over."""
    gpu = [(r.started_s, _service_end(r)) for r in here if r.mode == "gpu" and r.started_s is not None]
    starts, ends = sorted(a for a, _ in gpu), sorted(b for _, b in gpu)
    pods = _cpu_pods([e for e in run.executors if node_of(e.executor) == node])
    pod_times = [t for t, _ in pods]

    def count(record: RequestRecord) -> int:
        start_s = record.started_s or 0.0
        if record.mode == "gpu":
            middle_s = (start_s + _service_end(record)) / 2
            return bisect_right(starts, middle_s) - bisect_left(ends, middle_s)
        index = bisect_right(pod_times, start_s)
        return pods[index - 1][1] if index else 1

    return count


def _service_end(record: RequestRecord) -> float:
    if record.started_s is None or record.service_s is None:
        return record.ended_s
    return min(record.ended_s, record.started_s + record.service_s)


def _cpu_pods(changes: Sequence[ExecutorRecord]) -> list[tuple[float, int]]:
    on: Mapping[str, bool] = {}
    steps = []
    for change in sorted(changes, key=lambda c: c.t_s):
        on = {**on, change.executor: change.mode == "cpu" and change.state in ("ready", "starting")}
        steps.append((change.t_s, sum(on.values())))
    return steps
