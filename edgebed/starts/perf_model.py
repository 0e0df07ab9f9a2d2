"""A performance model of mine, and a scheme to compare it by."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from pydantic import Field

from controller.perf.prior import Prior
from controller.schemes import Scheme
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel, Prediction


class Mine(PerformanceModel):
    """The profile times one factor per executor and model: a running mean of observed over profiled seconds."""

    class Config(Strict):
        """Parameters, set in a scenario under `controllers`."""

        step: float = Field(default=0.1, gt=0, le=1)
        """Weight of the newest result."""

    def __init__(self, testbed: TestbedConfig, config: Config | None = None) -> None:
        self._step = (config or self.Config()).step
        self._profile = Prior(testbed)
        self._factors: dict[PerfKey, tuple[float, int]] = {}
        """Factor, and how many results stand behind it."""

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Seconds that work of these features takes. Raises `KeyError` for an executor that does not exist."""
        plain, (factor, samples) = self._profile.predict(key, x), self._factors.get(key, (1.0, 0))
        return Prediction(plain.mean_s * factor, plain.sd_s * factor, samples)

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """Learn from one result; one that cannot be is ignored."""
        if not all(0 <= v < inf for v in (*x, service_s)):
            return
        profiled_s = self._profile.predict(key, x).mean_s
        if profiled_s > 0:
            factor, samples = self._factors.get(key, (1.0, 0))
            self._factors[key] = (factor + self._step * (service_s / profiled_s - factor), samples + 1)

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Seconds per feature, and how unsure that is, from 0 to 1."""
        (theta, uncertainty), (factor, samples) = self._profile.theta(key), self._factors.get(key, (1.0, 0))
        return tuple(c * factor for c in theta), uncertainty / (1 + samples) ** 0.5


MINE = Scheme(
    name="mine",
    paper="outside",
    summary="shortest completion by a model of mine, over full activation",
    router="sect",
    perf="edgebed.starts.perf_model:Mine",
    deployer="full",
)
