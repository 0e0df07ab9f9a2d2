"""One run in figures.

Latencies are in virtual seconds and over served requests only, so each stands beside the success ratio; only requests
that arrived within the horizon count. All of these do: one still in the system when the run ends was not served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import NAMES_UNFINISHED, DecisionRecord, RequestRecord
from emulation.domain.request import FATES
from emulation.domain.slo import Slo
from emulation.metrics.conservation import Conservation, conservation
from emulation.metrics.energy_figures import EnergyFigures, energy_figures
from emulation.metrics.fairness import jain, jain_normalised, objective
from emulation.metrics.pace import laws_of
from emulation.metrics.serving import ServingFigures, serving_figures
from emulation.metrics.switches import Switch, switches_of
from emulation.metrics.tenants import TenantFigures, tenant_figures
from emulation.metrics.view import RunView, cut, is_exchange, last_s, latency_s, mean, percentile, ratio

CONTROL_ACTORS = ("planner", "scheduler", "deployer", "meta")
"""Actors whose decisions are control calls; the router's are not, it decides every request."""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model type: MA's T_i and rho_i (eqs. 4 and 5), and where its time went."""

    arrived: int
    done: int
    success_ratio: float | None
    mean_latency_s: float | None
    p95_s: float | None
    unfinished: int
    """Still in the system when the run ended; not served, and so part of what arrived."""
    queue_mean_s: float | None
    """All that is neither service nor transfer: waiting for a decision, a replica or its turn."""
    service_mean_s: float | None
    transfer_mean_s: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Every figure of one run. None: not measured, or undefined for this run."""

    scenario: str
    scheme: str
    seed: int
    world: str
    reasoner: str
    lifecycle: str
    speedup: float
    arrived: int
    done: int
    unfinished: int
    """Of those that arrived, still in the system when the run ended."""
    unnamed: int
    """In the system when the record closed, and in no figure: a record before version 3 does not name them."""
    ends: dict[str, int]
    """Outcome to count, counted requests only; every outcome is listed, `unfinished` last."""
    success_ratio: float | None
    mean_latency_s: float | None
    """Request-weighted mean over served requests: E3 eq. 4, and Tw of MA eq. 9 before division by tau."""
    type_mean_latency_s: float | None
    """Mean of the per-type means, over types with a success: Tu."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    goodput: float | None
    """Requests served within their deadline per second of horizon, as far as the run got."""
    goodput_prompts: float | None
    jain: float | None
    """MA eq. 6 over the types that had arrivals."""
    fairness_norm: float | None
    """MA eq. 8."""
    t_norm: float | None
    """MA eq. 9, request-weighted."""
    t_norm_type: float | None
    """MA eq. 9 read as the mean of per-type means."""
    objective: float | None
    """J of MA eq. 10 with `t_norm`; None without a deadline."""
    objective_type: float | None
    """J with `t_norm_type`."""
    stutter_rate: float | None
    """Share of dispatched requests that went to a degraded node (E3 eq. 3)."""
    reconfigurations: int
    """Executor modes changed by deployers within the horizon."""
    control_calls: dict[str, int]
    """Actor kind to decisions within the horizon; the router is not among them."""
    thinking_s: float
    """Seconds of thinking charged to all decisions within the horizon."""
    platform_overhead_s: float | None
    """Median wall seconds the platform added to a request, from stage stamps; None in the virtual world."""
    network_s: float | None
    """Median wall seconds that the network between machines took of a request, there and back, as probes measured it;
    no part of the platform's. None in the virtual world."""
    links_s: dict[str, float]
    """Node on another machine than a gateway to the median of the round trips recorded, wall seconds."""
    interrupted: bool
    conservation: Conservation
    per_model: dict[str, ModelSummary]
    tokens: int | None = None
    """Of language models, prompts and lost attempts included, over all questions of the run; None: none was asked."""
    price: float | None = None
    """Of these tokens, in the currency of the configured prices; None: no price is configured."""
    switches: tuple[Switch, ...] = ()
    """Schemes that came into force while it went on; the figures are of the whole run, whoever decided."""
    energy: EnergyFigures | None = None
    """None: the testbed is not known, or states neither watts nor prices."""
    serving: ServingFigures | None = None
    """First token, tokens after it, queue and SLO, of all and per model; None: the testbed is not known."""
    tenants: TenantFigures | None = None
    """None: no request that counts names one."""

    @property
    def decided_by(self) -> str:
        """Its schemes as one name, in the order in which they decided: `AL`, or `AL→MA`."""
        return "→".join((self.scheme, *(switch.scheme for switch in self.switches)))

    @property
    def control_calls_total(self) -> int:
        """Decisions of all control actors."""
        return sum(self.control_calls.values())

    @property
    def energy_wh(self) -> float | None:
        """Energy of the run, idle power included."""
        return None if self.energy is None else self.energy.energy_wh

    @property
    def energy_request_j(self) -> float | None:
        """Energy above idle per request served."""
        return None if self.energy is None else self.energy.energy_request_j

    @property
    def energy_request_idle_j(self) -> float | None:
        """Energy per request served, idle power included."""
        return None if self.energy is None else self.energy.energy_request_idle_j

    @property
    def cost(self) -> float | None:
        """What the run cost, in the currency of the testbed's prices."""
        return None if self.energy is None else self.energy.cost

    @property
    def slo_share(self) -> float | None:
        """Of what arrived for models that have an SLO: served, with every condition met."""
        return None if self.serving is None else self.serving.all.slo_share

    @property
    def slo_goodput(self) -> float | None:
        """Requests that met their SLO per second of horizon."""
        return None if self.serving is None else self.serving.all.slo_goodput

    @property
    def tenant_fairness(self) -> float | None:
        """Normalised Jain index over tenants of service received to service demanded."""
        return None if self.tenants is None else self.tenants.fairness_norm

    @property
    def tenant_wait_s(self) -> float | None:
        """The longest of the tenants' mean waits."""
        return None if self.tenants is None else self.tenants.worst_wait_s

    def to_json(self) -> dict[str, Any]:
        """Plain data with the field names as keys, plus `control_calls_total`."""
        return {**asdict(self), "control_calls_total": self.control_calls_total}


