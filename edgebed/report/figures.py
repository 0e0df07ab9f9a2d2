"""The list of figures every table shows, and how numbers are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import floor, log10
from typing import Literal

from edgebed.report.stats import Interval
from emulation.metrics.shares import share_text
from emulation.metrics.summary import Summary

NOT_MEASURED = "–"


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One row of the main table: a field of `Summary`, its name and unit, and which way is better."""

    group: str
    name: str
    label: str
    short: str
    """Name where there is little room."""
    unit: str
    better: Literal["low", "high", ""]
    decimals: int | None = None
    """Fixed number of decimals; None: three significant digits of the largest value in the row."""
    scale: float = 1.0
    count: bool = False
    """Whether it counts something."""

    @property
    def about(self) -> str:
        """A remark that stands beside the label, where there is one."""
        return _ABOUT.get(self.name, "")


_SERVICE, _LATENCY = "Service", "Latency of the served"
_FAIR, _CONTROL = "Fairness and objective", "Control"
_ENERGY = "Energy and cost"

_ABOUT = {
    "success_ratio": "served / arrived",
    "unfinished": "arrived, and still in the system when the run ended",
    "goodput": "served in time, per second",
    "slo_share": "served with every condition of the SLO met, of what arrived for models that have one",
    "slo_goodput": "requests that met their SLO, per second",
    "mean_latency_s": "from the intended send time; MA eq. 9, E3 eq. 4",
    "type_mean_latency_s": "each model weighs the same",
    "jain": "MA eq. 6",
    "fairness_norm": "MA eq. 8",
    "tenant_fairness": "of service received to service demanded, normalised as MA eq. 8",
    "tenant_wait_s": "the longest of the tenants' mean waits, whatever became of their requests",
    "objective": "MA eq. 10 with Tw; it rewards refusing work, so read it beside the success ratio",
    "stutter_rate": "sent to a degraded node; E3 eq. 3",
    "reconfigurations": "executor modes changed",
    "control_calls_total": "planner, scheduler, deployers, meta",
    "tokens": "prompts and lost attempts included",
    "price": "in the currency of the configured prices",
    "energy_request_j": "above idle, per request served; by the testbed's watts",
    "energy_request_idle_j": "idle power of all nodes included",
    "energy_wh": "all nodes, idle power included, until the last request ended",
    "cost": "of the run, in the currency of the testbed's prices",
    "platform_overhead_s": "median wall time per request, from stage timestamps; live only",
    "network_s": "median round trip between gateway and node, probed; live only",
}

FIGURES: tuple[FigureSpec, ...] = (
    FigureSpec(_SERVICE, "success_ratio", "Success ratio", "success", "", "high", 3),
    FigureSpec(_SERVICE, "unfinished", "Unfinished", "unfin.", "requests", "low", count=True),
    FigureSpec(_SERVICE, "goodput", "Goodput", "goodput", "req/s", "high"),
    FigureSpec(_SERVICE, "goodput_prompts", "Goodput in prompts", "in prompts", "prompts/s", "high"),
    FigureSpec(_SERVICE, "slo_share", "SLO met", "SLO met", "", "high", 3),
    FigureSpec(_SERVICE, "slo_goodput", "Goodput under SLO", "under SLO", "req/s", "high"),
    FigureSpec(_LATENCY, "mean_latency_s", "Mean, request-weighted Tw", "mean Tw", "s", "low"),
    FigureSpec(_LATENCY, "type_mean_latency_s", "Mean of per-type means Tu", "Tu", "s", "low"),
    FigureSpec(_LATENCY, "p50_s", "p50", "p50", "s", "low"),
    FigureSpec(_LATENCY, "p95_s", "p95", "p95", "s", "low"),
    FigureSpec(_LATENCY, "p99_s", "p99", "p99", "s", "low"),
    FigureSpec(_FAIR, "jain", "Jain index, raw", "Jain raw", "", "high", 3),
    FigureSpec(_FAIR, "fairness_norm", "Jain index, normalised", "Jain norm.", "", "high", 3),
    FigureSpec(_FAIR, "tenant_fairness", "Jain index over tenants", "tenants", "", "high", 3),
    FigureSpec(_FAIR, "tenant_wait_s", "Worst tenant's mean wait", "worst wait", "s", "low"),
    FigureSpec(_FAIR, "objective", "Objective J", "J", "", "low", 3),
    FigureSpec(_CONTROL, "stutter_rate", "Stutter rate", "stutter", "", "low", 3),
    FigureSpec(_CONTROL, "reconfigurations", "Reconfigurations", "reconf.", "", "low", count=True),
    FigureSpec(_CONTROL, "control_calls_total", "Control calls", "calls", "", "", count=True),
    FigureSpec(_CONTROL, "thinking_s", "Thinking charged", "thinking", "s", "low"),
    FigureSpec(_CONTROL, "tokens", "Tokens of language models", "tokens", "", "low", count=True),
    FigureSpec(_CONTROL, "price", "Price of these tokens", "price", "", "low"),
    FigureSpec(_CONTROL, "platform_overhead_s", "Platform overhead", "overhead", "ms", "low", scale=1000.0),
    FigureSpec(_CONTROL, "network_s", "Network between machines", "network", "ms", "low", scale=1000.0),
    FigureSpec(_ENERGY, "energy_request_j", "Energy per request", "per request", "J", "low"),
    FigureSpec(_ENERGY, "energy_request_idle_j", "Energy per request with idle", "with idle", "J", "low"),
    FigureSpec(_ENERGY, "energy_wh", "Energy of the run", "run", "Wh", "low"),
    FigureSpec(_ENERGY, "cost", "Cost of the run", "cost", "", "low", 4),
)

