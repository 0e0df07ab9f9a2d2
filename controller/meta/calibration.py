"""A performance model with the knobs the meta-controller may turn: a factor per law, and a fit from recent results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mypy_extensions import mypyc_attr

from emulation.domain.ports import PerfKey, PerformanceModel, Prediction, Spread

ExecutorModel = tuple[str, str]
"""(executor, model)."""
SUSPECT_U = 0.5
"""Least relative uncertainty of a law under suspicion."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Calibrated(PerformanceModel):
    """A performance model round another one.

    prediction = factor x what the model says, and the model learns observed / factor: so it goes on learning the
    device's ordinary law while the factor carries the present regime, and taking the factor away gives the law back.
    A law that was refitted has a model of its own, fed with recent results only. A law under suspicion (its device
    was away) counts as uncertain until it has given `fresh` results.
    """

    def __init__(self, base: PerformanceModel, suspect_sd: float = 0.2) -> None:
        self.base = base
        self.learns, self.knows_regimes = base.learns, base.knows_regimes
        self._suspect_sd = suspect_sd
        self._unlearned = base.unlearned()
        self._factors: dict[ExecutorModel, float] = {}
        self.refits: dict[ExecutorModel, PerformanceModel] = {}
        """Models of their own, of the laws that were refitted."""
        self._fresh: dict[ExecutorModel, int] = {}

    # -- the port -------------------------------------------------------------------------------------------

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Calibrated service time, seconds."""
        if self._plain:
            return self.base.predict(key, x)
        law = (key.executor, key.model)
        plain, factor = self._model(law).predict(key, x), self.factor(law)
        return Prediction(plain.mean_s * factor, plain.sd_s * factor, plain.samples)

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Learn one result, less the regime's factor."""
        if self._plain:
            self.base.observe(key, x, service_s, t_s)
            return
        law = (key.executor, key.model)
        self._model(law).observe(key, x, service_s / self.factor(law), t_s)
        if self._fresh.get(law):
            self._fresh[law] -= 1
            if not self._fresh[law]:
                del self._fresh[law]

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Calibrated coefficients; at least `SUSPECT_U` uncertain while the law is under suspicion."""
        if self._plain:
            return self.base.theta(key)
        law = (key.executor, key.model)
        theta, uncertainty = self._model(law).theta(key)
        factor = self.factor(law)
        known = max(uncertainty, SUSPECT_U) if self.suspected(law) else uncertainty
        return theta if factor == 1.0 else tuple([c * factor for c in theta]), known

    def spread(self, key: PerfKey) -> Spread:
        """Covariance and noise of the calibrated law; wider while it is under suspicion."""
        if self._plain:
            return self.base.spread(key)
        law = (key.executor, key.model)
        model = self._model(law)
        plain = model.spread(key)
        factor, extra = self.factor(law), self._suspect_sd if self.suspected(law) else 0.0
        if factor == 1.0 and extra == 0.0:
            return plain
        theta, _ = model.theta(key)
        square, more = factor * factor, extra * extra
        a, b = theta[0], theta[1] if len(theta) == 2 else 0.0
        c00, c01, c11 = plain.covariance
        wider = (square * (c00 + more * a * a), square * (c01 + more * a * b), square * (c11 + more * b * b))
        return Spread(wider, plain.noise_cv)

    @property
    def ordinary(self) -> PerformanceModel:
        """The model it is round."""
        return self.base

    def over(self, ordinary: PerformanceModel) -> PerformanceModel:
        """Itself, round another model of the same kind."""
        self.base = ordinary
        return self

    def regime(self, executor: str, abnormal: bool) -> None:
        """A hint begins or ends: models that keep two laws apart do."""
        for model in [self.base, *[m for (e, _), m in self.refits.items() if e == executor]]:
            model.regime(executor, abnormal)

    @property
    def _plain(self) -> bool:
        """Whether nothing is known of any law that its own model does not know."""
        return not (self._factors or self.refits or self._fresh)

    # -- the knobs ------------------------------------------------------------------------------------------

    def factor(self, law: ExecutorModel) -> float:
        """Calibration factor in force; 1 where none is set."""
        return self._factors.get(law, 1.0)

    def set_factor(self, law: ExecutorModel, factor: float) -> None:
        """Put a factor in force."""
        if factor == 1.0:
            self._factors.pop(law, None)
        else:
            self._factors[law] = factor

    def suspect(self, law: ExecutorModel, fresh: int) -> None:
        """Count as uncertain until `fresh` more results have come."""
        self._fresh[law] = fresh

    def suspected(self, law: ExecutorModel) -> int:
        """Results still missing until the law counts as certain; 0: it does."""
        return self._fresh.get(law, 0)

    def refit(
        self, law: ExecutorModel, results: Iterable[tuple[PerfKey, Sequence[float], float, float]]
    ) -> None:
        """Forget the law and learn these results (key, features, seconds, time) from the prior on."""
        fresh = self._unlearned()
        for key, x, service_s, t_s in results:
            fresh.observe(key, x, service_s / self.factor(law), t_s)
        self.refits[law] = fresh

    def _model(self, law: ExecutorModel) -> PerformanceModel:
        return self.refits.get(law, self.base)
