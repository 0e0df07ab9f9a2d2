"""Fairness over tenants: who received how much service of what they demanded, and who waited longest.

Service received is counted as in Sheng et al., "Fairness in Serving Large Language Models" (VTC, OSDI 2024): weighted
tokens, w_p per input token and w_q per output token, with their 1 and 2; and in seconds of service, which models
without tokens have too. Their bound holds between tenants that both have requests waiting. Over a whole run tenants
demand different amounts, so the index here is Jain's over received / demanded, in [0, 1] for each tenant.

What was never served has no service time. So both sides count requests by a weight that does not depend on their end:
the mean service of their model over all that it served in the run (per prompt, for models that count prompts). A
scheme that turns away a tenant's requests, or lets them expire, lowers that tenant's share; one that serves the same
share of everybody's demand is fair, however unequal the demands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emulation.domain.records import RequestRecord
from emulation.metrics.fairness import jain, jain_normalised
from emulation.metrics.view import latency_s, mean, percentile, ratio

INPUT_WEIGHT, OUTPUT_WEIGHT = 1.0, 2.0
"""w_p and w_q of VTC, as its authors evaluate it."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant, of its requests that count. Virtual seconds."""

    arrived: int
    done: int
    success_ratio: float | None
    mean_latency_s: float | None
    p95_s: float | None
    wait_mean_s: float | None
    """Of all its requests, whatever became of them: time in the system that was neither service nor transfer."""
    wait_max_s: float | None
    service_s: float
    """Received, in seconds of service of the requests that were served."""
    weighted_tokens: float
    """Received, as VTC counts: w_p input tokens + w_q output tokens of the requests that were served."""
    received_share: float | None
    """Of all service received by tenants."""
    demand_share: float | None
    """Of all that tenants demanded."""
    received_ratio: float | None
    """Received / demanded, by the weight of the requests."""


@dataclass(frozen=True, slots=True)
class TenantFigures:
    """Over all tenants of a run."""

    tenants: Mapping[str, Tenant]
    """By name, sorted."""
    jain: float | None
    """Jain's index of received / demanded, in [1/n, 1]."""
    fairness_norm: float | None
    """The same stretched to [0, 1]; None for fewer than two tenants."""
    worst_wait_s: float | None
    """The longest of the mean waits, and whose it is."""
    worst: str | None


def tenant_figures(counted: Sequence[RequestRecord]) -> TenantFigures | None:
    """Figures over the requests that count and name a tenant; None if none does."""
    own: defaultdict[str, list[RequestRecord]] = defaultdict(list)
    for record in counted:
        if record.tenant is not None:
            own[record.tenant].append(record)
    if not own:
        return None
    weights = _weights(counted)
    demanded = {t: sum(_weight(r, weights) for r in rows) for t, rows in own.items()}
    received = {t: sum(_weight(r, weights) for r in rows if r.outcome == "done") for t, rows in own.items()}
    whole = sum(demanded.values()), sum(received.values())
    tenants = {t: _tenant(own[t], demanded[t], received[t], whole) for t in sorted(own)}
    ratios = [t.received_ratio for t in tenants.values() if t.received_ratio is not None]
    raw = jain(ratios)
    waits = {t: found.wait_mean_s for t, found in tenants.items() if found.wait_mean_s is not None}
    worst = max(waits, key=lambda t: waits[t], default=None)
    return TenantFigures(
        tenants, raw, jain_normalised(raw, len(ratios)), None if worst is None else waits[worst], worst
    )


def _weights(records: Sequence[RequestRecord]) -> dict[str, float]:
    """Model to mean seconds of service per prompt of what it served; of a model that served nothing, the mean of the
    others, or 1."""
    served: defaultdict[str, list[float]] = defaultdict(list)
    for r in records:
        if r.outcome == "done" and r.service_s is not None:
            served[r.model].append(r.service_s / max(1, r.prompts))
    means = {model: sum(values) / len(values) for model, values in served.items()}
    usual = mean(means.values()) or 1.0
    return {model: means.get(model) or usual for model in dict.fromkeys(r.model for r in records)}


def _weight(record: RequestRecord, weights: Mapping[str, float]) -> float:
    return weights[record.model] * max(1, record.prompts)


def _tenant(
    records: Sequence[RequestRecord], demanded: float, received: float, whole: tuple[float, float]
) -> Tenant:
    done = [r for r in records if r.outcome == "done"]
    latencies = [v for r in done if (v := latency_s(r)) is not None]
    waits = [wait_s(r) for r in records]
    tokens = [
        INPUT_WEIGHT * (r.prompt_tokens if r.input_tokens is None else r.input_tokens)
        + OUTPUT_WEIGHT * r.output_tokens
        for r in done
    ]
    return Tenant(
        arrived=len(records),
        done=len(done),
        success_ratio=ratio(len(done), len(records)),
        mean_latency_s=mean(latencies),
        p95_s=percentile(latencies, 95),
        wait_mean_s=mean(waits),
        wait_max_s=max(waits, default=None),
        service_s=float(sum(r.service_s or 0.0 for r in done)),
        weighted_tokens=float(sum(tokens)),
        received_share=ratio(received, whole[1]),
        demand_share=ratio(demanded, whole[0]),
        received_ratio=ratio(received, demanded),
    )


def wait_s(record: RequestRecord) -> float:
    """Time in the system, up to its end, that was neither service nor transfer.

    Of one that the end of the run found in service, until that began: its line does not say for how long it was.
    """
    until_s = record.ended_s
    if record.outcome == "unfinished" and record.started_s is not None:
        until_s = record.started_s
    moved_s = record.transfer_s if record.outcome == "done" else _uplink_s(record, until_s)
    return max(0.0, until_s - record.intended_s - (record.service_s or 0.0) - moved_s)


def _uplink_s(record: RequestRecord, until_s: float) -> float:
    """What the last way to an executor took until then; no answer came back."""
    if record.dispatched_s is None:
        return 0.0
    there_s = until_s if record.enqueued_s is None else min(record.enqueued_s, until_s)
    return min(max(0.0, there_s - record.dispatched_s), record.transfer_s)
