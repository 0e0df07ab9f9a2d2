"""Routers: one choice per request. Read `router.py` (what one is), `sect.py`, then `table.py`.

A new router is one file and one line in `ROUTERS`; `edgebed check` and `tests/contracts` hold it to the same laws.
"""

from __future__ import annotations

from controller.routers.explore_risk import ExploreRisk
from controller.routers.fixed_heuristic import FixedHeuristic
from controller.routers.least_backlog import LeastBacklog
from controller.routers.local import Local
from controller.routers.oracle import Oracle
from controller.routers.power_of_two import PowerOfTwo
from controller.routers.random_slot import RandomSlot
from controller.routers.round_robin import RoundRobin
from controller.routers.round_robin_single import RoundRobinSingle
from controller.routers.router import Router
from controller.routers.sect import Sect
from controller.routers.table import Table
from controller.routers.uniform import Uniform

ROUTERS: dict[str, type[Router]] = {
    "explore_risk": ExploreRisk,
    "fixed_heuristic": FixedHeuristic,
    "least_backlog": LeastBacklog,
    "local": Local,
    "oracle": Oracle,
    "power_of_two": PowerOfTwo,
    "random": RandomSlot,
    "round_robin": RoundRobin,
    "round_robin_single": RoundRobinSingle,
    "sect": Sect,
    "table": Table,
    "uniform": Uniform,
}
