"""The scenario's given plan as a macro policy: same roles every epoch, split by capacity."""

from __future__ import annotations

from pydantic import Field

from controller.capacity import role_table
from controller.demand import DemandPrior, estimated
from controller.objective import Objective
from controller.planners.policy import proportional
from controller.whatif import WhatIf
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.cluster import Mode, Strict, TestbedConfig
from emulation.domain.feasibility import given_plan_violations
from emulation.domain.ports import GlobalPlanner
from emulation.domain.snapshot import ClusterSnapshot


class GivenConfig(Strict):
    """The plan and the guess of demand its split starts from."""

    plan: dict[str, dict[str, Mode]] = Field(default_factory=dict)
    """Node to model to mode; absent is off."""
    prior: DemandPrior = DemandPrior()


class GivenPlanner(GlobalPlanner):
    """Raises `ValueError` at construction if the plan breaks a rule that planned ones obey."""

    Config = GivenConfig

    def __init__(
        self,
        testbed: TestbedConfig,
        config: GivenConfig,
        seed: int,
        objective: Objective,
        what_if: WhatIf | None = None,
    ) -> None:
        wrong = given_plan_violations(testbed, config.plan)
        if wrong:
            raise ValueError(f"given plan: {'; '.join(wrong)}")
        self._testbed = testbed
        self._config = config
        self._objective = objective
        self._roles = {n.id: dict(config.plan.get(n.id, {})) for n in testbed.nodes}
        self._table = role_table(testbed, [[role] for role in self._roles.values()])

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """The given roles, with p in proportion to each node's capacity under the demand seen so far."""
        demand = estimated(self._testbed, self._objective, self._config.prior, snapshot)
        capacity = self._table.capacity(self._table.first[None, :], demand.prompts_per_s)
        return Choice(proportional(self._testbed, self._roles, capacity[0]), "given plan")
