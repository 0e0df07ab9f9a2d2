"""Schemes: every system of both papers, and ours, as rows of one table. No name stands for two things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from controller.agents.config import ROLES, AgentRole
from controller.agents.reasoner import NONE, RULES, ReasonerLabel
from emulation.domain.scenario import Scenario

Paper = Literal["E3", "MA", "ours", "outside"]
"""Where a scheme comes from; `outside`: from another package."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A named composition of controllers: each field is a name in the registry of that port, or the path of a class of
    somebody else's, `package.module:Class`."""

    name: str
    paper: Paper
    summary: str
    router: str
    perf: str = "prior"
    """What the router's predictions come from."""
    deployer: str = "static"
    scheduler: str | None = None
    planner: str | None = None
    """Used when the scenario gives no plan; see `planner_for`."""
    reasoner: ReasonerLabel = NONE
    meta: str | None = None
    """Event-driven meta-controller, where the scheme has one."""
    router_params: Mapping[str, Any] = field(default_factory=dict)
    """Given to the router's own Config, under what the scenario sets for it."""
    fast_path_params: Mapping[str, Any] = field(default_factory=dict)
    """The same of the fast path."""
    planner_params: Mapping[str, Any] = field(default_factory=dict)
    """The same of the planner."""
    plans_itself: bool = False
    """Its planner plans where the scenario gives a plan, too."""

    def label(self) -> str:
        """Name for tables: nothing run by rules is called agentic without saying so."""
        return self.name if self.reasoner == NONE else f"{self.name} ({self.reasoner})"

    def part_names(self) -> tuple[str, str, str, str | None, str | None]:
        """Its router, performance model, deployer, scheduler and planner."""
        return self.router, self.perf, self.deployer, self.scheduler, self.planner

    def agents(self) -> tuple[AgentRole, ...]:
        """Roles in which a reasoner may think, planner first."""
        if self.reasoner == NONE:
            return ()
        has = {"planner": self.planner, "scheduler": self.scheduler, "deployer": self.deployer == "agent"}
        return tuple(role for role in ROLES if has[role])

    def planner_for(self, scenario: Scenario) -> str | None:
        """`given` where the scenario has a plan for schemes that follow one; else this scheme's planner."""
        if self.planner is not None and scenario.plan is not None and not self.plans_itself:
            return "given"
        return self.planner


_ROWS = (
    Scheme("fixed-heuristic", "E3", "fastest executor by profile, blind to backlog", "fixed_heuristic"),
    Scheme("round-robin", "E3", "one pointer over all devices, skips incapable ones", "round_robin_single"),
    Scheme("round-robin-per-type", "E3", "one pointer per model", "round_robin"),
    Scheme("oracle", "E3", "shortest completion by the current truth, no future", "oracle"),
    Scheme(
        "oracle-safe", "E3", "the oracle, kept off stuttering devices while another can serve", "oracle",
        router_params={"avoid_stutter": True},
    ),
    Scheme(
        "oracle-courteous", "ours", "the oracle with the wait counted three times: not myopic", "oracle",
        router_params={"courtesy": 2.0},
    ),
    Scheme(
        "oracle-courteous-safe", "ours", "oracle-courteous, kept off stuttering devices as e3 is", "oracle",
        router_params={"courtesy": 2.0, "avoid_stutter": True},
    ),
    Scheme("e3", "E3", "shortest completion, learning with change detection, exploring, meta-controlled",
           "explore_risk", "bayes", meta="e3", reasoner=RULES, router_params={"courtesy": 2.0}),
    Scheme("e3-nnls", "E3", "the paper's own model: windowed least squares, no optimism, meta-controlled",
           "explore_risk", "nnls", meta="e3", reasoner=RULES, router_params={"explore": 0.0}),
    Scheme("e3-alone", "E3", "e3 without its meta-controller", "explore_risk", "bayes",
           router_params={"courtesy": 2.0}),
    Scheme("e3-prior", "E3", "shortest completion by the profile, never learns", "sect"),
    Scheme("power-of-two", "ours", "the better of two random devices, by the profile", "power_of_two"),
    Scheme("least-backlog", "ours", "the least predicted wait, by the profile", "least_backlog"),
    Scheme("sect", "ours", "shortest completion, learning, over full activation", "sect", "nnls", "full"),
    Scheme("RR", "MA", "random routing, random deployment", "random", deployer="random"),
    Scheme("RF", "MA", "random routing, full activation", "random", deployer="full"),
    Scheme("RL", "MA", "random routing, Lyapunov deployment", "random", deployer="lyapunov"),
    Scheme("AL", "MA", "uniform routing, Lyapunov deployment", "uniform", deployer="lyapunov"),
    Scheme("LL", "MA", "local processing, Lyapunov deployment", "local", deployer="lyapunov"),
    Scheme(
        "MAL", "MA", "planner and scheduler agents, Lyapunov deployment", "table",
        deployer="lyapunov", scheduler="agent", planner="search", reasoner=RULES,
    ),
    Scheme(
        "MA", "MA", "planner, scheduler and deployment agents", "table",
        deployer="agent", scheduler="agent", planner="search", reasoner=RULES,
    ),
    Scheme("DRL", "MA", "trained agents: MAPPO routing, deep Q-learning per node", "table",
           deployer="dqn", scheduler="mappo"),
    Scheme(
        "MA+sect", "ours", "planner and deployment agents, per-request SECT within the roles", "sect", "nnls",
        deployer="agent", scheduler="weights", planner="search", reasoner=RULES,
    ),
    Scheme(
        "fused", "ours", "e3 within the roles of MA's planner, which also sets what is refused as too late",
        "explore_risk", "bayes", "agent", "weights", "search", RULES, "e3",
        router_params={"courtesy": 2.0}, fast_path_params={"in_time": 0.9, "risk_bound": 1.5},
        planner_params={"limits": {}, "shortlist": 0, "memory": {"size": 0}}, plans_itself=True,
    ),
)  # fmt: skip

SCHEMES: Mapping[str, Scheme] = MappingProxyType({row.name: row for row in _ROWS})
