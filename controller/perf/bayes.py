"""Recursive Bayesian regression with change detection: what a device does now, and how well that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import ClassVar

from mypy_extensions import mypyc_attr

from controller.perf.config import BayesConfig
from controller.perf.key_belief import KeyBelief, predicted
from controller.perf.prior import Prior
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel, Prediction, Spread
from emulation.domain.strict import Strict


@mypyc_attr(allow_interpreted_subclasses=True)
class Bayes(PerformanceModel):
    """Per key, the ratios r of true to profiled coefficients under a Gaussian belief.

    Model: y = m (f . r)(1 + cv e), with m the profiled seconds of the request, f the share of each
    coefficient in m, e standard noise. Each completion updates mean and covariance of r (Kalman), and the
    noise cv by the part of its squared surprise that the noise explains. A jump or a lasting drift of the
    standardised surprise (two-sided CUSUM; Page 1954) is a change: the law in force is put aside, and either
    the one put aside before explains the surprise (the device recovered) or the covariance is opened along the
    law itself, as slowdowns scale it, and a little along each coefficient. Ratios are kept >= 0 by projection.
    Constant memory per key. All of it ours; E3 has windowed least squares (eq. 7, `nnls.py`).
    """

    Config: ClassVar[type[Strict]] = BayesConfig

    knows_regimes = True

    def __init__(self, testbed: TestbedConfig, config: BayesConfig | None = None) -> None:
        self._config = config or BayesConfig()
        self._testbed, self._prior = testbed, Prior(testbed)
        self._keys: dict[PerfKey, KeyBelief] = {}

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Expected seconds of features x; the standard deviation covers noise and what is not yet known."""
        learned = self._keys.get(key)
        if learned is None:
            return predicted(self._prior.law(key), self.spread(key), x, 0)
        return learned.predict(x)

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Learn one completion; values that are not finite, or negative, are ignored as broken feedback.

        Raises `ValueError` on a wrong number of features.
        """
        if not 0.0 <= service_s < inf:
            return
        for v in x:
            if not 0.0 <= v < inf:
                return
        learned = self._keys.get(key)
        if learned is not None:
            learned.observe(x, service_s)
            return
        learned = KeyBelief(self._prior.law(key), self._config)
        if learned.observe(x, service_s):
            self._keys[key] = learned

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Coefficients in seconds per feature, and relative uncertainty in [0, 1]: epistemic over mean."""
        learned = self._keys.get(key)
        if learned is None:
            return self._prior.law(key), min(self._config.prior_relative_sd, 1.0)
        return learned.theta(), learned.uncertainty()

    def spread(self, key: PerfKey) -> Spread:
        """Covariance of the coefficients and noise of the key. Raises `KeyError` on an unknown executor."""
        learned = self._keys.get(key)
        if learned is not None:
            return learned.spread()
        theta = self._prior.law(key)
        a, b = (theta[0], theta[1]) if len(theta) == 2 else (theta[0], 0.0)
        square = self._config.prior_relative_sd**2
        return Spread((square * a * a, 0.0, square * b * b), self._config.noise_cv)

    def unlearned(self) -> Callable[[], PerformanceModel]:
        """By being made anew, as it is."""
        return partial(Bayes, self._testbed, self._config) if type(self) is Bayes else super().unlearned()

    def regime(self, executor: str, abnormal: bool) -> None:
        """A hint says that an executor enters or leaves an abnormal regime of unknown size.

        What is learned in between is not its ordinary law, which is kept aside and put back afterwards, a little
        less certain than it was.
        """
        for key, learned in self._keys.items():
            if key.executor == executor:
                learned.enter() if abnormal else learned.leave(self._config.alarm.return_sd)
