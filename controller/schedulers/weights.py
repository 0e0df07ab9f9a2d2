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
        self._testbed = testbed
        self.reason = "roles as mask, p as weights"

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> RouteGuide:
        """Mask and weights of the policy; no guidance before there is one."""
        return guide_of(self._testbed, policy)


def guide_of(testbed: TestbedConfig, policy: MacroPolicy | None) -> RouteGuide:
    """A policy as a guide: executors outside the roles masked, p as weights; empty without a policy."""
    if policy is None:
        return RouteGuide()
    weights = {(m, node): share for m, shares in policy.p.items() for node, share in shares.items()}
    return RouteGuide(masked=outside_roles(testbed, policy), weights=weights)


def outside_roles(testbed: TestbedConfig, policy: MacroPolicy) -> frozenset[str]:
    """Executors of which the policy's roles use no model."""
    return frozenset(
        e.id
        for e in testbed.executors()
        if all(policy.roles.get(e.node, {}).get(m, "off") == "off" for m in e.models)
    )
