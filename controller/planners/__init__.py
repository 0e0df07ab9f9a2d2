"""Global planners: once per epoch, which node runs what and how traffic splits. One file each.

Read first: `fluid.py` (the search), `estimate.py` (what a plan is worth), `given.py` (the scenario's plan).
Every class takes `(testbed, config, seed, objective)`, has a pydantic `Config`, and is a `GlobalPlanner`.
"""

from __future__ import annotations

from typing import Any, Protocol

from controller.objective import Objective
from controller.planners.fluid import FluidPlanner
from controller.planners.given import GivenPlanner
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import GlobalPlanner


class PlannerType(Protocol):
    """What every entry of `PLANNERS` is."""

    Config: type[Any]

    def __call__(
        self, testbed: TestbedConfig, config: Any, seed: int, objective: Objective
    ) -> GlobalPlanner: ...


PLANNERS: dict[str, PlannerType] = {"fluid": FluidPlanner, "given": GivenPlanner}

__all__ = ["PLANNERS", "PlannerType"]
