"""What must be said beside figures of energy and cost: where they come from, or why there are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulation.domain.cluster import TestbedConfig
from emulation.domain.power import TIERS
from emulation.metrics.energy_figures import EnergyFigures

_NAMED = 3
"""Watts that are missing and named one by one."""


def energy_remarks(testbed: TestbedConfig, figures: Sequence[EnergyFigures | None]) -> tuple[str, ...]:
    """One sentence on energy and one on cost, of the runs of one testbed; none without runs."""
    known = [f for f in figures if f is not None]
    if not figures:
        return ()
    if not known:
        return (f"energy and cost: not given, as testbed {testbed.name} states neither watts nor prices",)
    missing = list(dict.fromkeys(m for f in known for m in f.missing))
    return _energy(testbed, known, missing), _cost(testbed, known)


def _energy(testbed: TestbedConfig, known: Sequence[EnergyFigures], missing: Sequence[str]) -> str:
    if missing:
        some = ", ".join(missing[:_NAMED]) + (
            f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        )
        where = "energy" if all(f.missing for f in known) else "energy of some runs"
        return f"{where}: not given, as testbed {testbed.name} states no watts for {some}"
    sure = _counted((tier, known[0].tiers.get(tier, 0)) for tier in TIERS)
    return f"energy is computed from the record and the testbed's watts ({sure}), not measured"


def _cost(testbed: TestbedConfig, known: Sequence[EnergyFigures]) -> str:
    if testbed.prices is None:
        return f"cost: not given, as testbed {testbed.name} states no prices"
    if any(f.cost is None for f in known):
        return f"cost: not given, as testbed {testbed.name} does not state what every node's hours or energy cost"
    return f"cost is in {testbed.prices.currency}, by the testbed's prices"


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts if count)
