"""A controller on wall time without Ray: whom it calls, who say what a test has them say."""

from __future__ import annotations

from emulation.domain.actions import MacroPolicy
from serve_apps.deciders.roles import DeployerHost, PlannerHost
from serve_apps.wire.names import EVENTS, PLANNER, RECORDER, deployer_name, runtime_name
from serve_apps.wire.news import News
from tests.build.calls import InMemoryCalls
from tests.build.controllers import (
    Books,
    Node,
)


class World:
    """One node, a recorder, a planner and an event player who say what the test has them say."""

    def __init__(self) -> None:
        self.node, self.books = Node(), Books()
        self.policies: News[MacroPolicy] = News()
        self.outages: News[str | None] = News()
        self.policies.begin("run")
        self.outages.begin("run")
        self.calls = InMemoryCalls(
            {
                runtime_name("n"): self.node,
                RECORDER: self.books,
                PLANNER: self.policies,
                EVENTS: self.outages,
            }
        )

    def deployer(self) -> DeployerHost:
        return DeployerHost(deployer_name("n"), self.calls, dict, "n")

    def planner(self) -> PlannerHost:
        return PlannerHost(PLANNER, self.calls, dict)
