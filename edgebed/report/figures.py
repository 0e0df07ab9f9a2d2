"""The list of figures every table shows, and how numbers are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10
from typing import Literal

from edgebed.report.stats import Interval

NOT_MEASURED = "–"


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One row of the main table: a field of `Summary`, its name and unit, and which way is better."""

    name: str
    label: str
    group: str
    unit: str = ""
    better: Literal["low", "high", ""] = ""
    scale: float = 1.0
    decimals: int | None = None
    """Fixed number of decimals; None: three significant digits of the largest value in the row."""
    about: str = ""
    short: str = ""
    """Name where there is little room; empty: the label."""


FIGURES: tuple[FigureSpec, ...] = (
    FigureSpec(
        "success_ratio", "Success ratio", "Service", "", "high",
        decimals=3, about="served / arrived", short="success",
    ),
    FigureSpec(
        "goodput", "Goodput", "Service", "req/s", "high",
        about="served in time, per second", short="goodput",
    ),
    FigureSpec("goodput_prompts", "Goodput in prompts", "Service", "prompts/s", "high", short="in prompts"),
    FigureSpec(
        "mean_latency_s", "Mean, request-weighted Tw", "Latency of the served", "s", "low",
        about="from the intended send time; MA eq. 9, E3 eq. 4", short="mean Tw",
    ),
    FigureSpec(
        "type_mean_latency_s", "Mean of per-type means Tu", "Latency of the served", "s", "low",
        about="each model weighs the same", short="Tu",
    ),
    FigureSpec("p50_s", "p50", "Latency of the served", "s", "low"),
    FigureSpec("p95_s", "p95", "Latency of the served", "s", "low"),
    FigureSpec("p99_s", "p99", "Latency of the served", "s", "low"),
    FigureSpec(
        "jain", "Jain index, raw", "Fairness and objective", "", "high",
        decimals=3, about="MA eq. 6", short="Jain raw",
    ),
    FigureSpec(
        "fairness_norm", "Jain index, normalised", "Fairness and objective", "", "high",
        decimals=3, about="MA eq. 8", short="Jain norm.",
    ),
    FigureSpec(
        "objective", "Objective J", "Fairness and objective", "", "low",
        decimals=3, about="MA eq. 10 with Tw; it rewards refusing work, so read it beside the success ratio", short="J",
    ),
    FigureSpec(
        "stutter_rate", "Stutter rate", "Control", "", "low",
        decimals=3, about="sent to a degraded node; E3 eq. 3", short="stutter",
    ),
    FigureSpec(
        "reconfigurations", "Reconfigurations", "Control", "", "low",
        about="executor modes changed", short="reconf.",
    ),
    FigureSpec(
        "control_calls_total", "Control calls", "Control", "", "",
        about="planner, scheduler, deployers, meta", short="calls",
    ),
    FigureSpec("thinking_s", "Thinking charged", "Control", "s", "low", short="thinking"),
    FigureSpec(
        "platform_overhead_s", "Platform overhead", "Control", "ms", "low",
        scale=1000.0, about="median wall time per request, from stage timestamps; live only", short="overhead",
    ),
)  # fmt: skip

PAIRED: tuple[str, ...] = (
    "success_ratio", "goodput", "mean_latency_s", "type_mean_latency_s", "p95_s", "fairness_norm", "objective",
)  # fmt: skip
"""Figures compared seed by seed with the baseline."""

BY_NAME = {spec.name: spec for spec in FIGURES}


def decimals_for(values: Iterable[float | None], fixed: int | None = None) -> int:
    """Decimals that show three significant digits of the largest value, between 0 and 3."""
    if fixed is not None:
        return fixed
    top = max((abs(v) for v in values if v is not None), default=0.0)
    return 2 if top == 0 else min(3, max(0, 2 - floor(log10(top))))


def number(value: float | None, decimals: int, signed: bool = False) -> str:
    """A number with thousands separated by thin spaces, or the dash of a missing measurement."""
    if value is None:
        return NOT_MEASURED
    value = round(value, decimals) + 0.0  # no minus before a zero
    text = f"{value:+,.{decimals}f}" if signed and value else f"{value:,.{decimals}f}"
    return text.replace(",", "\u2009").replace("-", "\u2212")


def with_interval(
    found: Interval | None, decimals: int, scale: float = 1.0, signed: bool = False
) -> tuple[str, str]:
    """(mean, half width) as text; the second is empty where there is no interval."""
    if found is None:
        return NOT_MEASURED, ""
    half = "" if found.half is None else f"± {number(found.half * scale, decimals)}"
    return number(found.mean * scale, decimals, signed), half
