"""What the metrics read: the records of one run, by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from emulation.domain.records import (
    ENDED,
    SWITCHED,
    DecisionRecord,
    EventRecord,
    ExecutorRecord,
    LinkRecord,
    RequestRecord,
    RunFooter,
    RunHeader,
)


class RunView(Protocol):
    """The records of one run; `emulation.recording.Run` is one."""

    @property
    def header(self) -> RunHeader: ...
    @property
    def requests(self) -> Sequence[RequestRecord]: ...
    @property
    def decisions(self) -> Sequence[DecisionRecord]: ...
    @property
    def events(self) -> Sequence[EventRecord]: ...
    @property
    def executors(self) -> Sequence[ExecutorRecord]: ...
    @property
    def links(self) -> Sequence[LinkRecord]: ...
    @property
    def footer(self) -> RunFooter | None: ...
    @property
    def side(self) -> Mapping[int, Mapping[str, Any]]: ...


def latency_s(record: RequestRecord) -> float | None:
    """End-to-end seconds from the intended send time (never from dispatch); None unless it was served.

    E3 eq. 4 and MA eq. 7: queueing, initialisation, service and both transfers included.
    """
    return record.ended_s - record.intended_s if record.outcome == "done" else None


def cut(run: RunView) -> bool:
    """Whether the run was cut short: by hand, or because its record was never closed."""
    return run.footer is None or run.footer.interrupted


def last_s(run: RunView) -> float:
    """The latest time that the record of a run knows: when it ended, or was cut."""
    lines = (run.requests, run.decisions, run.events, run.executors)
    latest = [line.t_s for kind in lines for line in kind[-1:]]
    return max([*latest, 0.0 if run.footer is None else run.footer.t_s], default=0.0)


def node_of(executor: str) -> str:
    """Node of an executor id: `VM3/sd` is on `VM3`, the device `thor` is its own node."""
    return executor.split("/", 1)[0]


def on_target(record: RequestRecord, node: str, model: str | None = None) -> bool:
    """Whether the last attempt at a request was on this node, and of this model if one is given."""
    return record.executor is not None and node_of(record.executor) == node and model in (None, record.model)


def in_one_go(record: RequestRecord) -> bool:
    """Whether a request that is done was served by one executor from begin to end, and never stood still.

    Records of before version 3 do not say; there it is what took about as long from start to end as its service.
    """
    if record.turn_s is not None:
        return record.turn_s == record.service_s
    if record.started_s is None or record.service_s is None:
        return False
    at_node_s = record.ended_s - record.transfer_s - record.started_s
    return record.attempt <= 1 and at_node_s <= 1.1 * record.service_s + 0.1


def is_exchange(decision: DecisionRecord) -> bool:
    """Whether it is a question to a reasoner and its reply, not what was decided."""
    return isinstance(decision.choice, dict) and "exchange" in decision.choice


def overtaken(decision: DecisionRecord) -> bool:
    """Whether nothing was wrong with it but that its run ended, or another scheme came in, before it landed."""
    return decision.violations in ((ENDED,), (SWITCHED,))


def mean(values: Iterable[float]) -> float | None:
    """Arithmetic mean, None of nothing."""
    kept = list(values)
    return float(np.mean(kept)) if kept else None


def percentile(values: Sequence[float], q: float) -> float | None:
    """The q-th percentile (0..100, linear interpolation), None of nothing."""
    return float(np.percentile(np.asarray(values), q)) if len(values) else None


def ratio(part: float, whole: float) -> float | None:
    """part / whole, None where there is no whole."""
    return part / whole if whole else None
