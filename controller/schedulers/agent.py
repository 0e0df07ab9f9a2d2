"""Prompt scheduling agent of MA with the `rules` reasoner: backlog-aware list scheduling within the roles."""

from __future__ import annotations

from controller.agents.config import SchedulerMode
from controller.demand import DemandPrior
from controller.objective import Objective
from controller.schedulers.hosts import Hosts, dealt_out
from controller.schedulers.weights import guided
from emulation.domain.actions import Choice, MacroPolicy, RouteGuide
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot


class SchedulerConfig(Strict):
    """What a slot's guide is, and what is assumed of demand before it is counted."""

    mode: SchedulerMode = "table"
    """table: a destination per (origin, model) for the whole slot (MA); guided: the policy as mask and weights of a
    router that chooses per request. A run takes it from `agents.mode`."""
    prior: DemandPrior = DemandPrior()


class AgentScheduler(PromptScheduler):
    """Per model, gives each origin in turn the host where an average request would finish first.

    Hosts are the available nodes whose role serves the model; so the table departs from p whenever backlog
    says so, never from the roles, and p decides ties. Origins take turns in inventory order, rotated by one
    each slot. In mode `guided` the guide is the policy itself, as mask and weights.
    """

    Config = SchedulerConfig

    def __init__(
        self, testbed: TestbedConfig, config: SchedulerConfig, seed: int, objective: Objective
    ) -> None:
        self._testbed = testbed
        self._config = config
        self._hosts = Hosts(testbed, objective, config.prior)
        self._origins = [n.id for n in testbed.nodes]

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """The slot's guide; without a policy, over every routable node."""
        if self._config.mode == "guided":
            return guided(self._testbed, policy)
        hosts_of = self._hosts.look(snapshot, policy)
        turn = snapshot.slot % len(self._origins)
        origins = self._origins[turn:] + self._origins[:turn]
        table: dict[tuple[str, str], str] = {}
        for m, model in enumerate(self._testbed.models):
            size = self._hosts.prompts_per_request[m]
            for origin, node in dealt_out(hosts_of[model.id], origins, size).items():
                table[origin, model.id] = node
        reason = (
            "least expected finish within the roles" if policy else "least expected finish, no policy yet"
        )
        return Choice(RouteGuide(table=table), reason)
