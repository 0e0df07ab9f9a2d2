"""The profile, and nothing learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from controller.perf.config import PriorConfig
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel, Prediction, Spread
from emulation.domain.strict import Strict


class Prior(PerformanceModel):
    """Profiled service law of every key; never learns (the static baselines of E3, section "Defaults").

    On CPU the profile is scaled to the node's full cores. A mode that is infeasible, or `off`, is read as the
    node's first feasible mode, GPU before CPU.
    """

    Config: ClassVar[type[Strict]] = PriorConfig

    learns = False

    def __init__(self, testbed: TestbedConfig, config: PriorConfig | None = None) -> None:
        self._testbed = testbed
        self._relative_sd = (config or PriorConfig()).relative_sd
        self._node_of = {e.id: e.node for e in testbed.executors()}
        self._laws: dict[PerfKey, tuple[float, ...]] = {}
        self._spreads: dict[PerfKey, Spread] = {}

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Profiled seconds of features x. Raises `KeyError` for an executor that does not exist."""
        mean_s = sum([c * v for c, v in zip(self.law(key), x, strict=True)])
        return Prediction(mean_s, self._relative_sd * mean_s, 0)

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Nothing is learned."""

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Profiled coefficients in seconds per feature, and the configured relative uncertainty."""
        return self.law(key), self._relative_sd

    def spread(self, key: PerfKey) -> Spread:
        """As for any model, worked out once."""
        spread = self._spreads.get(key)
        if spread is None:
            spread = self._spreads[key] = super().spread(key)
        return spread

    def law(self, key: PerfKey) -> tuple[float, ...]:
        """Coefficients of the key, cached. Raises `KeyError` for an executor that cannot serve the model."""
        law = self._laws.get(key)
        if law is None:
            law = self._laws[key] = self._profiled(self._node_of[key.executor], key.model, key.mode)
        return law

    def _profiled(self, node_id: str, model: str, mode: Mode) -> tuple[float, ...]:
        feasible = self._testbed.modes(node_id, model)
        if not feasible:
            raise KeyError(f"{node_id} cannot host {model}")
        used = mode if mode in feasible else feasible[0]
        theta = self._testbed.theta(node_id, model, used)
        assert theta is not None
        if used != "cpu":
            return theta
        slower = self._testbed.cpu.slowdown(self._testbed.node(node_id).cores)
        return tuple(c * slower for c in theta)
