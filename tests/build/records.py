"""Short ways to write records by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from emulation.domain.records import (
    DecisionRecord,
    EventRecord,
    ExecutorRecord,
    RequestRecord,
    RunFooter,
    RunHeader,
)
from emulation.recording import Run

_ids = count()


def header(**changes: Any) -> RunHeader:
    """Two models, 100 s horizon, deadline 100 s."""
    fields: dict[str, Any] = {
        "scenario": "toy",
        "scheme": "sect",
        "seed": 1,
        "world": "virtual",
        "reasoner": "rules",
        "lifecycle": "warm",
        "speedup": 1.0,
        "models": ("a", "b"),
        "slot_s": 10.0,
        "slots": 10,
        "epoch_slots": 5,
        "horizon_s": 100.0,
        "deadline_s": 100.0,
        "objective_weight": 0.5,
    }
    return RunHeader(**(fields | changes))


def request(arrival_s: float, latency_s: float, model: str = "a", **changes: Any) -> RequestRecord:
    """A request served by n1 in its last second unless told otherwise."""
    end_s = arrival_s + latency_s
    outcome = changes.get("outcome", "done")
    fields: dict[str, Any] = {
        "t_s": end_s,
        "request_id": f"r{next(_ids)}",
        "model": model,
        "origin": "n1",
        "prompts": 1,
        "prompt_tokens": 0,
        "output_tokens": 0,
        "attempt": 1,
        "intended_s": arrival_s,
        "sent_s": arrival_s,
        "dispatched_s": arrival_s,
        "enqueued_s": arrival_s,
        "started_s": end_s - 1.0,
        "ended_s": end_s,
        "service_s": 1.0 if outcome == "done" else None,
        "transfer_s": 0.0,
        "predicted_s": 1.0,
        "predicted_sd_s": 0.1,
        "executor": f"n1/{model}",
        "mode": "gpu",
        "outcome": outcome,
        "stutter": False,
        "counted": True,
    }
    return RequestRecord(**(fields | changes))


def served(
    start_s: float, service_s: float, node: str = "n1", model: str = "a", **changes: Any
) -> RequestRecord:
    """A request that arrives, starts at once and is served for `service_s`."""
    fields = {"started_s": start_s, "service_s": service_s, "executor": f"{node}/{model}"}
    return request(start_s, service_s, model, **(fields | changes))


def decision(t_s: float, actor: str, **changes: Any) -> DecisionRecord:
    """A decision of an actor, applied."""
    fields: dict[str, Any] = {
        "cause": "slot",
        "inputs_age_s": 0.0,
        "choice": {},
        "reason": "because",
        "reasoner": "rules",
        "landed_s": t_s,
    }
    return DecisionRecord(t_s=t_s, actor=actor, **(fields | changes))


def event(t_s: float, phase: str, index: int = 0, type: str = "slowdown", target: str = "n1") -> EventRecord:
    """An event of the plan took effect or was undone."""
    return EventRecord(t_s=t_s, event=index, type=type, target=target, phase=phase, visible=True)  # type: ignore[arg-type]


def state(t_s: float, executor: str, state: str, mode: str = "gpu") -> ExecutorRecord:
    """An executor changed."""
    return ExecutorRecord(t_s=t_s, executor=executor, state=state, mode=mode)


def footer(requests: Iterable[RequestRecord], t_s: float = 200.0) -> RunFooter:
    """The footer that agrees with these requests."""
    ends: dict[str, Counter[str]] = {}
    for record in requests:
        ends.setdefault(record.model, Counter())[record.outcome] += 1
    return RunFooter(
        t_s=t_s,
        arrived={m: sum(c.values()) for m, c in ends.items()},
        ends={m: {o: n for o, n in c.items() if o != "unfinished"} for m, c in ends.items()},
        in_system={m: c["unfinished"] for m, c in ends.items() if c["unfinished"]},
    )


def run(
    requests: Sequence[RequestRecord] = (),
    decisions: Sequence[DecisionRecord] = (),
    events: Sequence[EventRecord] = (),
    executors: Sequence[ExecutorRecord] = (),
    side: dict[int, dict[str, Any]] | None = None,
    **changes: Any,
) -> Run:
    """A whole run with a matching footer; keyword arguments change its header."""
    return Run(
        header(**changes),
        tuple(requests),
        tuple(decisions),
        tuple(events),
        tuple(executors),
        footer(requests),
        side or {},
    )
