"""Global planners: once per epoch, which node runs what and how traffic splits. One file each.

Read first: `search.py` (the `rules` planner), `moves.py` (its search), `estimate.py` (what a plan is worth),
`experience.py` (what is carried from epoch to epoch), `memory.py` (what was tried before),
`given.py` (the scenario's plan).
Every class takes `(testbed, config, seed, objective, what_if)`, has a pydantic `Config`, and is a `GlobalPlanner`.
"""

from __future__ import annotations

from controller.planners.given import GivenPlanner
from controller.planners.search import SearchPlanner
from controller.registry import DeciderType
from emulation.domain.ports import GlobalPlanner

PLANNERS: dict[str, DeciderType[GlobalPlanner]] = {"search": SearchPlanner, "given": GivenPlanner}
