"""Prompt scheduling agent of MA with the `rules` reasoner: backlog-aware list scheduling within the roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.capacity import RoleTable, role_table
from controller.demand import Demand, DemandPrior, estimated
from controller.objective import Objective
from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView


class SchedulerConfig(Strict):
    """What is assumed of demand before it is counted."""

    prior: DemandPrior = DemandPrior()


@dataclass(slots=True)
class _Host:
    """A node that may take a model's requests this slot."""

    node: str
    prompts: float
    """Waiting there, and assigned there so far this slot."""
    prompt_s: float
    ready_in_s: float
    share: float
    """p of the policy: breaks ties."""

    def finish_s(self, more_prompts: float) -> float:
        return self.ready_in_s + (self.prompts + more_prompts) * self.prompt_s


class AgentScheduler:
    """Per model, gives each origin in turn the host where an average request would finish first.

    Hosts are the available nodes whose role serves the model; so the table departs from p whenever backlog
    says so, never from the roles, and p decides ties. Origins take turns in inventory order, rotated by one
    each slot. Seconds per prompt come from the profile, with the CPU split and GPU sharing the roles imply.
    """

    Config = SchedulerConfig

    def __init__(
        self, testbed: TestbedConfig, config: SchedulerConfig, seed: int, objective: Objective
    ) -> None:
        self._testbed = testbed
        self._config = config
        self._objective = objective
        self._policy: MacroPolicy | None = None
        self._table: RoleTable | None = None
        self._prompt_s: dict[tuple[str, str], float] = {}
        self._origins = [n.id for n in testbed.nodes]
        self.reason = ""

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> RouteGuide:
        """Table (origin, model) to node for the slot; without a policy, over every routable node."""
        if self._table is None or policy is not self._policy:
            roles = [dict(policy.roles.get(n, {})) if policy else {} for n in self._origins]
            self._table, self._policy = role_table(self._testbed, [[role] for role in roles]), policy
        demand = estimated(self._testbed, self._objective, self._config.prior, snapshot)
        self._prompt_s = self._seconds_per_prompt(self._table, demand)
        turn = snapshot.slot % len(self._origins)
        origins = self._origins[turn:] + self._origins[:turn]
        table: dict[tuple[str, str], str] = {}
        for i, model in enumerate(self._testbed.models):
            size = float(demand.prompts_per_request[i])
            hosts = self._hosts(snapshot, policy, model.id)
            for origin in origins:
                best = min(hosts, key=lambda h: (h.finish_s(size), -h.share))
                best.prompts += size
                table[origin, model.id] = best.node
        self.reason = (
            "least expected finish within the roles" if policy else "least expected finish, no policy yet"
        )
        return RouteGuide(table=table)

    def _hosts(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None, model: str) -> list[_Host]:
        """Where the model may go: available role hosts; if there are none, any available routable node."""
        shares: Mapping[str, float] = policy.p.get(model, {}) if policy else {}
        routable = self._testbed.routable(model)
        views = {v.id: v for v in snapshot.nodes}
        up = [n for n in routable if n in views and views[n].available]
        in_role = [n for n in routable if policy and policy.roles.get(n, {}).get(model, "off") != "off"]
        chosen = [n for n in in_role if n in up] or up or list(routable)
        found: list[_Host] = []
        for node in chosen:
            view = views.get(node)
            executor = _executor(view.executors if view else (), model)
            prompts = sum(executor.backlog_prompts.values()) if executor else 0.0
            wait_s = executor.ready_in_s if executor else 0.0
            prompt_s = self._prompt_s.get((node, model), self._objective.slot_s)
            found.append(_Host(node, prompts, prompt_s, wait_s, shares.get(node, 0.0)))
        return found

    def _seconds_per_prompt(self, table: RoleTable, demand: Demand) -> dict[tuple[str, str], float]:
        """(node, model) to seconds per prompt of the role's pod under this demand."""
        capacity = table.capacity(table.first[None, :], demand.prompts_per_s)[0]
        return {
            (node, model.id): 1.0 / float(capacity[n, i])
            for n, node in enumerate(self._origins)
            for i, model in enumerate(self._testbed.models)
            if capacity[n, i] > 0
        }


def _executor(executors: tuple[ExecutorView, ...], model: str) -> ExecutorView | None:
    for executor in executors:
        if model in executor.models:
            return executor
    return None
