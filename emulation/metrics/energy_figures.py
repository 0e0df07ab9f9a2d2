"""Energy and cost of a run as figures of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulation.domain.cluster import TestbedConfig
from emulation.domain.power import Tier
from emulation.metrics.energy import energy_of
from emulation.metrics.view import RunView, ratio

JOULES_PER_WH = 3600.0


@dataclass(frozen=True, slots=True)
class EnergyFigures:
    """Of the whole record: every request counts here, also one that arrived after the horizon. None: not given."""

    energy_wh: float | None
    """All that the nodes drew, idle power included."""
    idle_wh: float | None
    """Of it, for being there."""
    energy_request_j: float | None
    """Above idle, of all requests, over those that were served: what was begun in vain is in it."""
    energy_request_idle_j: float | None
    """The same with the idle power of all nodes."""
    cost: float | None
    cost_kilorequest: float | None
    """Per 1000 requests served."""
    currency: str | None
    missing: tuple[str, ...]
    """Watts that the testbed does not state, as `idle of VM2`; where there are some, no energy is given."""
    tiers: Mapping[Tier, int]
    """How many of the testbed's watts are how sure."""


def energy_figures(run: RunView, testbed: TestbedConfig) -> EnergyFigures | None:
    """What `energy_of` found, per run and per request; None where the testbed states neither watts nor prices."""
    found = energy_of(run, testbed)
    if found is None:
        return None
    known = not found.missing
    served = sum(r.outcome == "done" for r in run.requests)
    return EnergyFigures(
        energy_wh=found.total_j / JOULES_PER_WH if known else None,
        idle_wh=found.idle_j / JOULES_PER_WH if known else None,
        energy_request_j=ratio(found.dynamic_j, served) if known else None,
        energy_request_idle_j=ratio(found.total_j, served) if known else None,
        cost=found.cost,
        cost_kilorequest=None if found.cost is None else ratio(1000.0 * found.cost, served),
        currency=found.currency,
        missing=found.missing,
        tiers=found.tiers,
    )
