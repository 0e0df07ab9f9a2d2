"""The J (MA eq. 10) that a plan of the planner was to come to, and what it came to while it was in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from controller.planners.told import estimate_in
from edgebed.ui.sources.requests import Requests
from emulation.domain.records import DecisionRecord, RunHeader
from emulation.metrics.fairness import Counted, epoch_result_of

PLANNER = "planner"
_WHAT_IF = "what_if"


def promised_j(line: DecisionRecord, asked: Sequence[DecisionRecord]) -> float | None:
    """As its reason says, or as what-if answered about that very plan among the questions on the way; else None."""
    told = estimate_in(line.reason)
    if told is not None or not isinstance(line.choice, dict):
        return told
    answers = (answer for question in asked for answer in _emulated(question, line.choice))
    return next(answers, None)


def _emulated(question: DecisionRecord, plan: Mapping[str, Any]) -> list[float]:
    """The J of every emulation of this plan that one answer of a reasoner asked for."""
    exchange, results = question.choice["exchange"], question.choice.get("results")
    calls = exchange.get("calls") if isinstance(exchange, dict) else None
    if not isinstance(calls, list) or not isinstance(results, list):
        return []
    found = []
    for call, result in zip(calls, results, strict=False):
        try:
            _, name, arguments = call
            given, said = orjson.loads(arguments), orjson.loads(result)
            if name == _WHAT_IF and all(given[part] == plan[part] for part in ("p", "roles")):
                found.append(float(said["objective"]))
        except (ValueError, TypeError, KeyError):  # an answer of a language model: anything
            continue
    return found


def came_to(header: RunHeader, requests: Requests, landed_s: float, until_s: float) -> str | None:
    """J of what ended while the plan was in force, and of what ended in as much time before; None if nothing did.

    The same sums as the planner's own: of requests that ended, as what still waits has no outcome yet.
    """
    length_s = until_s - landed_s
    after, many = _j(header, requests, landed_s, until_s)
    if after is None:
        return None
    before, few = _j(header, requests, landed_s - length_s, landed_s)
    earlier = (
        "nothing ended before" if before is None else f"{before:.3f} over as long before ({few:,} requests)"
    )
    return (
        f"J {after:.3f} over the {length_s:,.0f} s it was in force ({many:,} requests that ended); {earlier}"
    )


def _j(header: RunHeader, requests: Requests, after_s: float, until_s: float) -> tuple[float | None, int]:
    rows = requests.by_end.between(after_s, until_s)
    rows = rows[requests["counted"][rows]]
    model, served = requests["model"][rows], requests["outcome"][rows] == requests.names["outcome"]["done"]
    latency = requests["ended_s"][rows] - requests["intended_s"][rows]
    counts = {
        requests.names["model"].names[code]: Counted(
            float((model == code).sum()),
            float((served & (model == code)).sum()),
            float(latency[served & (model == code)].sum()),
        )
        for code in np.unique(model).tolist()
    }
    scale_s = header.deadline_s or header.epoch_slots * header.slot_s
    result = epoch_result_of(counts, scale_s, header.objective_weight)
    return (result.objective if counts else None), len(rows)
