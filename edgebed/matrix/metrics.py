"""What schemes can be ranked by: figures of one run, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MetricName = Literal[
    "penalised_latency_s",
    "mean_latency_s",
    "p95_s",
    "success_ratio",
    "goodput",
    "fairness_norm",
    "objective",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """One of them."""

    name: MetricName
    label: str
    unit: str
    better: Literal["low", "high"]
    about: str
    needs_deadline: bool = False


_ALL = (
    Metric(
        "penalised_latency_s", "penalised latency", "s", "low",
        "mean over all that arrived, capped at the deadline (without one: at the horizon); what was not served counts"
        " as that. It is the PAR1 score of algorithm competitions; a scheme cannot gain by refusing work",
    ),
    Metric("mean_latency_s", "mean latency", "s", "low", "of the served alone; read it beside the success ratio"),
    Metric("p95_s", "p95 latency", "s", "low", "of the served alone; read it beside the success ratio"),
    Metric("success_ratio", "success ratio", "", "high", "served / arrived"),
    Metric("goodput", "goodput", "requests/s", "high", "served within the deadline, per second of the horizon"),
    Metric("fairness_norm", "F_norm", "", "high", "normalised Jain index over model types, MA eq. 8"),
    Metric(
        "objective", "J", "", "low", "MA eq. 10; it rewards refusing work, so read it beside the success ratio",
        needs_deadline=True,
    ),
)  # fmt: skip
METRICS: Mapping[MetricName, Metric] = MappingProxyType({m.name: m for m in _ALL})
