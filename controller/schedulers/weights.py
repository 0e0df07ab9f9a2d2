"""The planner's policy as a guide to a per-request router: roles as a mask, p as weights."""

from __future__ import annotations

from controller.objective import Objective
from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot


class WeightsConfig(Strict):
    """Nothing to set."""


class WeightsScheduler:
    """Masks every executor outside the roles; leaves the choice among the rest to the router."""

    Config = WeightsConfig

    def __init__(
        self, testbed: TestbedConfig, config: WeightsConfig, seed: int, objective: Objective
    ) -> None:
        self._executors = testbed.executors()
        self.reason = "roles as mask, p as weights"

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> RouteGuide:
        """Mask and weights of the policy; no guidance before there is one."""
        if policy is None:
            return RouteGuide()
        masked = frozenset(
            e.id
            for e in self._executors
            if all(policy.roles.get(e.node, {}).get(m, "off") == "off" for m in e.models)
        )
        weights = {(m, node): share for m, shares in policy.p.items() for node, share in shares.items()}
        return RouteGuide(masked=masked, weights=weights)
