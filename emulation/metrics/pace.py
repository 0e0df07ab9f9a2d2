"""When the tokens of a served request came, by its record and the profiled law: the same in both worlds.

A record says when a request was served and how long that took; which part of it read the prompt is in no record. The
law of its testbed, s = a n_in + b n_out, says so: reading is a n_in of it, and tokens come evenly in the rest. That is
also how an emulated replica paces its streams (`serve_apps/node/waiters.py`), so the definition is that of the world
itself wherever models are emulated. Of real models it is an attribution of a measured time, not a measurement; what
their clients measured of streams stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import RequestRecord
from emulation.domain.slo import Slo
from emulation.metrics.view import in_one_go, node_of

Laws = Mapping[tuple[str, str, str], tuple[float, float]]
"""(node, model, mode) to seconds per input and per output token; models that count prompts have none."""

_SLACK = 1e-9
"""Of a condition that holds with equality, whatever the rounding of the sum."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one served request, virtual seconds. TTFT + (output tokens - 1) TPOT = end to end."""

    e2e_s: float
    """From the intended send time to delivery."""
    queue_s: float
    """All that is neither service nor transfer."""
    ttft_s: float | None = None
    """From the intended send time to the first token, which arrives like the last one: its way back is in it."""
    tpot_s: float | None = None
    """Per output token after the first; None of a single one. The gaps of one answer are all alike."""
    gaps: int = 0
    """Output tokens after the first: how many such gaps there were."""


def laws_of(testbed: TestbedConfig) -> Laws:
    """The profiled law of every token model on every node and mode."""
    found: dict[tuple[str, str, str], tuple[float, float]] = {}
    for node in testbed.nodes:
        for model in testbed.hosted(node.id):
            for mode in testbed.modes(node.id, model):
                theta = testbed.theta(node.id, model, mode)
                if theta is not None and len(theta) == 2:
                    found[node.id, model, mode] = (theta[0], theta[1])
    return found


def pace_of(record: RequestRecord, laws: Laws) -> Pace | None:
    """Pace of a request that was served; None of any other.

    Of several answers to one request each is an equal part, one after the other. The first token is None where there
    are no tokens, the law is not known, or nobody can tell the last time in service from earlier ones.
    """
    if record.outcome != "done":
        return None
    e2e_s = record.ended_s - record.intended_s
    queue_s = max(0.0, e2e_s - (record.service_s or 0.0) - record.transfer_s)
    turn_s = _turn_s(record)
    law = laws.get((node_of(record.executor or ""), record.model, record.mode or ""))
    n_out = record.output_tokens
    if turn_s is None or law is None or n_out < 1:
        return Pace(e2e_s, queue_s)
    reading = law[0] * (record.prompt_tokens if record.input_tokens is None else record.input_tokens)
    whole = reading + law[1] * n_out
    prefill = reading / whole if whole > 0 else 0.0
    answers = max(1, record.prompts)
    first = (prefill + (1.0 - prefill) * answers / n_out) / answers
    rest_s = turn_s * (1.0 - min(first, 1.0))
    gaps = n_out - 1
    return Pace(e2e_s, queue_s, e2e_s - rest_s, rest_s / gaps if gaps else None, gaps)


def _turn_s(record: RequestRecord) -> float | None:
    """Its last time in service. Records before version 3 do not say; there it is all of it, where it was in one go."""
    if record.turn_s is not None:
        return record.turn_s
    return record.service_s if in_one_go(record) else None


def meets(pace: Pace | None, slo: Slo) -> bool:
    """Whether a request was served and every condition holds. One token or none has no gap that could be too long; a
    first token that nobody can tell does not hold."""
    if pace is None or (slo.e2e_s is not None and pace.e2e_s > slo.e2e_s + _SLACK):
        return False
    if slo.ttft_s is not None and (pace.ttft_s is None or pace.ttft_s > slo.ttft_s + _SLACK):
        return False
    if slo.tpot_s is None:
        return True
    return pace.ttft_s is not None if pace.tpot_s is None else pace.tpot_s <= slo.tpot_s + _SLACK
