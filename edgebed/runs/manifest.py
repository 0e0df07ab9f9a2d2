"""What stands beside the records of a comparison: what was to be run, in which order, and where each run comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from edgebed.runs.provenance import Origin, origin
from edgebed.wiring.identity import Identity, differences, identity_of, plain_scenario
from emulation.domain.quantities import SchemeName
from emulation.domain.records import World
from emulation.domain.scenario import Scenario
from emulation.domain.strict import Strict
from emulation.files import ConfigError, did_you_mean
from emulation.recording import write_whole
from workloads.accounting import Accounting

MANIFEST_FILE = "comparison.json"
RUN_FILE = "run.json"

_Schema = TypeVar("_Schema", bound=BaseModel)


class Manifest(Strict):
    """One comparison: its experiment, and its runs in their order. Tables and reports follow it."""

    format: Literal[1] = 1
    world: World
    scenario: str
    """Digest, as in the header of each of its records."""
    testbed: str
    """Digest, as in the header of each of its records."""
    plan: dict[SchemeName, tuple[int, ...]]
    """Scheme to the seeds it is run on, in the order of the tables."""
    baseline: str | None = None
    """Scheme the others are compared with; null: the first."""
    origins: tuple[Origin, ...]
    """Every command that added to it."""
    experiment: dict[str, Any]
    """The scenario as its digest sees it."""

    @property
    def identity(self) -> Identity:
        """The digests its records must have."""
        return Identity(self.scenario, self.testbed)

    def pairs(self) -> list[tuple[str, int]]:
        """Every run, seed by seed: what an interrupt leaves is whole seeds."""
        seeds = dict.fromkeys(seed for own in self.plan.values() for seed in own)
        return [(scheme, seed) for seed in seeds for scheme, own in self.plan.items() if seed in own]

    def write(self, root: Path) -> None:
        """Into the folder of the comparison, whole or not at all."""
        write_whole(root / MANIFEST_FILE, self.model_dump_json(indent=1).encode())


class RunNote(Strict):
    """Beside one record: where it comes from, of which experiment it is, and why there is none if it failed."""

    origin: Origin
    experiment: dict[str, Any]
    failed: str | None = None
    """The error in one line."""
    trace: str = ""
    """The traceback of that error."""
    cut: str | None = None
    """Why its record ends before the run did, where nobody interrupted it."""
    died: dict[str, int] = {}
    """Live: what died unplanned while it went on, and how often."""
    workload: tuple[Accounting, ...] = ()
    """What became of everything its sources read; none of a run that did not end, or of an earlier version."""
    url: str | None = None
    """Live: where its gateways answer while it goes on."""

    def write(self, folder: Path) -> None:
        """Into the run's folder, whole or not at all."""
        write_whole(folder / RUN_FILE, self.model_dump_json().encode())


def manifest_of(
    scenario: Scenario, schemes: Sequence[str], seeds: Sequence[int], world: World, baseline: str | None
) -> Manifest:
    """The manifest of a comparison that begins now."""
    found = identity_of(scenario)
    return Manifest(
        world=world,
        scenario=found.scenario,
        testbed=found.testbed,
        plan={scheme: tuple(seeds) for scheme in schemes},
        baseline=baseline,
        origins=(origin(),),
        experiment=plain_scenario(scenario),
    )


def joined(old: Manifest, new: Manifest, root: Path) -> Manifest:
    """A comparison that goes on: runs of the new command after those of the old ones, each once.

    Raises `ConfigError` naming every difference if they are not of one experiment.
    """
    if old.world != new.world:
        raise ConfigError(
            f"{root}: holds {old.world} runs, not {new.world} ones; give another folder with --out"
        )
    apart = said_differences(old.experiment, new.experiment)
    if old.identity != new.identity:
        raise ConfigError(
            f"{root}: holds runs of another experiment: {apart}; give another folder with --out"
        )
    plan = dict(old.plan)
    for scheme, seeds in new.plan.items():
        plan[scheme] = tuple(dict.fromkeys((*plan.get(scheme, ()), *seeds)))
    return old.model_copy(
        update={
            "plan": plan,
            "baseline": new.baseline or old.baseline,
            "origins": (*old.origins, *new.origins),
        }
    )


def check_baseline(baseline: str | None, schemes: Iterable[str]) -> None:
    """Raise `ConfigError` if the baseline is none of the schemes."""
    if baseline is not None and baseline not in schemes:
        hint = did_you_mean(baseline, list(schemes))
        raise ConfigError(f"--baseline {baseline!r} is not among the schemes of this comparison; {hint}")


def said_differences(old: Mapping[str, Any], new: Mapping[str, Any], most: int = 6) -> str:
    """In which fields two experiments differ: old value, new value."""
    found = list(differences(old, new))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + more or "its digest differs"


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a folder; None if it has none. Raises `ConfigError` for one that cannot be read."""
    return _read(Manifest, root / MANIFEST_FILE)


def read_note(folder: Path) -> RunNote | None:
    """The note beside a record; None if there is none. Raises `ConfigError` for one that cannot be read."""
    return _read(RunNote, folder / RUN_FILE)


def _read(schema: type[_Schema], file: Path) -> _Schema | None:
    try:
        return schema.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{file}: not one that this version of edgebed wrote: {where}: {first['msg']}"
        ) from error
