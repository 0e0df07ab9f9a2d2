"""The planner's policy as a guide to a per-request router: roles as a mask, p as weights."""

from __future__ import annotations

from controller.objective import Objective
from emulation.domain.actions import Choice, MacroPolicy, RouteGuide
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot
from emulation.domain.strict import NoParams


class WeightsScheduler(PromptScheduler):
    """Masks every executor outside the roles; leaves the choice among the rest to the router."""

    Config = NoParams

    def __init__(self, testbed: TestbedConfig, config: NoParams, seed: int, objective: Objective) -> None:
        self._testbed = testbed
        self._last: tuple[MacroPolicy | None, Choice[RouteGuide]] | None = None
        """A policy, which is never changed, and the guide that it makes."""

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """Mask and weights of the policy; no guidance before there is one."""
        if self._last is None or self._last[0] is not policy:
            self._last = policy, guided(self._testbed, policy)
        return self._last[1]


def guided(testbed: TestbedConfig, policy: MacroPolicy | None) -> Choice[RouteGuide]:
    """A policy as a guide: executors of which the roles use no model masked, p as weights; empty without a policy.

    A device serves what it serves, whatever role it was given: it is never masked for that.
    """
    guide = RouteGuide()
    if policy is not None:
        pods = {n.id for n in testbed.nodes if n.hosting == "pods"}
        weights = {(m, node): share for m, shares in policy.p.items() for node, share in shares.items()}
        masked = frozenset(
            e.id
            for e in testbed.executors()
            if e.node in pods and all(policy.roles.get(e.node, {}).get(m, "off") == "off" for m in e.models)
        )
        guide = RouteGuide(masked=masked, weights=weights)
    return Choice(guide, "roles as mask, p as weights")
