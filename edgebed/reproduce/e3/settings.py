"""What `reproduce e3` runs, and the figures of the paper (arXiv 2605.27428, Tables 5 and 6) it stands beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from controller.schemes import SCHEMES
from edgebed.reproduce.common.cells import Setting, Variant, packaged, variant
from edgebed.reproduce.common.paper import PaperRow
from edgebed.reproduce.common.true_profile import with_true_profile
from emulation.domain.scenario import LengthKnowledge, Scenario
from workloads.pools import PlanKind, random_pool

PAPER_SCHEMES = ("fixed-heuristic", "round-robin", "e3", "oracle")
BEST_STATIC = "best static"
TUNE_SEEDS = range(1000, 1060)
"""Pools on which parameters were chosen; never reported."""
TEST_SEEDS = range(0, 60)
"""Pools that are reported."""


def _paper(
    *means_s: float,
    stutter: float | None = None,
    static: float | None = None,
    calls: tuple[int, int] | None = None,
) -> Mapping[str, PaperRow]:
    """Rows of one setting, by scheme. The stutter of the best static scheme is stated without its name."""
    rows = {s: PaperRow(mean_s) for s, mean_s in zip(PAPER_SCHEMES, means_s, strict=True)}
    rows["e3"] = replace(rows["e3"], stutter=stutter, calls=calls)
    return rows | {BEST_STATIC: PaperRow(stutter=static)}


PAPER: Mapping[str, Mapping[str, PaperRow]] = {
    "e3-warmup-0": _paper(19.475, 18.501, 14.364, 5.019),
    "e3-warmup-30": _paper(19.475, 18.501, 8.053, 5.019),
    "e3-warmup-100": _paper(19.475, 18.501, 6.936, 5.019),
    "e3-semantic-a": _paper(19.332, 19.314, 5.277, 4.931, stutter=0.0, static=0.10, calls=(11, 33)),
    "e3-semantic-b": _paper(19.332, 19.314, 5.277, 4.931, stutter=0.0, static=0.10, calls=(11, 33)),
    "e3-churn": _paper(16.232, 17.323, 5.653, 5.133, calls=(2, 6)),
    "e3-drift": _paper(16.602, 18.286, 5.256, 4.823, calls=(4, 16)),
}
"""Setting to scheme. Both of our semantic plans stand beside the paper's one: it does not state its events."""


def paper_gap(setting: str, scheme: str = "e3") -> float:
    """The paper's gap to its Oracle (eq. 5)."""
    ours, best = PAPER[setting][scheme].mean_s, PAPER[setting]["oracle"].mean_s
    assert ours is not None
    assert best is not None
    return ours / best - 1.0


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
    return [packaged(name, title, WARMUP_TASKS.get(name, 0)) for name, title in TITLES.items()]


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


def _pools(name: str, title: str, skip: int = 0, **how: Any) -> Setting:
    """A family of random pools; `how`: what `_pool` is told."""
    return Setting(name, title, partial(_pool, **how), skip)


def pool_settings() -> list[Setting]:
    """Random pools: sigma 0.5 per coefficient, cv 0.1, load 0.6 of the true capacity."""
    plans = [(4, *each) for each in _PLANS] + [(16, *each) for each in (("none", "no events"), *_PLANS)]
    return [
        *(_pools(f"pool4-warmup-{n}", f"4 devices, warm-up {n}", n, warmup=n) for n in (0, 30, 100)),
        *(_pools(f"pool{d}-{p}", f"{d} devices, {title}", devices=d, plan=p) for d, p, title in plans),
    ]


def noisy_settings() -> list[Setting]:
    """The same four-device pools at cv 0.25."""
    plans = [
        ("warmup-0", "none", "warm-up 0"),
        *((p, p, title) for p, title in _PLANS if p != "semantic-any"),
    ]
    return [
        _pools(f"pool4-{name}-cv25", f"4 devices, {title}, cv 0.25", plan=plan, cv=0.25)
        for name, plan, title in plans
    ]


def knowledge_settings() -> list[Setting]:
    """The same pools where a router knows less of the output length; `exact` is `pool4-warmup-0`."""
    return [
        _pools(f"pool4-{kind}", f"4 devices, length knowledge {kind}", knowledge=kind)
        for kind in ("max_tokens", "predicted")
    ]


def known_laws(seed: int, devices: int = 4, cv: float = 0.1) -> Scenario:
    """The random pool of this seed with its true laws as the profile: nothing is left to learn but the noise.

    Prior-only SECT then shows what the noise of single jobs, and knowing only one's own dispatches, cost against an
    Oracle that knows the noise of every job.
    """
    return with_true_profile(random_pool(seed, devices, 0.5, cv, 0.6), seed)


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
    """The schemes that run in a setting."""
    if not setting.pool:
        return [variant(n) for n in (*STATIC, *PICKED, *OURS, *ORACLES)]
    if setting.name.startswith("pool4-warmup") and "cv25" not in setting.name:
        names: tuple[str, ...] = (*STATIC, *PICKED, *OURS, "oracle", "oracle-courteous")
    elif setting.name in {"pool4-semantic", "pool16-none"}:
        names = (*STATIC[:2], *PICKED, *OURS, *ORACLES)
    else:
        names = (*OURS, *(o for o in ORACLES if o != "oracle-safe" or "semantic" in setting.name))
    variants = [variant(n) for n in names]
    return [*variants, *ablations()] if setting.name in ABLATED else variants
