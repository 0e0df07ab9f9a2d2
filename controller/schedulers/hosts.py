"""Where a model's requests may go this slot, and how long work takes there: what every prompt scheduler looks at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from mypy_extensions import mypyc_attr

from controller.belief import ServiceBelief
from controller.demand import DemandPrior, counted
from controller.objective import Objective
from controller.pod_rates import PodRates
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.native import Native
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView


@dataclass(init=False, slots=True)
class Host(Native):
    """A node that may take a model's requests this slot."""

    node: str
    prompts: float
    """Waiting there, and assigned there so far this slot."""
    prompt_s: float
    ready_in_s: float
    share: float
    """p of the policy: breaks ties."""

    def __init__(self, node: str, prompts: float, prompt_s: float, ready_in_s: float, share: float) -> None:
        self.node = node
        self.prompts = prompts
        self.prompt_s = prompt_s
        self.ready_in_s = ready_in_s
        self.share = share

    def finish_s(self, more_prompts: float = 0.0) -> float:
        """Seconds until what waits there, and so many prompts more, are done."""
        return self.ready_in_s + (self.prompts + more_prompts) * self.prompt_s


@mypyc_attr(allow_interpreted_subclasses=True)
class Hosts:
    """Hosts under the latest policy.

    Seconds per prompt come from the profile as finished work has corrected it, with the CPU split and GPU sharing the
    roles imply.
    """

    def __init__(self, testbed: TestbedConfig, objective: Objective, prior: DemandPrior) -> None:
        self.prompts_per_s: list[float] = []
        self.prompts_per_request: list[float] = []
        """Demand per model, in inventory order, as counted up to the last look."""
        self._testbed = testbed
        self._belief = ServiceBelief(testbed)
        self._laws = self._belief.profile
        self._objective = objective
        self._prior = prior
        self._policy: MacroPolicy | None = None
        self._pods: PodRates | None = None
        """Those of the policy's roles."""

    def look(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> dict[str, list[Host]]:
        """Model to the hosts that may take it: available nodes whose role serves it.

        Without a policy, or if there are none, any available node it may be routed to.
        """
        moved = self._belief.learn(snapshot.window)
        if moved:
            self._laws = self._belief.laws()
        pods = self._pods
        if pods is None or policy is not self._policy:
            pods = self._pods = PodRates(self._testbed, policy.roles if policy else {})
            self._policy, moved = policy, True
        if moved:
            pods.learn(self._laws)
        self.prompts_per_s, self.prompts_per_request = counted(
            self._testbed, self._objective, self._prior, snapshot
        )
        prompt_s = pods.seconds_per_prompt(self.prompts_per_s)
        up = {v.id for v in snapshot.nodes if v.available}
        there = {(v.id, m): e for v in snapshot.nodes for e in v.executors for m in e.models}
        return {m.id: self._of(m.id, policy, prompt_s, up, there) for m in self._testbed.models}

    def _of(
        self,
        model: str,
        policy: MacroPolicy | None,
        prompt_s: Mapping[tuple[str, str], float],
        up: Collection[str],
        there: Mapping[tuple[str, str], ExecutorView],
    ) -> list[Host]:
        shares: Mapping[str, float] = policy.p.get(model, {}) if policy else {}
        routable = self._testbed.routable(model)
        roles = policy.roles if policy else {}
        in_role = [n for n in routable if n in up and roles.get(n, {}).get(model, "off") != "off"]
        hosts: list[Host] = []
        for node in in_role or [n for n in routable if n in up] or routable:
            executor = there.get((node, model))
            prompts = sum(executor.backlog_prompts.values()) if executor else 0.0
            wait_s = executor.ready_in_s if executor else 0.0
            each_s = prompt_s.get((node, model), self._objective.slot_s)
            hosts.append(Host(node, prompts, each_s, wait_s, shares.get(node, 0.0)))
        return hosts


def dealt_out(hosts: Sequence[Host], origins: Sequence[str], size: float) -> dict[str, str]:
    """Each origin in turn to the host that would finish a request of this size first; of equals, the larger share."""
    ahead = [(host.finish_s(size), -host.share, i) for i, host in enumerate(hosts)]
    heapify(ahead)
    found: dict[str, str] = {}
    for origin in origins:
        _, share, first = ahead[0]
        best = hosts[first]
        best.prompts += size
        heapreplace(ahead, (best.finish_s(size), share, first))
        found[origin] = best.node
    return found