def summarise(
    run: RunView, testbed: TestbedConfig | None = None, slo: Mapping[str, Slo] | None = None
) -> Summary:
    """All figures of one run, from its records alone.

    Energy and cost need the watts and prices of its testbed, the times of tokens its laws. `slo`: by model.
    """
    header = run.header
    counted = [r for r in run.requests if r.counted]
    served = [r for r in counted if r.outcome == "done"]
    latencies = [r.ended_s - r.intended_s for r in served]
    per_model = _per_model(header.models, counted)
    type_means = [m.mean_latency_s for m in per_model.values() if m.mean_latency_s is not None]
    successes = [m.success_ratio for m in per_model.values() if m.success_ratio is not None]
    raw = jain(successes)
    fair = jain_normalised(raw, len(successes))
    tw, tu = mean(latencies), mean(type_means)
    in_time = [r for r in served if _in_time(r, header.deadline_s)]
    decisions = [d for d in run.decisions if d.t_s < header.horizon_s]
    span_s = min(header.horizon_s, last_s(run)) if cut(run) else header.horizon_s
    span_s -= float(run.side.get(0, {}).get("begin_s", 0.0))  # of a segment of a longer run
    return Summary(
        scenario=header.scenario,
        scheme=header.scheme,
        seed=header.seed,
        world=header.world,
        reasoner=header.reasoner,
        lifecycle=header.lifecycle,
        speedup=header.speedup,
        arrived=len(counted),
        done=len(served),
        unfinished=_unfinished(counted),
        unnamed=_unnamed(run),
        ends=_ends(counted),
        success_ratio=ratio(len(served), len(counted)),
        mean_latency_s=tw,
        type_mean_latency_s=tu,
        p50_s=percentile(latencies, 50),
        p95_s=percentile(latencies, 95),
        p99_s=percentile(latencies, 99),
        goodput=ratio(len(in_time), span_s),
        goodput_prompts=ratio(sum(r.prompts for r in in_time), span_s),
        jain=raw,
        fairness_norm=fair,
        t_norm=_over(tw, header.deadline_s),
        t_norm_type=_over(tu, header.deadline_s),
        objective=objective(_over(tw, header.deadline_s), fair, header.objective_weight),
        objective_type=objective(_over(tu, header.deadline_s), fair, header.objective_weight),
        stutter_rate=_stutter_rate(counted),
        reconfigurations=sum(d.changes for d in decisions if _kind(d) == "deployer"),
        control_calls=_control_calls(decisions),
        thinking_s=float(sum(d.thinking_s for d in decisions)),
        platform_overhead_s=percentile(platform_overheads_s(run.side), 50),
        network_s=percentile(_stated(run.side, "network_s"), 50),
        links_s=_links_s(run),
        interrupted=cut(run),
        conservation=conservation(run),
        per_model=per_model,
        tokens=_tokens(run.decisions),
        price=_price(run.decisions),
        switches=switches_of(run),
        energy=None if testbed is None else energy_figures(run, testbed),
        serving=None
        if testbed is None
        else serving_figures(counted, laws_of(testbed), slo or {}, span_s, run.side),
        tenants=tenant_figures(counted),
    )


