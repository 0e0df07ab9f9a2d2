"""Cells: a setting, a scheme and a seed, each one run to make; and what those runs left, by setting and scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from controller.schemes import Scheme
from edgebed.wiring.parts import find_scheme
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario

Left = TypeVar("Left")
Build = Callable[[int], Scenario]
"""From a seed to the scenario to run with it; picklable, as cells go to other processes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Conditions under which schemes are compared: how the scenarios are made."""

    name: str
    title: str
    build: Build
    skip: int = 0
    """Tasks of a forced warm-up: figures are given over all tasks and over those after it."""
    pool: bool = True
    """Whether it is a family of random pools rather than a scenario of the package."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A scheme under a name of its own, with parameters of its controllers changed."""

    label: str
    scheme: Scheme
    controllers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Wanted = Mapping[Setting, Sequence[Variant]]
"""What is run: settings, and who runs in each."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run to make: a scheme under some conditions with one seed."""

    setting: Setting
    variant: Variant
    seed: int

    def __str__(self) -> str:
        return f"{self.setting.name} {self.variant.label} seed {self.seed}"


def packaged(name: str, title: str = "", skip: int = 0) -> Setting:
    """A scenario of the package, the same for every seed; its title defaults to its name."""
    return Setting(name, title or name, partial(_load, name), skip, pool=False)


def _load(name: str, seed: int) -> Scenario:
    return load_scenario(name)


def variant(name: str) -> Variant:
    """A scheme as it stands. Raises `ConfigError` on an unknown name."""
    return Variant(name, find_scheme(name))


def cells(wanted: Wanted, seeds: Callable[[Setting], int]) -> list[Cell]:
    """Every run, seeds outermost, so that what an interrupted reproduction has is whole seeds of everything."""
    most = max((seeds(setting) for setting in wanted), default=0)
    return [
        Cell(setting, each, seed)
        for seed in range(most)
        for setting, variants in wanted.items()
        for each in variants
        if seed < seeds(setting)
    ]


def scenario_of(cell: Cell) -> Scenario:
    """The scenario of a cell, the parameters of its variant merged into those of its controllers."""
    scenario = cell.setting.build(cell.seed)
    merged = {**scenario.controllers}
    for name, parameters in cell.variant.controllers.items():
        merged[name] = {**merged.get(name, {}), **parameters}
    return scenario.model_copy(update={"controllers": merged})


class Results(Generic[Left]):
    """A store of what each run left; `order` is that of schemes in tables."""

    def __init__(self, order: Sequence[str] = ()) -> None:
        self._place = {label: i for i, label in enumerate(order)}
        self._left: dict[tuple[str, str], dict[int, Left]] = {}

    def add(self, cell: Cell, left: Left) -> None:
        """Keep what one run left; a second run of the same cell replaces it."""
        self._left.setdefault((cell.setting.name, cell.variant.label), {})[cell.seed] = left

    def labels(self, setting: str) -> list[str]:
        """Schemes that were run in a setting, in order."""
        run = [label for name, label in self._left if name == setting]
        return sorted(run, key=lambda label: self._place.get(label, len(self._place)))

    def runs(self, setting: str, label: str) -> dict[int, Left]:
        """What every run of one scheme in one setting left, seeds ascending."""
        return dict(sorted(self._left.get((setting, label), {}).items()))
