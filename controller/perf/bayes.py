"""Recursive Bayesian regression with change detection: what a device does now, and how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import Annotated

from controller.perf.change import Alarm
from controller.perf.prior import Prior
from controller.perf.ratio_belief import RatioBelief
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel, Prediction, Spread
from emulation.domain.quantities import Range, SomeFraction

_FEW = 2.0
"""Samples the noise's own uncertainty is worth when it is stated."""
_LARGEST = 1e6
"""Service time over profiled time above which feedback is cut off."""


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

    knows_regimes = True

    class Config(Strict):
        """Parameters."""

        prior_relative_sd: Annotated[float, Range(0.000001, 2, "relative")] = 0.5
        """Believed standard deviation of true / profiled, per coefficient, before any sample."""
        noise_cv: SomeFraction = 0.15
        """First guess of the coefficient of variation of service times."""
        noise_weight: Annotated[float, Range(0.000001, 1_000_000, "requests")] = 2.0
        """Samples the first guess counts for."""
        noise_window: Annotated[float, Range(5, 1_000_000, "requests")] = 60.0
        """Samples after which older ones stop counting for the noise."""
        forget: Annotated[float, Range(0, 0.199, "per request")] = 0.0
        """Share by which the covariance grows per sample: slow drift without an alarm."""
        alarm: Alarm.Config = Alarm.Config()

    def __init__(self, testbed: TestbedConfig, config: Config | None = None) -> None:
        self._config = config or self.Config()
        self._prior = Prior(testbed)
        self._keys: dict[PerfKey, _Key] = {}

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Expected seconds of features x; the standard deviation covers noise and what is not yet known."""
        mean_s = sum(c * v for c, v in zip(self.theta(key)[0], x, strict=True))
        learned, spread = self._keys.get(key), self.spread(key)
        known = (float(x[0]), float(x[1]) if len(x) == 2 else 0.0)
        sd_s = sqrt(spread.epistemic_variance(known) + (spread.noise_cv * mean_s) ** 2)
        return Prediction(mean_s, sd_s, 0 if learned is None else learned.samples)

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Learn one completion; values that are not finite, or negative, are ignored as broken feedback.

        Raises `ValueError` on a wrong number of features.
        """
        if not (isfinite(service_s) and service_s >= 0 and all(isfinite(v) and v >= 0 for v in x)):
            return
        theta = self._prior.law(key)
        profiled_s = sum(c * v for c, v in zip(theta, x, strict=True))
        if not profiled_s > 1e-12:
            return
        learned = self._keys.get(key)
        if learned is None:
            learned = self._keys[key] = _Key(len(theta), self._config)
        f0 = theta[0] * x[0] / profiled_s
        learned.learn(f0, 1.0 - f0, min(service_s / profiled_s, _LARGEST))

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Coefficients in seconds per feature, and relative uncertainty in [0, 1]: epistemic over mean."""
        theta = self._prior.law(key)
        learned = self._keys.get(key)
        if learned is None:
            return theta, min(self._config.prior_relative_sd, 1.0)
        return learned.law.theta(theta), learned.uncertainty()

    def spread(self, key: PerfKey) -> Spread:
        """Covariance of the coefficients and noise of the key. Raises `KeyError` on an unknown executor."""
        theta = self._prior.law(key)
        a, b = (theta[0], theta[1]) if len(theta) == 2 else (theta[0], 0.0)
        learned = self._keys.get(key)
        if learned is None:
            square = self._config.prior_relative_sd**2
            return Spread((square * a * a, 0.0, square * b * b), self._config.noise_cv)
        p00, p01, p11 = learned.law.p
        before = None if learned.aside is None else learned.aside.theta(theta)
        return Spread((p00 * a * a, p01 * a * b, p11 * b * b), learned.stated_cv(), before)

    def regime(self, executor: str, abnormal: bool) -> None:
        """A hint says that an executor enters or leaves an abnormal regime of unknown size.

        What is learned in between is not its ordinary law, which is kept aside and put back afterwards, a little
        less certain than it was.
        """
        for key, learned in self._keys.items():
            if key.executor == executor:
                learned.enter() if abnormal else learned.leave(self._config.alarm.return_sd)


class _Key:
    """What is believed of one key."""

    __slots__ = ("_config", "_noise", "_ordinary", "_weight", "alarm", "aside", "law", "samples")

    def __init__(self, features: int, config: Bayes.Config) -> None:
        square = config.prior_relative_sd**2
        self._config = config
        self.law = RatioBelief(1.0, 1.0, (square, 0.0, square if features == 2 else 0.0))
        self.aside: RatioBelief | None = None
        """The law in force before the last change."""
        self._ordinary: RatioBelief | None = None
        self.alarm = Alarm(config.alarm)
        self.samples = 0
        self._weight = config.noise_weight
        self._noise = config.noise_weight * config.noise_cv**2

    def noise_cv(self) -> float:
        return sqrt(self._noise / self._weight)

    def stated_cv(self) -> float:
        """The noise as it is stated: wider while it is guessed from few samples."""
        return sqrt(self._noise / self._weight * (1.0 + _FEW / self._weight))

    def uncertainty(self) -> float:
        """Epistemic standard deviation over mean where both coefficients take their profiled share, and noise.

        The noise is what the next samples will take to settle: cv^2 / (1 + n), as in E3's sample scarcity.
        """
        mean = max(self.law.mean(0.5, 0.5), 1e-9)
        learned = self.law.variance(0.5, 0.5) / (mean * mean)
        return min(1.0, sqrt(learned + self.noise_cv() ** 2 / (1.0 + self.samples)))

    def enter(self) -> None:
        """Keep the ordinary law aside."""
        if self._ordinary is None:
            self._ordinary = self.law.copy()

    def leave(self, doubt_sd: float) -> None:
        """Put the ordinary law back."""
        if self._ordinary is not None:
            self.law, self._ordinary = self._ordinary, None
            self.law.open(0.0, doubt_sd)

    def learn(self, f0: float, f1: float, y: float) -> None:
        """One sample: shares of the coefficients in the profiled time, and true over profiled time."""
        config, cv = self._config, self.noise_cv()
        if config.forget:
            self.law.scale(1.0 / (1.0 - config.forget))
        surprise = self.law.surprise(f0, f1, y, cv)
        if self.samples == 0 and self.alarm.changes == 0 and abs(surprise) > config.alarm.same:
            # The profile is further off than the prior allows: a common factor is the likeliest reason.
            self.law.open(abs(y / max(self.law.mean(f0, f1), 1e-9) - 1.0), 0.0)
            surprise = self.law.surprise(f0, f1, y, cv)
        # While the noise itself is guessed from few samples, surprises are judged by wider tails.
        if self.alarm.hears(surprise / sqrt(1.0 + 2.0 / self._weight), self.samples):
            self._change(f0, f1, y, cv)
            self.samples = 0
        else:
            self._hear_noise(f0, f1, y, cv)
        self.law.update(f0, f1, y, cv)
        self.samples += 1

    def _change(self, f0: float, f1: float, y: float, cv: float) -> None:
        config, before = self._config.alarm, self.aside
        self.aside = self.law.copy()
        if before is not None and abs(before.surprise(f0, f1, y, cv)) < config.same:
            self.law = before
            self.law.open(0.0, config.return_sd)
            return
        expected = max(self.law.mean(f0, f1), 1e-9)
        self.law.open(abs(y / expected - 1.0) + config.scale_sd, config.coefficient_sd)

    def _hear_noise(self, f0: float, f1: float, y: float, cv: float) -> None:
        """Take from a squared surprise the share that noise explains (one EM step, surprises cut at 3)."""
        mean = max(self.law.mean(f0, f1), 1e-9)
        noise = (cv * mean) ** 2
        total = noise + self.law.variance(f0, f1)
        share = noise / total
        squared = min((y - mean) ** 2 / total, 9.0)
        if self._weight > self._config.noise_window:
            keep = self._config.noise_window / self._weight
            self._noise, self._weight = self._noise * keep, self._weight * keep
        self._noise = max(self._noise + share * squared * cv * cv, 1e-6 * self._weight)
        self._weight += share
