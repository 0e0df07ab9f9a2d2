"""Random heterogeneous device pools: devices from measured MLPerf results, a load that their truth can carry, events.

What no source states is decided here and named. Half of the devices serve the language model, half SDXL, requests
alternate strictly (E3). A pool is meant to be run with the seed it was drawn with: its load is a fraction of the
capacity that the mismatch drawn from that very seed leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import inf
from statistics import mean
from typing import Any, Literal, get_args

import orjson
from numpy.random import Generator

from emulation.domain.events import GOES_AWAY, Drift, Event, Pause, Slowdown
from emulation.domain.scenario import LengthKnowledge, PeriodicSource, Scenario
from emulation.rng import stream
from workloads.mismatch import world_truth

PlanKind = Literal["none", "semantic", "semantic-any", "churn", "drift"]
"""semantic: the healthy rest can carry the load; semantic-any: whatever is hit, which may overload the rest."""
PLANS: tuple[PlanKind, ...] = get_args(PlanKind)
LENGTHS = {"prompt_tokens": [128, 512, 1024], "output_tokens": [16, 32, 64]}
"""Token bins of the four-device scenarios; ours, as the paper's are not stated."""
HINTS = ("game", "video call", "low battery", "system update", "overheating")
DATA = "mlperf_edge_generative.jsonl"

CARRIED = 0.95
"""Highest load of the devices that a window of plan `semantic` leaves healthy."""
_LONGEST_OUT = 128
"""Output tokens of the slowest GPT-J queries (the benchmark's max_new_tokens)."""
_LONGEST_IN = 1024
_FIRST_SHARE = 0.1
"""Share of a GPT-J query's p99 that is the prompt's: its logs have no TTFT; the B60's Llama log has 9%."""

_WINDOWS: Mapping[PlanKind, tuple[tuple[float, float], ...]] = {
    "none": (),
    "semantic": ((0.13, 0.20), (0.30, 0.37), (0.47, 0.53), (0.63, 0.70), (0.80, 0.87)),
    "semantic-any": ((0.13, 0.20), (0.30, 0.37), (0.47, 0.53), (0.63, 0.70), (0.80, 0.87)),
    "churn": ((0.17, 0.27), (0.40, 0.50), (0.67, 0.77), (0.83, 0.88)),
    "drift": ((0.33, 0.73),),
}
"""Windows as shares of the task indices: those of the four-device plans, over 300."""


@dataclass(frozen=True, slots=True)
class Device:
    """One measured law: seconds per feature of its model."""

    name: str
    model: Literal["llm", "sdxl"]
    theta: tuple[float, ...]
    source: str


@cache
def measured(others_only: bool = True) -> tuple[Device, ...]:
    """Every single-stream law in the packaged file; with `others_only` without the paper's own four devices.

    Language model: a = p99 time to first token / 1024, b = p99 time per output token, where the log has them; a
    GPT-J log has only whole queries, of which the p99 is read as 1024 tokens in and 128 out. SDXL: p99 of one image.
    Results of automated test runs are left out.
    """
    text = files("workloads").joinpath("data", DATA).read_text(encoding="utf-8")
    rows = [orjson.loads(line) for line in text.splitlines()]
    found = [device_of(r) for r in rows if r["scenario"] == "SingleStream" and r["official_round_result"]]
    own = {"1416.993311", "330.726636", "7480.829418", "9967.749205"}
    return tuple(
        d for d in found if d is not None and not (others_only and d.source.rsplit(" ", 1)[-1] in own)
    )


