"""Global planners: once per epoch, which node runs what and how traffic splits. One file each.

Read first: `search.py` (the `rules` planner), `moves.py` (its search), `estimate.py` (what a plan is worth),
`experience.py` (what is carried from epoch to epoch), `memory.py` (what was tried before),
`given.py` (the scenario's plan).
Every class takes `(testbed, config, seed, objective, what_if)`, has a pydantic `Config`, and is a `GlobalPlanner`.
"""

from __future__ import annotations

from typing import Any, Protocol

from controller.objective import Objective
from controller.planners.given import GivenPlanner
from controller.planners.search import SearchPlanner
from controller.whatif import WhatIf
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import GlobalPlanner


class PlannerType(Protocol):
    """What every entry of `PLANNERS` is."""

    Config: type[Any]

    def __call__(
        self,
        testbed: TestbedConfig,
        config: Any,
        seed: int,
        objective: Objective,
        what_if: WhatIf | None = None,
    ) -> GlobalPlanner: ...


PLANNERS: dict[str, PlannerType] = {"search": SearchPlanner, "given": GivenPlanner}

__all__ = ["PLANNERS", "PlannerType"]
