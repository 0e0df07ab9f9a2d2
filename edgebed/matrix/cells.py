"""The cells of a plan, each a scenario under some values of its parameters, and the runs to be made in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from controller.schemes import Scheme
from edgebed.matrix.axes import changed, said_value
from edgebed.matrix.keys import run_key, scenario_digest, scheme_digest
from edgebed.matrix.metrics import METRICS
from edgebed.matrix.plan import MOST_RUNS, MatrixPlan, PoolEntry, ScenarioEntry
from edgebed.wiring.parts import find_scheme
from emulation.domain.mistakes import ConfigError, Mistake
from emulation.domain.scenario import Scenario
from emulation.files import is_file, load_scenario
from workloads.pools import random_pool


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition under which all schemes are compared."""

    scenario: str
    """Name of the entry of the plan."""
    testbed: str
    settings: tuple[tuple[str, str], ...]
    """Parameters and their values, as tables show them."""
    build: Callable[[int], Scenario]
    """From a seed to the scenario to run with it; the same for every seed unless testbeds are drawn."""
    drawn: bool
    """Whether each seed has a testbed of its own."""

    def __str__(self) -> str:
        return ", ".join([self.scenario, *(f"{key} {value}" for key, value in self.settings)])


@dataclass(frozen=True, slots=True)
class Job:
    """One run to make."""

    cell: Cell
    scheme: Scheme
    seed: int
    key: str

    def __str__(self) -> str:
        return f"{self.cell}, {self.scheme.name}, seed {self.seed}"


def cells_of(plan: MatrixPlan, beside: Path) -> list[Cell]:
    """Every cell of a plan, in its order; `beside`: the folder that its paths are relative to.

    Raises `ConfigError`, before any is built, for more runs than there may be; then naming the entry for a scenario
    that cannot be read and a parameter that does not fit it.
    """
    cells = sum(prod(map(len, _axes(entry, plan).values())) for entry in plan.scenarios)
    runs = cells * len(plan.schemes) * len(plan.seeds)
    if runs > MOST_RUNS:
        raise ConfigError(
            f"{plan.name}: has {runs} runs; {MOST_RUNS} are the most, so name fewer values or seeds"
        )
    return [cell for entry in plan.scenarios for cell in _cells_of(entry, plan, beside)]


def jobs_of(plan: MatrixPlan, cells: Sequence[Cell]) -> list[Job]:
    """Every run, seeds outermost, so that what an interrupt leaves is whole seeds of everything.

    Raises `ConfigError` for an unknown scheme, and for two cells that are one: each counts as a sample.
    """
    schemes = [find_scheme(name) for name in plan.schemes]
    digests = {scheme.name: scheme_digest(scheme) for scheme in schemes}
    jobs = []
    first = {id(cell): scenario_digest(cell.build(plan.seeds[0])) for cell in cells}
    _check_apart(cells, [first[id(cell)] for cell in cells])
    for seed in plan.seeds:
        for cell in cells:
            of = scenario_digest(cell.build(seed)) if cell.drawn else first[id(cell)]
            for scheme in schemes:
                key = run_key(of, digests[scheme.name], seed, plan.warm_up)
                jobs.append(Job(cell, scheme, seed, key))
    return jobs


def _check_apart(cells: Sequence[Cell], digests: Sequence[str]) -> None:
    """Raise `ConfigError` for the first cell that is another one over again, under whatever name."""
    known: dict[str, Cell] = {}
    for cell, digest in zip(cells, digests, strict=True):
        if digest in known:
            raise ConfigError(
                f"cells '{known[digest]}' and '{cell}': are the same scenario, and would count twice; remove one"
            )
        known[digest] = cell


def _axes(entry: ScenarioEntry, plan: MatrixPlan) -> dict[str, tuple[Any, ...]]:
    """Parameters of an entry and the values that they take."""
    return {**plan.parameters, **entry.parameters}


def _cells_of(entry: ScenarioEntry, plan: MatrixPlan, beside: Path) -> Iterator[Cell]:
    axes = _axes(entry, plan)
    base = _base(entry, beside)
    for values in product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        said = tuple((key, said_value(value)) for key, value in settings.items())
        where = ", ".join([f"scenario {entry.label}", *(f"{key} {value}" for key, value in said)])
        try:
            first = changed(changed(base(plan.seeds[0]), entry.set), settings)
            _check_metric(first, plan)
        except Mistake as error:
            raise ConfigError(f"{where}: {error}") from error
        drawn = entry.pool is not None
        build = partial(_drawn, base, entry.set, settings) if drawn else partial(_fixed, first)
        testbed = f"{entry.pool.devices} devices, drawn" if entry.pool is not None else first.testbed.name
        yield Cell(entry.label, testbed, said, build, drawn)


def _base(entry: ScenarioEntry, beside: Path) -> Callable[[int], Scenario]:
    if entry.pool is not None:
        return partial(_pool, entry.pool)
    named = entry.scenario or ""
    return partial(_fixed, load_scenario(beside / named if is_file(beside / named) else named))


def _pool(of: PoolEntry, seed: int) -> Scenario:
    return random_pool(seed, of.devices, of.mismatch_sigma, of.service_cv, of.load, of.plan)


def _fixed(scenario: Scenario, _: int) -> Scenario:
    return scenario


def _drawn(
    base: Callable[[int], Scenario], always: Mapping[str, Any], settings: Mapping[str, Any], seed: int
) -> Scenario:
    return changed(changed(base(seed), always), settings)


def _check_metric(scenario: Scenario, plan: MatrixPlan) -> None:
    if METRICS[plan.rank_by].needs_deadline and scenario.deadline_s is None:
        raise ConfigError(
            f"has no deadline, so there is no {METRICS[plan.rank_by].label} to rank by; set deadline_s, or rank by"
            " another figure"
        )