def device_of(row: dict[str, Any]) -> Device | None:
    """The law of one result, as `measured` says; None where it does not state enough."""
    name = f"{row['accelerator']} ({row['round']})"
    note = f"MLPerf Inference {row['round']} {row['division']}, {row['system']}, {row['benchmark']}, p99 ms:"
    if row["benchmark"] == "stable-diffusion-xl" and row.get("latency_ms_p99"):
        return Device(name, "sdxl", (row["latency_ms_p99"] / 1e3,), f"{note} {row['latency_ms_p99']}")
    if row.get("ttft_ms_p99") and row.get("tpot_ms_p99"):
        a, b = row["ttft_ms_p99"] / _LONGEST_IN, row["tpot_ms_p99"]
        return Device(name, "llm", (a / 1e3, b / 1e3), f"{note} TPOT {b} TTFT {row['ttft_ms_p99']}")
    if row["benchmark"].startswith("gptj") and row.get("latency_ms_p99"):
        whole = row["latency_ms_p99"]
        a, b = _FIRST_SHARE * whole / _LONGEST_IN, (1 - _FIRST_SHARE) * whole / _LONGEST_OUT
        return Device(name, "llm", (a / 1e3, b / 1e3), f"{note} {whole}")
    return None


def random_pool(
    seed: int,
    devices: int = 4,
    sigma: float = 0.5,
    cv: float = 0.1,
    load: float = 0.6,
    plan: PlanKind = "none",
    tasks: int | None = None,
    knowledge: LengthKnowledge = "exact",
    controllers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Scenario:
    """A pool of 4 to 64 devices, to be run with this seed.

    `sigma`: log-normal mismatch per coefficient. `cv`: of service times. `load`: arrival rate over the true capacity
    of the type that is closest to it, events aside. `tasks`: default 75 a device with 4, at least 40 with more.
    Raises `ValueError` if `devices` is odd or out of range, or `load` is not positive.
    """
    if devices % 2 or not 4 <= devices <= 64:
        raise ValueError(f"devices must be even and from 4 to 64, not {devices}")
    if not load > 0:
        raise ValueError(f"load must be > 0, not {load:g}")
    count = tasks or max(300, 40 * devices)
    raw: dict[str, Any] = {
        "name": f"pool-{plan}-{devices}-{seed}",
        "note": f"{devices} devices, sigma {sigma:g}, cv {cv:g}, load {load:g} of the true capacity, seed {seed}.",
        "testbed": _testbed(seed, devices),
        "deadline_s": None,
        "service_cv": cv,
        "mismatch_sigma": sigma,
        "length_knowledge": knowledge,
        "controllers": controllers or {},
    }
    rates = true_rates(Scenario.model_validate(_timed(raw, 1.0, count)), seed)
    interval_s = 1.0 / (load * capacity_per_s(rates))
    raw["events"] = _events(plan, rates, count, interval_s, stream(seed, f"pool/{plan}"))
    return Scenario.model_validate(_timed(raw, interval_s, count))


Rates = Mapping[str, Mapping[str, float]]
"""Model to node to requests per second it serves at the truth, on the mean request of the token bins."""


def true_rates(scenario: Scenario, seed: int) -> Rates:
    """What each device can serve under the mismatch of this seed, without events."""
    truth, testbed = world_truth(scenario, seed), scenario.testbed
    tokens = (mean(LENGTHS["prompt_tokens"]), mean(LENGTHS["output_tokens"]))

    def rate(node: str, model: str, x: tuple[float, ...]) -> float:
        theta, ratios = testbed.theta(node, model, "gpu") or (), truth.ratios(node, model, "gpu")
        return 1.0 / sum(c * r * v for c, r, v in zip(theta, ratios, x, strict=False))

    return {
        m.id: {n: rate(n, m.id, tokens if m.features == "tokens" else (1.0,)) for n in testbed.hosts(m.id)}
        for m in testbed.models
    }


def capacity_per_s(rates: Rates) -> float:
    """Arrivals per second, all types in strict alternation, that saturate the first type."""
    return min(sum(of.values()) for of in rates.values()) * len(rates)


def peak_load(scenario: Scenario, seed: int, avoiding: bool = False) -> float:
    """Highest true load of any type at any time, events included; above 1 that queue grows without bound.

    `avoiding`: devices in a stuttering state are not used at all.
    """
    rates, source = true_rates(scenario, seed), scenario.workload[0]
    assert isinstance(source, PeriodicSource)
    per_type = 1.0 / source.interval_s / len(rates)
    worst = 0.0
    for t_s in (0.0, *(e.at_s for e in scenario.events), *(e.until_s for e in scenario.events)):
        for of in rates.values():
            served = sum(r / _slower(scenario.events, node, t_s, avoiding) for node, r in of.items())
            worst = max(worst, per_type / served if served > 0 else inf)
    return worst


def _slower(events: Sequence[Event], node: str, t_s: float, avoiding: bool) -> float:
    """How many times slower a node is at a time; infinite where it is away, paused or avoided."""
    slower = 1.0
    for event in events:
        if getattr(event, "node", None) != node or not event.at_s <= t_s < event.until_s:
            continue
        if isinstance(event, (*GOES_AWAY, Pause)) or (
            avoiding and isinstance(event, Slowdown) and event.stutter
        ):
            return inf
        if isinstance(event, Slowdown):
            slower *= event.factor
        elif isinstance(event, Drift):
            slower *= mean(event.factors)
    return slower


def _testbed(seed: int, devices: int) -> dict[str, Any]:
    """So many devices, drawn from the measured ones: half of them for each model."""
    draws = stream(seed, "pool/devices")
    nodes, profile = [], []
    for model, prefix in (("llm", "LLM"), ("sdxl", "SD")):
        choice = [d for d in measured() if d.model == model]
        for i in range(devices // 2):
            device, node = choice[int(draws.integers(len(choice)))], f"{prefix}#{i}"
            nodes.append({"id": node, "hosting": "device", "models": [model], "gpus": [{"sharing": "none"}]})
            law = {"theta": device.theta, "source": device.source}
            profile.append({"model": model, "node": node, "mode": "gpu", **law})
    models = [
        {"id": "llm", "modality": "text", "features": "tokens", "modes": ["gpu"]},
        {"id": "sdxl", "modality": "image", "features": "prompts", "modes": ["gpu"]},
    ]
    return {"name": f"pool-{devices}-{seed}", "models": models, "nodes": nodes, "profile": profile}


def _timed(raw: dict[str, Any], interval_s: float, count: int) -> dict[str, Any]:
    source = {"kind": "periodic", "interval_s": interval_s, "count": count, "models": ["llm", "sdxl"]}
    slots = {"slot_s": interval_s * count / 30, "slots": 31, "epoch_slots": 10}
    return {**raw, "workload": [{**source, "lengths": LENGTHS}], **slots}


def _events(
    plan: PlanKind, rates: Rates, count: int, interval_s: float, rng: Generator
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, (first, last) in enumerate(_WINDOWS[plan]):
        jitter = 0.03 * float(rng.random())
        begin, end = round((first + jitter) * count), round((last + jitter) * count)
        # A little before the task of that index arrives, as an event and an arrival may not meet.
        window = {"at_s": (begin - 0.01) * interval_s, "until_s": (end - 0.01) * interval_s}
        per_type = 1.0 / interval_s / len(rates)
        for node in _hit(rates, rng, per_type / CARRIED if plan == "semantic" else 0.0):
            factor = round(float(rng.uniform(2.0, 4.0)), 2)
            kind: dict[str, Any] = {"kind": "slowdown", "factor": factor, "hint": HINTS[number % len(HINTS)]}
            if plan == "churn":
                kind = {"kind": "leave", "in_flight": "requeue"}
            elif plan == "drift":
                kind = {"kind": "drift", "factors": [factor]}
            events.append({**kind, "node": node, **window})
    return events


def _hit(rates: Rates, rng: Generator, needed_per_s: float) -> list[str]:
    """Devices of one window: a quarter of the pool, at most half of a type, in random order.

    The others of each type can serve `needed_per_s`, where any choice leaves that.
    """
    model_of = {node: model for model, of in rates.items() for node in of}
    nodes, quarter = list(model_of), len(model_of) // 4
    chosen: list[str] = []
    for node in (nodes[i] for i in rng.permutation(len(nodes)).tolist()):
        of = rates[model_of[node]]
        others = [r for n, r in of.items() if n != node and n not in chosen]
        if len(chosen) < quarter and 2 * len(others) >= len(of) and sum(others) >= needed_per_s:
            chosen.append(node)
    return chosen
