"""What `bayes` believes of one key: its law, the noise, and when either has changed."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from mypy_extensions import mypyc_attr

from controller.perf.change import Alarm
from controller.perf.config import BayesConfig
from controller.perf.ratio_belief import RatioBelief
from emulation.domain.feedback import Prediction, Spread

_LARGEST = 1e6
"""Service time over profiled time above which feedback is cut off."""
_SHORTEST_S = 1e-12
"""Work of which the profile says that it takes no longer teaches nothing."""
_FEW = 2.0
"""Samples the noise's own uncertainty is worth when it is stated."""


def predicted(theta: tuple[float, ...], spread: Spread, x: Sequence[float], samples: int) -> Prediction:
    """Expected seconds of features x by a law; the standard deviation covers noise and what is not yet known."""
    mean_s = _seconds(theta, x)
    known = (float(x[0]), float(x[1]) if len(x) == 2 else 0.0)
    sd_s = sqrt(spread.epistemic_variance(known) + (spread.noise_cv * mean_s) ** 2)
    return Prediction(mean_s, sd_s, samples)


def _seconds(theta: tuple[float, ...], x: Sequence[float]) -> float:
    """theta . x, of one or two features. Raises `ValueError` on another number of them than of coefficients."""
    if len(theta) != len(x):
        raise ValueError(f"{len(x)} features for a law of {len(theta)}")
    first = theta[0] * x[0]
    return first + theta[1] * x[1] if len(theta) == 2 else first


@mypyc_attr(allow_interpreted_subclasses=True)
class KeyBelief:
    """What is believed of one key."""

    __slots__ = (
        "_config", "_noise", "_ordinary", "_profile", "_spread", "_weight", "alarm", "aside", "law", "samples",
    )  # fmt: skip

    def __init__(self, profile: tuple[float, ...], config: BayesConfig) -> None:
        """`profile`: coefficients of the law before anything was learned."""
        square = config.prior_relative_sd**2
        self._profile, self._config = profile, config
        self.law = RatioBelief(1.0, 1.0, (square, 0.0, square if len(profile) == 2 else 0.0))
        self.aside: RatioBelief | None = None
        """The law in force before the last change."""
        self._ordinary: RatioBelief | None = None
        self.alarm = Alarm(config.alarm)
        self.samples = 0
        self._weight = config.noise_weight
        self._noise = config.noise_weight * config.noise_cv**2
        self._spread: Spread | None = None
        """As it was last asked for, until anything is learned."""

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

    def theta(self) -> tuple[float, ...]:
        """Believed coefficients, seconds per feature."""
        return self.law.theta(self._profile)

    def spread(self) -> Spread:
        """Covariance of the coefficients, and the noise."""
        if self._spread is not None:
            return self._spread
        theta = self._profile
        a, b = (theta[0], theta[1]) if len(theta) == 2 else (theta[0], 0.0)
        p00, p01, p11 = self.law.p
        before = None if self.aside is None else self.aside.theta(theta)
        spread = self._spread = Spread((p00 * a * a, p01 * a * b, p11 * b * b), self.stated_cv(), before)
        return spread

    def predict(self, x: Sequence[float]) -> Prediction:
        """Expected seconds of features x."""
        return predicted(self.theta(), self.spread(), x, self.samples)

    def observe(self, x: Sequence[float], service_s: float) -> bool:
        """One completion, of numbers that are finite and not below 0; whether it taught anything.

        Raises `ValueError` on a wrong number of features.
        """
        theta = self._profile
        profiled_s = _seconds(theta, x)
        if not profiled_s > _SHORTEST_S:
            return False
        f0 = theta[0] * x[0] / profiled_s
        self.learn(f0, 1.0 - f0, min(service_s / profiled_s, _LARGEST))
        return True

    def enter(self) -> None:
        """Keep the ordinary law aside."""
        if self._ordinary is None:
            self._ordinary = self.law.copy()

    def leave(self, doubt_sd: float) -> None:
        """Put the ordinary law back."""
        if self._ordinary is not None:
            self.law, self._ordinary, self._spread = self._ordinary, None, None
            self.law.open(0.0, doubt_sd)

    def learn(self, f0: float, f1: float, y: float) -> None:
        """One sample: shares of the coefficients in the profiled time, and true over profiled time."""
        config, cv, self._spread = self._config, self.noise_cv(), None
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
