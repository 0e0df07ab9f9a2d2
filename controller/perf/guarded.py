"""A performance model that is not ours, kept from stopping a run: once it fails, the profile predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import TypeVar

from controller.perf.prior import Prior
from emulation.domain.cluster import TestbedConfig
from emulation.domain.mistakes import STRANGE_IN_A_RUN, told_of
from emulation.domain.ports import PerfKey, PerformanceModel, Prediction, Spread

SaidT = TypeVar("SaidT")


class GuardedModel(PerformanceModel):
    """Asks another model, and looks at its answers: finite, not negative, an uncertainty from 0 to 1.

    After the first failure it is asked no more; `fault` says what it was, and the profile answers.
    """

    def __init__(self, testbed: TestbedConfig, inner: PerformanceModel) -> None:
        self.inner = inner
        self.fault = ""
        """What went wrong; empty: nothing did."""
        self._testbed = testbed
        self._prior = Prior(testbed)
        self.learns = bool(inner.learns)
        self.knows_regimes = bool(inner.knows_regimes)

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """The other's, or the profile's."""
        plain = self._prior.predict(key, x)
        return self._asked(lambda: _prediction(self.inner.predict(key, x)), plain)

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Tell the other."""
        self._asked(lambda: self.inner.observe(key, x, service_s, t_s), None)

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """The other's, or the profile's."""
        plain = self._prior.theta(key)
        return self._asked(lambda: _law(self.inner.theta(key), len(plain[0])), plain)

    def spread(self, key: PerfKey) -> Spread:
        """The other's, or the profile's."""
        return self._asked(lambda: _spread(self.inner.spread(key)), self._prior.spread(key))

    @property
    def ordinary(self) -> PerformanceModel:
        """The other's."""
        plain: PerformanceModel = self._prior
        return self._asked(lambda: self.inner.ordinary, plain)

    def over(self, ordinary: PerformanceModel) -> PerformanceModel:
        """The other with that one in the place of the one that learns, guarded too."""
        return self._asked(lambda: GuardedModel(self._testbed, self.inner.over(ordinary)), ordinary)

    def regime(self, executor: str, abnormal: bool) -> None:
        """Tell the other."""
        self._asked(lambda: self.inner.regime(executor, abnormal), None)

    def _asked(self, ask: Callable[[], SaidT], plain: SaidT) -> SaidT:
        if self.fault:
            return plain
        try:
            return ask()
        except STRANGE_IN_A_RUN as error:  # a model that fails must never stop the run
            name = type(self.inner).__name__
            said = str(error) if isinstance(error, _WrongAnswer) else f"raised {told_of(error)}"
            self.fault = f"performance model {name} {said}"[:200]
            return plain


class _WrongAnswer(ValueError):
    """An answer out of the range that its port promises."""


def _law(said: tuple[tuple[float, ...], float], features: int) -> tuple[tuple[float, ...], float]:
    theta, uncertainty = said
    kept, unsure = tuple([float(c) for c in theta]), float(uncertainty)
    if len(kept) != features:
        raise _WrongAnswer(f"gave {len(kept)} coefficients for {features} features")
    if not all([0.0 <= c < inf for c in kept]) or not 0.0 <= unsure <= 1.0:
        raise _WrongAnswer(f"gave coefficients {kept} with uncertainty {unsure}")
    return kept, unsure


def _prediction(said: Prediction) -> Prediction:
    kept = Prediction(float(said.mean_s), float(said.sd_s), int(said.samples))
    if not (0.0 <= kept.mean_s < inf and 0.0 <= kept.sd_s < inf):
        raise _WrongAnswer(f"predicted {kept.mean_s} s with a standard deviation of {kept.sd_s} s")
    return kept


def _spread(said: Spread) -> Spread:
    a, b, c = [float(each) for each in said.covariance]
    noise = float(said.noise_cv)
    if not (isfinite(a) and isfinite(b) and isfinite(c) and 0.0 <= noise < inf):
        raise _WrongAnswer(f"gave covariance {(a, b, c)} and noise {noise}")
    before = None if said.before is None else tuple([float(each) for each in said.before])
    return Spread((a, b, c), noise, before)
