"""What a request had to share while it was served, read from the records of its node."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

from emulation.domain.records import ExecutorRecord, RequestRecord
from emulation.metrics.view import RunView, node_of


class Neighbours:
    """Per request: for how much of its service each GPU neighbour was busy, and the CPU executors beside it."""

    def __init__(self, run: RunView, node: str) -> None:
        spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for r in run.requests:
            if r.executor and r.mode == "gpu" and r.started_s is not None and node_of(r.executor) == node:
                spans[r.executor].append((r.started_s, service_end_s(r)))
        self._busy = {executor: _Busy(sorted(own)) for executor, own in sorted(spans.items())}
        self._on_cpu = _on_cpu([e for e in run.executors if node_of(e.executor) == node])
        self._cpu_times = [t for t, _ in self._on_cpu]

    def loads(self, record: RequestRecord) -> tuple[float, ...]:
        """One number in [0, 1] per GPU executor of the node (0 for its own), then the CPU executors beside it."""
        start_s, end_s = record.started_s or 0.0, service_end_s(record)
        on_gpu = record.mode == "gpu"
        shares = [
            busy.within_s(start_s, end_s) / (end_s - start_s)
            if on_gpu and name != record.executor and end_s > start_s
            else 0.0
            for name, busy in self._busy.items()
        ]
        index = bisect_right(self._cpu_times, (start_s + end_s) / 2)
        cpu_executors = self._on_cpu[index - 1][1] if index else 1
        return (*shares, 0.0 if on_gpu else float(max(0, cpu_executors - 1)))


def service_end_s(record: RequestRecord) -> float:
    """When service ended, as far as the record tells: the time of return is not in it."""
    if record.started_s is None or record.service_s is None:
        return record.ended_s
    return min(record.ended_s, record.started_s + record.service_s)


class _Busy:
    """The stretches in which one executor, a single server, was busy."""

    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        self._starts = [a for a, _ in spans]
        self._ends = [b for _, b in spans]
        self._sums = [0.0, *accumulate(b - a for a, b in spans)]

    def within_s(self, start_s: float, end_s: float) -> float:
        return max(0.0, self._until(end_s) - self._until(start_s))

    def _until(self, t_s: float) -> float:
        index = bisect_right(self._starts, t_s)
        if not index:
            return 0.0
        return self._sums[index] - max(0.0, self._ends[index - 1] - t_s)


def _on_cpu(changes: Sequence[ExecutorRecord]) -> list[tuple[float, int]]:
    on: dict[str, bool] = {}
    steps = []
    for change in sorted(changes, key=lambda c: c.t_s):
        on[change.executor] = change.mode == "cpu" and change.state in ("ready", "starting")
        steps.append((change.t_s, sum(on.values())))
    return steps
