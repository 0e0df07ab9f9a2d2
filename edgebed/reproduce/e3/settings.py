"""What `reproduce e3` runs, and the figures of the paper (arXiv 2605.27428, Tables 5 and 6) it stands beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from controller.schemes import SCHEMES
from edgebed.reproduce.e3.bounds import known_laws
from edgebed.reproduce.e3.runs import Setting, Variant, variant
from emulation.domain.scenario import LengthKnowledge, Scenario
from emulation.files import load_scenario
from workloads.pools import PlanKind, random_pool

TUNE_SEEDS = range(1000, 1060)
"""Pools on which parameters were chosen; never reported."""
TEST_SEEDS = range(0, 60)
"""Pools that are reported."""


@dataclass(frozen=True, slots=True)
class PaperRow:
    """Mean latency of the paper, seconds, and its gap of E3-Agent to its Oracle."""

    fixed_heuristic_s: float
    round_robin_s: float
    e3_s: float
    oracle_s: float
    stutter_e3: float | None = None
    stutter_static: float | None = None
    reasoner_calls: int | None = None
    tool_calls: int | None = None

    @property
    def gap(self) -> float:
        """Gap of E3-Agent to the Oracle (eq. 5)."""
        return self.e3_s / self.oracle_s - 1.0


PAPER: Mapping[str, PaperRow] = {
    "e3-warmup-0": PaperRow(19.475, 18.501, 14.364, 5.019),
    "e3-warmup-30": PaperRow(19.475, 18.501, 8.053, 5.019),
    "e3-warmup-100": PaperRow(19.475, 18.501, 6.936, 5.019),
    "e3-semantic-a": PaperRow(19.332, 19.314, 5.277, 4.931, 0.0, 0.10, 11, 33),
    "e3-semantic-b": PaperRow(19.332, 19.314, 5.277, 4.931, 0.0, 0.10, 11, 33),
    "e3-churn": PaperRow(16.232, 17.323, 5.653, 5.133, None, None, 2, 6),
    "e3-drift": PaperRow(16.602, 18.286, 5.256, 4.823, None, None, 4, 16),
}
"""Both of our semantic plans stand beside the paper's one: it does not state its events."""

TITLES = {
    "e3-warmup-0": "warm-up 0",
    "e3-warmup-30": "warm-up 30",
    "e3-warmup-100": "warm-up 100",
    "e3-semantic-a": "semantic a",
    "e3-semantic-b": "semantic b",
    "e3-churn": "churn",
    "e3-drift": "drift",
    "e3-real-drift": "measured drift",
}

WARMUP_TASKS = {"e3-warmup-30": 30, "e3-warmup-100": 100}


def paper_settings() -> list[Setting]:
    """The four-device scenarios as packaged: truth equal to the profile, no noise."""
    return [
        Setting(name, title, partial(_packaged, name), WARMUP_TASKS.get(name, 0), pool=False)
        for name, title in TITLES.items()
    ]


def _packaged(name: str, seed: int) -> Scenario:
    return load_scenario(name)


def _pool(
    seed: int,
    devices: int = 4,
    plan: PlanKind = "none",
    cv: float = 0.1,
    warmup: int = 0,
    knowledge: LengthKnowledge = "exact",
) -> Scenario:
    controllers: dict[str, dict[str, Any]] = {"explore_risk": {"warmup_tasks": warmup}} if warmup else {}
    return random_pool(seed, devices, 0.5, cv, 0.6, plan, knowledge=knowledge, controllers=controllers)


_PLANS: tuple[tuple[PlanKind, str], ...] = (
    ("semantic", "semantic"),
    ("semantic-any", "semantic, any device"),
    ("churn", "churn"),
    ("drift", "drift"),
)


def pool_settings() -> list[Setting]:
    """Random pools: sigma 0.5 per coefficient, cv 0.1, load 0.6 of the true capacity."""
    found = [
        Setting(f"pool4-warmup-{n}", f"4 devices, warm-up {n}", partial(_pool, warmup=n), n)
        for n in (0, 30, 100)
    ]
    for devices in (4, 16):
        plans = _PLANS if devices == 4 else (("none", "no events"), *_PLANS)
        found += [
            Setting(
                f"pool{devices}-{plan}",
                f"{devices} devices, {title}",
                partial(_pool, devices=devices, plan=plan),
            )
            for plan, title in plans
        ]
    return found


