"""How much slower an executor served than it normally does, measured from request lines alone.

Service times differ by batch size, length, mode and by who shares the node, so a request is compared with a
law fitted to requests of the same executor, model and mode outside every fault:
s = theta . (prompts, n_in, n_out) * (1 + gamma . loads), all coefficients non-negative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, pi, sqrt
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulation.domain.records import RequestRecord
from emulation.metrics.contention import Neighbours
from emulation.metrics.view import RunView, on_target

Span = tuple[float, float]
"""Start and end in virtual seconds."""

Floats = NDArray[np.floating[Any]]

FEW = 4
"""Below this many requests only one coefficient is fitted."""
USUAL_SCATTER, SCATTER_TRUST = 0.15, 2.0
"""Scatter of a service time about its law, on a log scale, that is taken for granted, and the requests it is worth."""
GPU_GAMMA, CPU_GAMMA, GAMMA_TRUST = 1.0, 0.6, 0.5
"""What a busy GPU neighbour and a further CPU executor are taken to cost until the data say otherwise (half the
speed, and half the cores at exponent 0.7), and the weight of that against one request."""


@dataclass(frozen=True, slots=True)
class ServedSpan:
    """One request that was served in one go: where, from when to when, and what it shared."""

    record: RequestRecord
    start_s: float
    service_s: float
    loads: tuple[float, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """What a law is fitted for: executor, model and mode."""
        return (self.record.executor or "", self.record.model, self.record.mode or "")

    def overlap_s(self, span: Span) -> float:
        """Seconds of service inside the span."""
        return max(0.0, min(self.start_s + self.service_s, span[1]) - max(self.start_s, span[0]))


def served_on(run: RunView, node: str, model: str | None) -> list[ServedSpan]:
    """Requests served on a node (and of one model, if given) in one go and to the end, by start of service.

    Service that was interrupted or began elsewhere is left out: its seconds cannot be placed in time.
    """
    neighbours = Neighbours(run, node)
    spans = [
        ServedSpan(r, r.started_s, r.service_s, neighbours.loads(r))
        for r in run.requests
        if on_target(r, node, model)
        if r.started_s is not None and r.service_s and r.outcome == "done"
        if r.attempt <= 1 and r.ended_s - r.transfer_s <= r.started_s + 1.1 * r.service_s + 0.1
    ]
    return sorted(spans, key=lambda s: s.start_s)


@dataclass(frozen=True, slots=True)
class Slowed:
    """How many times slower requests were served than a law says, and how far chance alone may have moved that."""

    factor: float
    doubt: float
    """Half of its 95% range, on a log scale."""
    requests: int
    """So many it is the median of."""


def slowdown_factor(
    during: Sequence[ServedSpan], reference: Sequence[ServedSpan], span: Span
) -> Slowed | None:
    """Median service time in the span over the reference's, the part served outside the span taken out.

    Only requests that spent at least half of their service in the span count. None if none did, or the
    reference has none of the same executor, model and mode.
    """
    law = law_of(reference)
    factors: list[float] = []
    for item in during:
        nominal, inside = law(item), item.overlap_s(span)
        if nominal is None or inside < 0.5 * item.service_s:
            continue
        work_inside_s = nominal - (item.service_s - inside)
        if work_inside_s > 0.1 * nominal:
            factors.append(inside / work_inside_s)
    if not factors:
        return None
    return Slowed(median(factors), _doubt(factors, reference, law), len(factors))


def _doubt(
    factors: Sequence[float],
    reference: Sequence[ServedSpan],
    law: Callable[[ServedSpan], float | None],
) -> float:
    """Two standard errors of the logarithm of a median of these factors against a law through that reference.

    The scatter of one request is that about the law and about the median together, drawn towards `USUAL_SCATTER` while
    there are few. The median of n costs pi / 2 over n of its square, the law about one over the reference's size.
    """
    middle = median(factors)
    apart = [log(f / middle) for f in factors]
    about = [log(i.service_s / s) for i in reference if (s := law(i)) is not None and i.service_s > 0]
    squares = sum(v * v for v in (*apart, *about)) + SCATTER_TRUST * USUAL_SCATTER**2
    scatter = squares / max(len(apart) + len(about) - 2 + SCATTER_TRUST, SCATTER_TRUST)
    return 2.0 * sqrt(scatter * (pi / 2 / len(factors) + 1.0 / max(len(about), 1)))


def law_of(reference: Sequence[ServedSpan]) -> Callable[[ServedSpan], float | None]:
    """Seconds that a request would have taken by the law of these; None where none of them is comparable."""
    groups: dict[tuple[str, str, str], list[ServedSpan]] = defaultdict(list)
    for item in reference:
        groups[item.key].append(item)
    fits = {key: _fit(items) for key, items in groups.items()}

    def nominal(item: ServedSpan) -> float | None:
        if item.key not in fits:
            return None
        theta, gamma = fits[item.key]
        seconds = float(theta @ _features(item) * (1 + gamma @ np.array(item.loads)))
        return seconds if seconds > 0 else None

    return nominal


def _features(item: ServedSpan) -> Floats:
    return np.array([item.record.prompts, item.record.prompt_tokens, item.record.output_tokens], dtype=float)


def _fit(items: Sequence[ServedSpan]) -> tuple[Floats, Floats]:
    """theta and gamma that fit the relative error, found in turn; gamma is drawn towards its usual value."""
    x = np.array([_features(i) for i in items])
    s = np.array([i.service_s for i in items])
    loads = np.array([i.loads for i in items])
    usual = np.array([GPU_GAMMA] * (loads.shape[1] - 1) + [CPU_GAMMA])
    theta: Floats = np.zeros(x.shape[1])
    gamma: Floats = usual
    for _ in range(6):
        theta = _theta(x * (1 + loads @ gamma)[:, None], s)
        alone = (x @ theta) / s
        rows = np.vstack([alone[:, None] * loads, GAMMA_TRUST * np.eye(len(usual))])
        gamma, _ = _non_negative(rows, np.concatenate([1 - alone, GAMMA_TRUST * usual]))
    return theta, gamma


def _theta(x: Floats, s: Floats) -> Floats:
    if x[:, 1:].any() and len(s) >= FEW:
        solution, _ = _non_negative(x / s[:, None], np.ones(len(s)))
        return np.asarray(solution)
    column = 2 if x[:, 2].all() else 0
    theta = np.zeros(x.shape[1])
    theta[column] = np.median(s / np.maximum(x[:, column], 1e-9))
    return theta


def _non_negative(rows: Floats, values: Floats) -> tuple[Floats, float]:
    """Least squares with no coefficient below 0, and what is left of the values.

    Scipy's optimizers take a third of a second to load, and most of who measures runs has no fault to fit.
    """
    from scipy.optimize import nnls

    solution, left = nnls(rows, values)
    return solution, float(left)
