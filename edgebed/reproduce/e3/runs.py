"""One cell of a reproduction: a setting, a scheme and a seed, run in virtual time in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.meta.audit import counts
from controller.schemes import SCHEMES, Scheme
from edgebed.runs.pool import each
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.metrics import calibration
from workloads.pools import peak_load

Build = Callable[[int], Scenario]
"""From a seed to the scenario to run with it; picklable, as cells go to other processes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of conditions: how its scenarios are made, and what the paper has for it."""

    name: str
    title: str
    build: Build
    skip: int = 0
    """Tasks of a forced warm-up: figures are given over all tasks and over those after it."""
    pool: bool = True
    """Whether it is a family of random pools rather than the paper's four devices."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A scheme under a name of its own, with parameters of its controllers changed."""

    label: str
    scheme: Scheme
    controllers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def variant(name: str) -> Variant:
    """A scheme of the table as it stands. Raises `KeyError` on an unknown name."""
    return Variant(name, SCHEMES[name])


@dataclass(frozen=True, slots=True)
class Cell:
    """One run to make."""

    setting: Setting
    variant: Variant
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run left for the tables."""

    setting: str
    label: str
    seed: int
    latencies_s: tuple[float, ...]
    """By task index."""
    stutters: tuple[bool, ...]
    predictions: int
    within_80: int
    within_95: int
    reasoner_calls: int
    tool_calls: int
    peak_load: float | None
    """Highest true load of a type at any time; None outside the random pools."""
    peak_load_avoiding: float | None
    """The same if degraded devices are not used at all."""


def scenario_of(cell: Cell) -> Scenario:
    """The scenario of a cell, the parameters of its variant merged into those of its controllers."""
    scenario = cell.setting.build(cell.seed)
    merged = {**scenario.controllers}
    for name, parameters in cell.variant.controllers.items():
        merged[name] = {**merged.get(name, {}), **parameters}
    return scenario.model_copy(update={"controllers": merged})


def measure(cell: Cell) -> Outcome:
    """Run one cell. Raises `RuntimeError` if a task was not served: gaps compare all tasks or nothing."""
    scenario = scenario_of(cell)
    run = simulate_in_memory(scenario, cell.variant.scheme, cell.seed)
    rows = sorted((r for r in run.requests if r.counted), key=lambda r: r.request_id)
    lost = [r for r in rows if r.outcome != "done"]
    if lost or not rows:
        raise RuntimeError(
            f"{cell.setting.name}, {cell.variant.label}, seed {cell.seed}: {len(lost)} tasks not served"
        )
    stated = calibration(rows)
    calls, tools = counts(run.decisions)
    return Outcome(
        setting=cell.setting.name,
        label=cell.variant.label,
        seed=cell.seed,
        latencies_s=tuple(r.ended_s - r.intended_s for r in rows),
        stutters=tuple(r.stutter for r in rows),
        predictions=stated.n if stated else 0,
        within_80=round(stated.within_80 * stated.n) if stated else 0,
        within_95=round(stated.within_95 * stated.n) if stated else 0,
        reasoner_calls=calls,
        tool_calls=tools,
        peak_load=peak_load(scenario, cell.seed) if cell.setting.pool else None,
        peak_load_avoiding=peak_load(scenario, cell.seed, avoiding=True) if cell.setting.pool else None,
    )


def run_cells(cells: Sequence[Cell], workers: int | None = None) -> Iterator[Outcome]:
    """Run every cell on all cores, yielding each as it ends. Stopping early cancels what has not begun."""
    yield from each(measure, cells, workers)