def noisy_settings() -> list[Setting]:
    """The same four-device pools at cv 0.25."""
    first = Setting("pool4-warmup-0-cv25", "4 devices, warm-up 0, cv 0.25", partial(_pool, cv=0.25))
    plans = [(p, t) for p, t in _PLANS if p != "semantic-any"]
    return [first] + [
        Setting(f"pool4-{plan}-cv25", f"4 devices, {title}, cv 0.25", partial(_pool, plan=plan, cv=0.25))
        for plan, title in plans
    ]


def knowledge_settings() -> list[Setting]:
    """What a router knows of the output length; `exact` is `pool4-warmup-0`."""
    kinds: tuple[LengthKnowledge, ...] = ("max_tokens", "predicted")
    return [
        Setting(f"pool4-{kind}", f"4 devices, length knowledge {kind}", partial(_pool, knowledge=kind))
        for kind in kinds
    ]


def bound_settings() -> list[Setting]:
    """What limits the gap: laws known beforehand (noise and our own view of the queues are left), and no noise."""
    return [
        Setting("bound-known", "4 devices, laws known, cv 0.1", partial(known_laws, cv=0.1)),
        Setting("bound-known-cv25", "4 devices, laws known, cv 0.25", partial(known_laws, cv=0.25)),
        Setting("bound-known-16", "16 devices, laws known, cv 0.1", partial(known_laws, devices=16, cv=0.1)),
        Setting("bound-noiseless", "4 devices, laws unknown, no noise", partial(_pool, cv=0.0)),
    ]


STATIC = ("fixed-heuristic", "round-robin", "round-robin-per-type")
PICKED = ("power-of-two", "least-backlog")
OURS = ("e3-prior", "e3-nnls", "e3-alone", "e3")
ORACLES = ("oracle", "oracle-safe", "oracle-courteous")
"""The paper's; the one that pays for no stutter; one that is not myopic, as ours is not."""


def ablations() -> list[Variant]:
    """E3 with one part taken away."""
    e3 = SCHEMES["e3"]
    return [
        Variant("without performance model", replace(e3, perf="prior")),
        Variant("with E3's least squares", replace(e3, perf="nnls")),
        Variant("without exploration", e3, {"explore_risk": {"explore": 0.0, "return_hazard": 0.0}}),
        Variant("without courtesy", e3, {"explore_risk": {"courtesy": 0.0}}),
        Variant("without risk gate", e3, {"meta": {"risk_gate": False}}),
        Variant("without revert", e3, {"meta": {"revert": False}}),
        Variant("without meta-controller", SCHEMES["e3-alone"]),
    ]


ORDER = (*STATIC, *PICKED, *OURS, *(v.label for v in ablations()), *ORACLES)
"""In which schemes stand in tables."""
ABLATED = ("pool16-semantic", "pool16-churn", "pool16-drift")
"""The hard pools of the ablation table."""


def variants_of(setting: Setting) -> Sequence[Variant]:
    """Who runs in a setting."""
    if not setting.pool:
        return [variant(n) for n in (*STATIC, *PICKED, *OURS, *ORACLES)]
    if setting.name.startswith("pool4-warmup") and "cv25" not in setting.name:
        names: tuple[str, ...] = (*STATIC, *PICKED, *OURS, "oracle", "oracle-courteous")
    elif setting.name in {"pool4-semantic", "pool16-none"}:
        names = (*STATIC[:2], *PICKED, *OURS, *ORACLES)
    else:
        names = (
            "e3-prior",
            "e3-nnls",
            "e3-alone",
            "e3",
            *(o for o in ORACLES if o != "oracle-safe" or "semantic" in setting.name),
        )
    found = [variant(n) for n in names]
    return [*found, *ablations()] if setting.name in ABLATED else found