PAIRED: tuple[str, ...] = (
    "success_ratio", "goodput", "mean_latency_s", "type_mean_latency_s", "p95_s", "fairness_norm", "objective",
)  # fmt: skip
"""Figures compared seed by seed with the baseline."""

BY_NAME = {spec.name: spec for spec in FIGURES}

_TYPES = {f.name: str(f.type).removesuffix(" | None") for f in fields(Summary)}
ONE_VALUE: tuple[str, ...] = tuple(
    dict.fromkeys((*(n for n, of in _TYPES.items() if of in ("int", "float", "str", "bool")), *BY_NAME))
)
"""All of a `Summary` that is one value: its plain fields, and the figures that follow from the others."""
SCALARS: tuple[str, ...] = tuple(
    n for n in ONE_VALUE if _TYPES.get(n, "float") in ("int", "float") and n not in ("seed", "speedup")
)
"""The figures among them: numbers that do not say how a run was made."""


def decimals_for(values: Iterable[float | None], fixed: int | None = None, count: bool = False) -> int:
    """Decimals that show three significant digits of the largest value, between 0 and 3; counts have none where all
    are whole."""
    if fixed is not None:
        return fixed
    known = [abs(v) for v in values if v is not None]
    if count and all(v == floor(v) for v in known):
        return 0
    top = max(known, default=0.0)
    return 2 if top == 0 else min(3, max(0, 2 - floor(log10(top))))


SHARES = frozenset(("success_ratio", "slo_share", "jain", "fairness_norm", "tenant_fairness", "stutter_rate"))
"""Figures between 0 and 1, of which 1 means all (or equal) and nothing less."""


def number(value: float | None, decimals: int, signed: bool = False, share: bool = False) -> str:
    """A number with thousands separated by thin spaces, or the dash of a missing measurement.

    A `share` reads 1 only where it is all, and 0 only where it is nothing.
    """
    if value is None:
        return NOT_MEASURED
    if share and not signed and 0.0 <= value <= 1.0:
        return share_text(value, decimals)
    value = round(value, decimals) + 0.0  # no minus before a zero
    text = f"{value:+,.{decimals}f}" if signed and value else f"{value:,.{decimals}f}"
    return text.replace(",", "\u2009").replace("-", "\u2212")


def with_interval(
    found: Interval | None, decimals: int, scale: float = 1.0, signed: bool = False, share: bool = False
) -> tuple[str, str]:
    """(mean, half width) as text; the second is empty where there is no interval."""
    if found is None:
        return NOT_MEASURED, ""
    half = "" if found.half is None else f"± {number(found.half * scale, decimals)}"
    return number(found.mean * scale, decimals, signed, share), half
