"""What a decider holds to be true of the testbed's speed: the profile, corrected by finished work.

Per (node, model, mode) one factor, true over profiled time, log-normal: prior exp(N(0, prior_sigma^2)), then
precision-weighted by every finished request (a conjugate normal update of its logarithm). What has not been seen keeps
its prior; `optimism` lets a planner try such places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, sqrt

from mypy_extensions import mypyc_attr

from controller.belief_config import BeliefConfig as BeliefConfig
from emulation.domain.cluster import Mode, ProfileEntry, TestbedConfig
from emulation.domain.snapshot import Window, WorkStats

ServiceKey = tuple[str, str, Mode]
"""Node, model, mode."""
Laws = Mapping[ServiceKey, tuple[float, ...]]
"""Coefficients of every feasible law, seconds."""


NOTICEABLE = 0.03
"""Change of a logarithm that is worth acting on."""


@dataclass(slots=True)
class _Factor:
    mean: float = 0.0
    precision: float = 1.0

    def take(self, value: float, precision: float, most: float) -> None:
        total = self.precision + precision
        self.mean += (value - self.mean) * precision / total
        self.precision = min(total, most)


@mypyc_attr(allow_interpreted_subclasses=True)
class ServiceBelief:
    """Learns from the windows of telemetry; each finished request counts once, however often it is told of."""

    def __init__(self, testbed: TestbedConfig, config: BeliefConfig | None = None) -> None:
        self._testbed = testbed
        self._config = config or BeliefConfig()
        self._profile: dict[ServiceKey, tuple[float, ...]] = {
            (n.id, m, mode): testbed.theta(n.id, m, mode) or ()
            for n in testbed.nodes
            for m in testbed.hosted(n.id)
            for mode in testbed.modes(n.id, m)
        }
        self._speed = {n.id: n.speed for n in testbed.nodes}
        prior = 1.0 / self._config.prior_sigma**2
        self._factors = {law: _Factor(0.0, prior) for law in self._profile}
        self._noticed: dict[ServiceKey, float] = {}
        self._since_s = 0.0
        self._told: Mapping[ServiceKey, WorkStats] = {}

    def learn(self, window: Window) -> bool:
        """Take in what finished since the last look; whether a law has moved noticeably since this last said so."""
        told = self._told if window.since_s == self._since_s else {}
        self._since_s, self._told = window.since_s, window.work
        news = False
        for law, total in window.work.items():
            if law not in self._factors:
                continue
            before = told.get(law)
            requests = total.requests - (before.requests if before else 0)
            if requests <= 0:
                continue
            work_s = total.work_s - (before.work_s if before else 0.0)
            x = [a - (before.x[i] if before else 0.0) for i, a in enumerate(total.x)]
            expected_s = sum([c * v for c, v in zip(self._profile[law], x, strict=True)])
            if work_s <= 0 or expected_s <= 0:
                continue
            config = self._config
            self._factors[law].take(
                log(work_s / expected_s), requests / config.request_cv**2, 1.0 / config.certain**2
            )
            if abs(self._factors[law].mean - self._noticed.get(law, 0.0)) > NOTICEABLE:
                news = True
        if news:
            self._noticed = {law: held.mean for law, held in self._factors.items()}
        return news

    def factor(self, law: ServiceKey, optimism: float = 0.0) -> float:
        """True over profiled time, `optimism` standard deviations on the fast side. Raises `KeyError`."""
        held = self._factors[law]
        return exp(held.mean - optimism / sqrt(held.precision))

    @property
    def profile(self) -> Laws:
        """The laws before anything was learned."""
        return self._profile

    def laws(self) -> Laws:
        """The laws as held now, rounded as those of `testbed` are."""
        held: dict[ServiceKey, tuple[float, ...]] = {}
        for law, theta in self._profile.items():
            speed, factor = self._speed[law[0]], self.factor(law)
            held[law] = tuple([c * speed * factor / speed for c in theta])
        return held

    def testbed(self, optimism: float = 0.0) -> TestbedConfig:
        """The testbed with the laws as held now, one profile entry per law."""
        speed = self._speed
        entries = tuple(
            ProfileEntry.model_construct(  # of numbers that were checked, times a factor
                node=node, model=model, mode="gpu" if mode == "gpu" else "cpu",
                theta=tuple(c * speed[node] * self.factor((node, model, mode), optimism) for c in theta),
                batch=self._testbed.batching(node, model, mode),
                source="as learned",
            )
            for (node, model, mode), theta in self._profile.items()
        )  # fmt: skip
        return self._testbed.model_copy(update={"profile": entries})
