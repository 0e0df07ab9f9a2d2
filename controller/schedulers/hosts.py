"""Where a model's requests may go this slot, and how long work takes there: what every prompt scheduler looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.belief import ServiceBelief
from controller.capacity import RoleTable, role_table
from controller.demand import Demand, DemandPrior, estimated
from controller.objective import Objective
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot


@dataclass(slots=True)
class Host:
    """A node that may take a model's requests this slot."""

    node: str
    prompts: float
    """Waiting there, and assigned there so far this slot."""
    prompt_s: float
    ready_in_s: float
    share: float
    """p of the policy: breaks ties."""

    def finish_s(self, more_prompts: float = 0.0) -> float:
        """Seconds until what waits there, and so many prompts more, are done."""
        return self.ready_in_s + (self.prompts + more_prompts) * self.prompt_s


class Hosts:
    """Hosts under the latest policy.

    Seconds per prompt come from the profile as finished work has corrected it, with the CPU split and GPU sharing the
    roles imply.
    """

    def __init__(self, testbed: TestbedConfig, objective: Objective, prior: DemandPrior) -> None:
        self.demand: Demand
        """As counted up to the last look."""
        self._testbed = testbed
        self._belief = ServiceBelief(testbed)
        self._believed = testbed
        self._objective = objective
        self._prior = prior
        self._policy: MacroPolicy | None = None
        self._table: RoleTable | None = None
        self._prompt_s: dict[tuple[str, str], float] = {}
        self._nodes = [n.id for n in testbed.nodes]

    def look(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> dict[str, list[Host]]:
        """Model to the hosts that may take it: available nodes whose role serves it.

        Without a policy, or if there are none, any available node it may be routed to.
        """
        moved = self._belief.learn(snapshot.window)
        if moved:
            self._believed = self._belief.testbed()
        if self._table is None or moved or policy is not self._policy:
            roles = [dict(policy.roles.get(n, {})) if policy else {} for n in self._nodes]
            self._table, self._policy = role_table(self._believed, [[role] for role in roles]), policy
        self.demand = estimated(self._testbed, self._objective, self._prior, snapshot)
        self._prompt_s = self._seconds_per_prompt(self._table)
        return {m.id: self._of(snapshot, policy, m.id) for m in self._testbed.models}

    def _of(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None, model: str) -> list[Host]:
        shares: Mapping[str, float] = policy.p.get(model, {}) if policy else {}
        routable = self._testbed.routable(model)
        views = {v.id: v for v in snapshot.nodes}
        up = {n: None for n in routable if n in views and views[n].available}
        in_role = [n for n in routable if policy and policy.roles.get(n, {}).get(model, "off") != "off"]
        chosen = [n for n in in_role if n in up] or list(up) or list(routable)
        hosts: list[Host] = []
        for node in chosen:
            view = views.get(node)
            executor = next((e for e in (view.executors if view else ()) if model in e.models), None)
            prompts = sum(executor.backlog_prompts.values()) if executor else 0.0
            wait_s = executor.ready_in_s if executor else 0.0
            prompt_s = self._prompt_s.get((node, model), self._objective.slot_s)
            hosts.append(Host(node, prompts, prompt_s, wait_s, shares.get(node, 0.0)))
        return hosts

    def _seconds_per_prompt(self, table: RoleTable) -> dict[tuple[str, str], float]:
        """(node, model) to seconds per prompt of the role's executor under this demand."""
        capacity = table.capacity(table.first[None, :], self.demand.prompts_per_s)[0]
        return {
            (node, model.id): 1.0 / float(capacity[n, i])
            for n, node in enumerate(self._nodes)
            for i, model in enumerate(self._testbed.models)
            if capacity[n, i] > 0
        }
