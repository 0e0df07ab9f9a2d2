"""Windowed non-negative least squares from a prior: E3's online performance model (eq. 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite, sqrt
from typing import ClassVar

from controller.perf.config import NnlsConfig
from controller.perf.fit import Fit
from controller.perf.prior import Prior
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel, Prediction
from emulation.domain.strict import Strict


class Nnls(PerformanceModel):
    """Per key, least squares over the last `window` completions, coefficients clipped at 0 (E3 eq. 7).

    The prior enters as pseudo-observations, one per coefficient at the root mean square of its feature, which
    real ones push out of the window. With two features the solution is the exact non-negative one; with one
    it is a scalar. O(1) per observation, O(window) memory per key. Uncertainty falls with the number of
    samples and grows with the residual variance: u = min(1, sqrt((r^2 + prior_sd^2) / (1 + n))), ours.
    """

    Config: ClassVar[type[Strict]] = NnlsConfig

    def __init__(self, testbed: TestbedConfig, config: NnlsConfig | None = None) -> None:
        self._config = config or NnlsConfig()
        self._testbed, self._prior = testbed, Prior(testbed)
        self._fits: dict[PerfKey, Fit] = {}

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Expected seconds of features x; the standard deviation covers noise and ignorance."""
        fit = self._fit(key)
        mean_s = sum([c * v for c, v in zip(fit.theta, x, strict=True)])
        return Prediction(mean_s, mean_s * sqrt(fit.residual**2 + fit.uncertainty**2), len(fit.samples))

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Learn one completion; values that are not finite, or negative, are ignored as broken feedback."""
        if not (isfinite(service_s) and service_s >= 0 and all(isfinite(v) and v >= 0 for v in x)):
            return
        fit = self._fits[key] = self._fit(key)
        fit.add(x, service_s)

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Coefficients in seconds per feature, and relative uncertainty in [0, 1]."""
        fit = self._fit(key)
        return fit.theta, fit.uncertainty

    def unlearned(self) -> Callable[[], PerformanceModel]:
        """By being made anew, as it is."""
        return partial(Nnls, self._testbed, self._config) if type(self) is Nnls else super().unlearned()

    def _fit(self, key: PerfKey) -> Fit:
        """What was learned of the key, or the prior."""
        return self._fits.get(key) or Fit(self._prior.law(key), self._config)
