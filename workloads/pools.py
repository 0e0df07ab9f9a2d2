"""Random heterogeneous device pools: devices from measured MLPerf results, a load that their truth can carry, events.

What no source states is decided here and named. Half of the devices serve the language model, half SDXL, requests
alternate strictly (E3). A pool is meant to be run with the seed it was drawn with: its load is a fraction of the
capacity that the mismatch drawn from that very seed leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import ceil
from statistics import mean
from typing import Any, Literal, get_args

import orjson
from numpy.random import Generator

from emulation.domain.scenario import LengthKnowledge, Scenario
from emulation.rng import stream
from workloads.mismatch import world_truth

PlanKind = Literal["none", "semantic", "churn", "drift"]
PLANS: tuple[PlanKind, ...] = get_args(PlanKind)
LENGTHS = {"prompt_tokens": [128, 512, 1024], "output_tokens": [16, 32, 64]}
"""Token bins of the four-device scenarios; ours, as the paper's are not stated."""
HINTS = ("game", "video call", "low battery", "system update", "overheating")
DATA = "mlperf_edge_generative.jsonl"

_LONGEST_OUT = 128
"""Output tokens of the slowest GPT-J queries (the benchmark's max_new_tokens)."""
_LONGEST_IN = 1024
_FIRST_SHARE = 0.1
"""Share of a GPT-J query's p99 that is the prompt's: its logs have no TTFT; the B60's Llama log has 9%."""

_WINDOWS: Mapping[PlanKind, tuple[tuple[float, float], ...]] = {
    "none": (),
    "semantic": ((0.13, 0.20), (0.30, 0.37), (0.47, 0.53), (0.63, 0.70), (0.80, 0.87)),
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
    found = [_device(r) for r in rows if r["scenario"] == "SingleStream" and r["official_round_result"]]
    own = {"1416.993311", "330.726636", "7480.829418", "9967.749205"}
    return tuple(d for d in found if d is not None and not (others_only and d.source.rsplit(" ", 1)[-1] in own))


def _device(row: dict[str, Any]) -> Device | None:
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
    raw = _scenario(seed, devices, sigma, cv, count, knowledge, controllers or {})
    interval_s = 1.0 / (load * capacity_per_s(Scenario.model_validate(_timed(raw, 1.0, count)), seed))
    raw["name"] = f"pool-{plan}-{devices}-{seed}"
    raw["note"] = f"{devices} devices, sigma {sigma:g}, cv {cv:g}, load {load:g} of the true capacity, seed {seed}."
    raw["events"] = _events(plan, raw["testbed"]["nodes"], count, interval_s, stream(seed, f"pool/{plan}"))
    return Scenario.model_validate(_timed(raw, interval_s, count))


def capacity_per_s(scenario: Scenario, seed: int) -> float:
    """Requests per second (of all types, strictly alternating) that saturate the first type, at the seed's truth."""
    truth, testbed = world_truth(scenario, seed), scenario.testbed
    x = (mean(LENGTHS["prompt_tokens"]), mean(LENGTHS["output_tokens"]))
    rates = []
    for model in testbed.models:
        features = x if model.features == "tokens" else (1.0,)
        served = 0.0
        for node in testbed.hosts(model.id):
            theta, ratios = testbed.theta(node, model.id, "gpu") or (), truth.ratios(node, model.id, "gpu")
            served += 1.0 / sum(c * r * v for c, r, v in zip(theta, ratios, features, strict=False))
        rates.append(served * len(testbed.models))
    return min(rates)


def _scenario(
    seed: int, devices: int, sigma: float, cv: float, count: int, knowledge: str, controllers: Mapping[str, Any]
) -> dict[str, Any]:
    draws = stream(seed, "pool/devices")
    nodes, profile = [], []
    for model in ("llm", "sdxl"):
        choice = [d for d in measured() if d.model == model]
        for i in range(devices // 2):
            device = choice[int(draws.integers(len(choice)))]
            node = f"{'LLM' if model == 'llm' else 'SD'}#{i}"
            nodes.append({"id": node, "hosting": "device", "models": [model], "gpus": [{"sharing": "none"}]})
            entry = {"model": model, "node": node, "mode": "gpu", "theta": device.theta, "source": device.source}
            profile.append(entry)
    models = [
        {"id": "llm", "modality": "text", "features": "tokens", "modes": ["gpu"]},
        {"id": "sdxl", "modality": "image", "features": "prompts", "modes": ["gpu"]},
    ]
    return {
        "name": "pool",
        "testbed": {"name": f"pool-{devices}-{seed}", "models": models, "nodes": nodes, "profile": profile},
        "deadline_s": None,
        "service_cv": cv,
        "mismatch_sigma": sigma,
        "length_knowledge": knowledge,
        "controllers": controllers,
    }


def _timed(raw: dict[str, Any], interval_s: float, count: int) -> dict[str, Any]:
    source = {"kind": "periodic", "interval_s": interval_s, "count": count, "models": ["llm", "sdxl"]}
    slot_s = interval_s * count / 30
    return {**raw, "workload": [{**source, "lengths": LENGTHS}], "slot_s": slot_s, "slots": 31, "epoch_slots": 10}


def _events(
    plan: PlanKind, nodes: list[dict[str, Any]], count: int, interval_s: float, rng: Generator
) -> list[dict[str, Any]]:
    """A quarter of the devices at a time, never more than half of a type, so that a healthy one is always there."""
    found: list[dict[str, Any]] = []
    for number, (first, last) in enumerate(_WINDOWS[plan]):
        jitter = 0.03 * float(rng.random())
        begin, end = round((first + jitter) * count), round((last + jitter) * count)
        window = {"at_s": begin * interval_s, "until_s": end * interval_s}
        for node in _hit(nodes, rng):
            factor = round(float(rng.uniform(2.0, 4.0)), 2)
            if plan == "churn":
                found.append({"kind": "leave", "node": node, "in_flight": "requeue", **window})
            elif plan == "drift":
                found.append({"kind": "drift", "node": node, "factors": [factor], **window})
            else:
                hint = HINTS[number % len(HINTS)]
                found.append({"kind": "slowdown", "node": node, "factor": factor, "hint": hint, **window})
    return found


def _hit(nodes: list[dict[str, Any]], rng: Generator) -> list[str]:
    """Devices of one window: a quarter of the pool, half of a type at most."""
    left = {"llm": len(nodes) // 4, "sdxl": len(nodes) // 4}
    chosen: list[str] = []
    for i in rng.permutation(len(nodes)).tolist():
        model = nodes[i]["models"][0]
        if len(chosen) < len(nodes) // 4 and left[model]:
            left[model] -= 1
            chosen.append(nodes[i]["id"])
    return chosen
