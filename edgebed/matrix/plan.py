"""Plan files: which scenarios, with which changes, under which schemes, on which seeds, and how schemes are ranked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edgebed.commands.options import seeds_of
from edgebed.matrix.metrics import MetricName
from emulation.domain.mistakes import ConfigError, did_you_mean
from emulation.domain.quantities import Fraction, Name, Note, Range, SchemeName, Seed, SomeLine
from emulation.domain.strict import Strict, check_unique
from emulation.files import is_file, load_settings
from workloads.pools import PlanKind

HERE = Path(__file__).parent / "plans"
MOST_RUNS = 1_000_000

Values = Annotated[tuple[Any, ...], Field(min_length=1, max_length=1_000)]
"""Values of one parameter: of the field's own type, or `x1.5` for so many times what the scenario has."""


def _spelled_out(given: Any) -> Any:
    """`0-7` and `0,3,5` as the seeds they name."""
    if not isinstance(given, str):
        return given
    try:
        return seeds_of(given)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("--seeds ")) from None


def _each_once(given: tuple[Any, ...]) -> tuple[Any, ...]:
    check_unique("the list", given, "entry")
    return given


def _whole_entry(given: Any) -> Any:
    """A scenario by its name alone is an entry that changes nothing."""
    return {"scenario": given} if isinstance(given, str) else given


class PoolEntry(Strict):
    """Random pools of devices as E3-Agent has them, another one drawn for each seed (`workloads/pools.py`)."""

    devices: Annotated[int, Range(4, 64, "devices, an even number")] = 8
    """Half of them for each model."""
    plan: PlanKind = "none"
    """What goes wrong."""
    load: Annotated[float, Range(0.01, 10, "of the true capacity")] = 0.6
    """Arrival rate over the true capacity of the type that is closest to it, events aside."""
    mismatch_sigma: Annotated[float, Range(0, 3, "of a logarithm")] = 0.5
    """Log-normal sigma of true / profiled, per device and coefficient."""
    service_cv: Annotated[float, Range(0, 3, "times the mean")] = 0.1
    """Coefficient of variation of service times."""

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.devices % 2:
            raise ValueError(f"devices must be an even number, not {self.devices}")
        return self


class ScenarioEntry(Strict):
    """One scenario of the plan; the name of a packaged one, or the path of a file, may stand alone in its place."""

    scenario: SomeLine | None = None
    """A packaged name, or the path of a file: beside the plan file, or from here."""
    pool: PoolEntry | None = None
    """In the place of `scenario`."""
    name: Name | None = None
    """In tables; by default the name of the scenario."""
    set: dict[SomeLine, Any] = Field(default_factory=dict)
    """Changes in every cell of it: dotted key to value, as under `parameters`."""
    parameters: dict[SomeLine, Values] = Field(default_factory=dict)
    """Values of parameters for this scenario, in the place of those of the plan."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.scenario is None) == (self.pool is None):
            raise ValueError("must have either scenario or pool")
        return self

    @property
    def label(self) -> str:
        """Its name in tables, as far as the plan says it."""
        if self.name is not None:
            return self.name
        if self.pool is not None:
            return f"pool-{self.pool.plan}-{self.pool.devices}"
        return Path(self.scenario or "").stem


Entries = Annotated[
    tuple[Annotated[ScenarioEntry, BeforeValidator(_whole_entry)], ...], Field(min_length=1, max_length=1_000)
]
SeedList = Annotated[
    tuple[Seed, ...],
    Field(min_length=1, max_length=10_000),
    BeforeValidator(_spelled_out),
    AfterValidator(_each_once),
]


class MatrixPlan(Strict):
    """Scenarios x parameter values x schemes x seeds, all in virtual time."""

    name: Name
    note: Note = ""
    scenarios: Entries
    """Names, paths or entries."""
    parameters: dict[SomeLine, Values] = Field(default_factory=dict)
    """Dotted key of a scenario's field to the values it takes: `service_cv`, `controllers.lyapunov.v`,
    `events.0.factor`, `workload.*.origins`. `load` is none of a scenario's fields: it scales what is asked for. A value
    `x1.5` is so many times the scenario's own. Every combination is a cell."""
    schemes: Annotated[
        tuple[SchemeName, ...], Field(min_length=2, max_length=100), AfterValidator(_each_once)
    ]
    """As `edgebed compare` takes them; your own are named `package.module:NAME`."""
    seeds: SeedList
    """A list, or text as `0-7`. All schemes get the same requests with the same seed."""
    rank_by: MetricName = "penalised_latency_s"
    """The figure that schemes are ranked by, its mean over the seeds of a cell."""
    warm_up: Fraction = 0.2
    """Share of the horizon whose arrivals the steady-state figures leave out."""
    risk: Annotated[float, Range(0.0001, 0.5)] = 0.05
    """Probability of any false difference among all that are tested together."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_unique("scenarios", [e.label for e in self.scenarios], "name")
        for entry in self.scenarios:
            for key, values in {**self.parameters, **entry.parameters}.items():
                check_unique(f"parameters.{key}", map(str, values), "value")
        return self


def load_plan(name_or_path: str) -> tuple[MatrixPlan, Path]:
    """A shipped plan by name, or one of a file, and the folder that its paths are relative to. Raises `ConfigError`."""
    shipped = HERE / f"{name_or_path}.yaml"
    path = shipped if name_or_path in plan_names() else Path(name_or_path)
    if not is_file(path):
        known = plan_names()
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            raise ConfigError(f"{path}: no such plan file; give the path of one, or one of {known}")
        raise ConfigError(f"unknown plan {name_or_path!r}; {did_you_mean(name_or_path, known)}")
    return load_settings(MatrixPlan, path), path.parent


def plan_names() -> list[str]:
    """The plans that are shipped."""
    return sorted(p.stem for p in HERE.glob("*.yaml"))
