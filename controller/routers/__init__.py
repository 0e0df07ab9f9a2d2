"""Routers: one choice per request. Read `router.py` (what one is), `sect.py`, then `table.py`.

A new router is one file and one line in `ROUTERS`; `tests/contracts/test_routers.py` checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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

ROUTERS: dict[str, type[Any]] = {
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


def make_router(
    name: str,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    slot_s: float | None = None,
    **truth: Callable[..., float],
) -> Router:
    """A router by its registry name, its parameters validated by its own Config.

    `slot_s` is given to routers that know slots, unless `params` states it. `truth` goes to the oracle only.
    Raises `ValueError` on an unknown name or parameter, or an oracle without its truth.
    """
    if name not in ROUTERS:
        raise ValueError(f"unknown router {name!r}; known: {sorted(ROUTERS)}")
    kind = ROUTERS[name]
    given = dict(params or {})
    if slot_s is not None and "slot_s" in kind.Config.model_fields:
        given.setdefault("slot_s", slot_s)
    config = kind.Config(**given)
    if name != "oracle":
        router: Router = kind(config, seed)
        return router
    if not {"true_service_s", "true_backlog_s"} <= set(truth):
        raise ValueError("router 'oracle' needs true_service_s and true_backlog_s")
    return Oracle(config, seed, **truth)  # type: ignore[arg-type]