def platform_overheads_s(side: Mapping[int, Mapping[str, Any]]) -> list[float]:
    """Wall seconds the platform added to each request, in record order.

    Read from `platform_overhead_s` of a request's side row; the virtual world has none.
    """
    return _stated(side, "platform_overhead_s")


def _stated(side: Mapping[int, Mapping[str, Any]], name: str) -> list[float]:
    """What the side rows that have it state by this name, in record order."""
    stated = (row.get(name) for _, row in sorted(side.items()))
    return [float(value) for value in stated if value is not None]


def _links_s(run: RunView) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for link in run.links:
        found.setdefault(link.node, []).append(link.rtt_s / run.header.speedup)
    return {node: median(rtts) for node, rtts in sorted(found.items())}


def _per_model(models: Sequence[str], counted: Sequence[RequestRecord]) -> dict[str, ModelSummary]:
    by_model: dict[str, list[RequestRecord]] = {m: [] for m in models}
    for record in counted:
        by_model.setdefault(record.model, []).append(record)
    return {m: _model(records) for m, records in by_model.items()}


def _model(records: Sequence[RequestRecord]) -> ModelSummary:
    latencies = [v for r in records if (v := latency_s(r)) is not None]
    served = [(r, r.service_s) for r in records if r.outcome == "done" and r.service_s is not None]
    return ModelSummary(
        arrived=len(records),
        done=len(latencies),
        success_ratio=ratio(len(latencies), len(records)),
        mean_latency_s=mean(latencies),
        p95_s=percentile(latencies, 95),
        unfinished=_unfinished(records),
        queue_mean_s=mean(max(0.0, r.ended_s - r.intended_s - s - r.transfer_s) for r, s in served),
        service_mean_s=mean(s for _, s in served),
        transfer_mean_s=mean(r.transfer_s for r, _ in served),
    )


def _ends(counted: Sequence[RequestRecord]) -> dict[str, int]:
    seen = Counter(str(r.outcome) for r in counted)
    return {str(fate): seen[fate] for fate in FATES}


def _unfinished(records: Sequence[RequestRecord]) -> int:
    return sum(r.outcome == "unfinished" for r in records)


def _unnamed(run: RunView) -> int:
    named = run.footer is None or run.header.version >= NAMES_UNFINISHED
    return 0 if named or run.footer is None else sum(run.footer.in_system.values())


def _in_time(record: RequestRecord, deadline_s: float | None) -> bool:
    slack_s = 1e-6  # a request that ends at its deadline is in time, whatever the rounding of the sum
    return deadline_s is None or record.ended_s - record.intended_s <= deadline_s + slack_s


def _over(latency: float | None, deadline_s: float | None) -> float | None:
    return None if latency is None or deadline_s is None else latency / deadline_s


def _stutter_rate(counted: Sequence[RequestRecord]) -> float | None:
    dispatched = [r for r in counted if r.dispatched_s is not None]
    return ratio(sum(r.stutter for r in dispatched), len(dispatched))


def _kind(decision: DecisionRecord) -> str:
    return decision.actor.split(":", 1)[0]


def _is_call(decision: DecisionRecord) -> bool:
    """Whether it is a control call: of the meta-controller an exchange with its reasoner, of others a decision."""
    return is_exchange(decision) == (decision.actor == "meta")


def served_of(decision: DecisionRecord) -> Mapping[str, Any] | None:
    """How a language model came to its reply, where the line is of a question to one."""
    if not is_exchange(decision):
        return None
    served = decision.choice["exchange"].get("served")
    return served if isinstance(served, Mapping) else None


def _tokens(decisions: Sequence[DecisionRecord]) -> int | None:
    asked = [d.choice["exchange"]["tokens"] for d in decisions if served_of(d) is not None]
    return sum(asked) if asked else None


def _price(decisions: Sequence[DecisionRecord]) -> float | None:
    prices = [s["price"] for d in decisions if (s := served_of(d)) is not None and s.get("price") is not None]
    return float(sum(prices)) if prices else None


def _control_calls(decisions: Sequence[DecisionRecord]) -> dict[str, int]:
    seen = Counter(_kind(d) for d in decisions if _is_call(d))
    return {actor: seen[actor] for actor in CONTROL_ACTORS}
