"""How sure a performance model is, in the form the fast path keeps: a covariance per key, and the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from emulation.domain.ports import PerfKey, PerformanceModel


@dataclass(frozen=True, slots=True)
class Spread:
    """Uncertainty of one service law s = theta . x.

    `covariance` holds c00, c01, c11 of theta, in (seconds per feature) squared, 0 where there is no second
    feature: what is not known and could be learned (epistemic). `noise_cv`: standard deviation of a service
    time over its mean if the law were known exactly (aleatoric).
    """

    covariance: tuple[float, float, float]
    noise_cv: float
    before: tuple[float, ...] | None = None
    """Coefficients in force before the last change of the law that was noticed, seconds per feature."""

    def epistemic_variance(self, x: tuple[float, float]) -> float:
        """x' C x, seconds squared."""
        a, b, c = self.covariance
        return max(a * x[0] * x[0] + 2.0 * b * x[0] * x[1] + c * x[1] * x[1], 0.0)


class StatesSpread(Protocol):
    """A performance model that states its whole covariance."""

    def spread(self, key: PerfKey) -> Spread: ...


@runtime_checkable
class KnowsRegimes(Protocol):
    """A performance model that keeps the ordinary law of an executor apart from that of an abnormal time."""

    def regime(self, executor: str, abnormal: bool) -> None: ...


def spread_of(perf: PerformanceModel, key: PerfKey, theta: tuple[float, ...], uncertainty: float) -> Spread:
    """The model's own spread; for one that states none, the rank-1 covariance u^2 theta theta'.

    That is E3's dimensionless uncertainty read as one unknown common factor of all coefficients; what
    `predict` adds to it is noise.
    """
    if hasattr(perf, "spread"):  # isinstance of a protocol costs 10 us
        return cast(StatesSpread, perf).spread(key)
    a, b = (theta[0], theta[1]) if len(theta) == 2 else (theta[0], 0.0)
    square = uncertainty * uncertainty
    expected = perf.predict(key, (1.0,) * len(theta))
    relative = expected.sd_s / expected.mean_s if expected.mean_s > 0 else 0.0
    noise = max(relative * relative - square, 0.0) ** 0.5
    return Spread((square * a * a, square * a * b, square * b * b), noise)
