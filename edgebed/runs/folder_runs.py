"""What a folder holds of a comparison: whole runs, what became of the others, and whether all belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.schemes import SCHEMES
from edgebed.report.model import LeftOut
from edgebed.runs.layout import SCENARIO_FILE, Layout, layout_of, seed_of
from edgebed.runs.manifest import Manifest, read_manifest, read_note, said_differences
from edgebed.wiring.identity import Identity, changes_since
from emulation.domain.records import RunHeader
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.jsonl import RecordError
from emulation.metrics.view import cut, last_s
from emulation.recording import RECORD_FILE, SEGMENTS, Run, VersionError, read_run
from serve_apps.testbed.lives import said_of
from workloads.accounting import Accounting

Pair = tuple[str, int]
"""Scheme and seed."""


@dataclass(slots=True)
class FolderRuns:
    """The runs of a comparison, in its order."""

    whole: dict[Pair, Run] = field(default_factory=dict)
    cut: dict[Pair, Run] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    """Every run that counts in no mean, and why."""
    remarks: list[str] = field(default_factory=list)
    """What a reader must know of where the records come from."""
    of_runs: list[tuple[Pair, str]] = field(default_factory=list)
    """What a reader must know of a single run: who died in it."""
    baseline: str | None = None
    workload: dict[Pair, tuple[Accounting, ...]] = field(default_factory=dict)
    """What became of everything the sources of a run read, where its note says so."""

    def runs(self) -> list[Run]:
        """Whole runs, by scheme in the order of the comparison; a seed that a scheme was still to run when the
        comparison was cut counts for none of them, if others do."""
        open_seeds = {o.seed for o in self.left_out if o.how in ("missing", "cut")}
        schemes = {scheme for scheme, _ in self.whole}
        paired = {p: run for p, run in self.whole.items() if p[1] not in open_seeds}
        return list((paired if {s for s, _ in paired} == schemes else self.whole).values())

    def said(self) -> list[str]:
        """Everything a reader must know, and that its runs were made by different versions where they were."""
        remarks = [*(said for _, said in self.of_runs), *self.remarks]
        runs = (*self.whole.values(), *self.cut.values())
        versions = sorted({run.header.edgebed or "unknown" for run in runs})
        if len(versions) < 2:
            return remarks
        return [*remarks, f"its runs were made by different versions of edgebed: {', '.join(versions)}"]


def kept_runs(
    layout: Layout, known: Mapping[Pair, Run] | None = None, failed: Mapping[Pair, str] | None = None
) -> FolderRuns:
    """Everything a folder holds; `known` runs are not read again, `failed` ones may have had no room to say why.

    Raises `ConfigError` or `RecordError` naming the difference if something in it is of another experiment, and what a
    record is where this version cannot read it.
    """
    manifest = read_manifest(layout.root)
    kept = FolderRuns()
    if manifest is None:
        _without_manifest(layout, kept)
        return kept
    _check_scenario(layout, manifest)
    kept.baseline = manifest.baseline
    failed = failed or {}
    planned = {layout.run_folder(*pair): pair for pair in _by_scheme(manifest)}
    others = {f: (f.parent.name, seed_of(f) or 0) for f in layout.records() if f not in planned}
    for folder, pair in {**planned, **others}.items():
        if pair in failed:
            kept.left_out.append(LeftOut(*pair, "failed", failed[pair]))
        else:
            _take(kept, folder, pair, manifest, (known or {}).get(pair))
    if earlier := len(list((layout.root / SEGMENTS).glob("*"))):
        kept.remarks.append(f"{earlier} earlier segments of its record are below {layout.root / SEGMENTS}")
    return kept


def one_run(folder: Path) -> tuple[Run, Scenario]:
    """The run of a folder and the scenario it is of. Raises `ConfigError` or `RecordError` unless they fit."""
    run, layout = read_run(folder), layout_of(folder)
    manifest = read_manifest(layout.root)
    if manifest is None:
        scenario = layout.scenario()
        _check_fits(folder, run.header, scenario)
        return run, scenario
    _check_belongs(folder, run.header, (run.header.scheme, run.header.seed), manifest, _experiment(folder))
    return run, _check_scenario(layout, manifest)


def _check_scenario(layout: Layout, manifest: Manifest) -> Scenario:
    """The scenario beside the records, as they were made with it; a trace file may be gone since."""
    scenario = layout.scenario()
    apart = changes_since(manifest.experiment, scenario)
    if apart:
        raise ConfigError(
            f"{layout.root / SCENARIO_FILE}: was changed after the runs were made: {'; '.join(apart[:6])};"
            " put it back, or compare into another folder"
        )
    return scenario


def _experiment(folder: Path) -> Mapping[str, Any] | None:
    note = read_note(folder)
    return None if note is None else note.experiment


def _by_scheme(manifest: Manifest) -> list[Pair]:
    return [(scheme, seed) for scheme, seeds in manifest.plan.items() for seed in seeds]


def _take(kept: FolderRuns, folder: Path, pair: Pair, manifest: Manifest, known: Run | None) -> None:
    note = read_note(folder)
    if note is not None and note.failed is not None:
        kept.left_out.append(LeftOut(*pair, "failed", note.failed))
        return
    if known is None and not (folder / RECORD_FILE).exists():
        kept.left_out.append(LeftOut(*pair, "missing", "was not run"))
        return
    try:
        run = read_run(folder) if known is None else known
    except VersionError:
        raise
    except RecordError as error:
        kept.left_out.append(LeftOut(*pair, "unreadable", str(error)))
        return
    _check_belongs(folder, run.header, pair, manifest, None if note is None else note.experiment)
    if note is not None and note.died:
        kept.of_runs.append((pair, f"{pair[0]}, seed {pair[1]}: died unplanned: {said_of(note.died)}"))
    if note is not None and note.workload:
        kept.workload[pair] = note.workload
    _sort_in(kept, pair, run, folder, None if note is None else note.cut)


def _sort_in(kept: FolderRuns, pair: Pair, run: Run, folder: Path, reason: str | None = None) -> None:
    if not cut(run):
        kept.whole[pair] = run
        return
    kept.cut[pair] = run
    when = f"at {last_s(run):.0f} of {run.header.horizon_s:.0f} virtual s"
    how = "its record was not closed" if run.footer is None else "interrupted"
    why = f"{how} {when}" if reason is None else f"{reason} ({when})"
    if run.footer is None:
        why += f"; `edgebed recover {folder}` closes it"
    kept.left_out.append(LeftOut(*pair, "cut", why))


def _check_belongs(
    folder: Path, header: RunHeader, pair: Pair, manifest: Manifest, experiment: Mapping[str, Any] | None
) -> None:
    """Raise `ConfigError` naming the difference unless a record is the run that its folder says, of this experiment."""
    record = folder / RECORD_FILE
    if (header.scheme, header.seed) != pair:
        raise ConfigError(
            f"{record}: is of {header.scheme}, seed {header.seed}, and does not belong into this folder; move it away"
        )
    if header.world != manifest.world:
        raise ConfigError(f"{record}: is {header.world}, the comparison is {manifest.world}; move it away")
    if header.scenario_digest is None or header.testbed_digest is None:
        raise ConfigError(
            f"{record}: is of format version {header.version} and carries no provenance, so nothing says that it is of"
            " this comparison; move it away"
        )
    if Identity(header.scenario_digest, header.testbed_digest) != manifest.identity:
        apart = (
            "its digests differ" if experiment is None else said_differences(manifest.experiment, experiment)
        )
        raise ConfigError(f"{record}: is of another experiment than the rest: {apart}; move it away")


# -- folders of versions that wrote no manifest


def _without_manifest(layout: Layout, kept: FolderRuns) -> None:
    """Records in the order of the table of schemes; what their headers say must fit the scenario beside them."""
    scenario = layout.scenario()
    order = {name: i for i, name in enumerate(SCHEMES)}
    for folder in sorted(
        layout.records(), key=lambda f: (order.get(f.parent.name, len(order)), f.parent.name)
    ):
        pair = (folder.parent.name, seed_of(folder) or 0)
        try:
            run = read_run(folder)
        except VersionError:
            raise
        except RecordError as error:
            kept.left_out.append(LeftOut(*pair, "unreadable", str(error)))
            continue
        _check_fits(folder, run.header, scenario)
        _sort_in(kept, (run.header.scheme, run.header.seed), run, folder)
    _check_alike([*kept.whole.values(), *kept.cut.values()])
    versions = sorted({run.header.version for run in kept.whole.values()})
    if any(version < 3 for version in versions):
        kept.remarks.append(
            f"records of format version {', '.join(map(str, versions))} carry no provenance: nothing but scenario,"
            " testbed and requests of each seed says that they belong together"
        )


def _check_fits(folder: Path, header: RunHeader, scenario: Scenario) -> None:
    """Raise `ConfigError` naming the fields in which a record is not of this scenario, as far as it tells."""
    said = {
        "name": (scenario.name, header.scenario),
        "testbed.models": (tuple(m.id for m in scenario.testbed.models), header.models),
        "slot_s": (scenario.slot_s, header.slot_s),
        "epoch_slots": (scenario.epoch_slots, header.epoch_slots),
        "deadline_s": (scenario.deadline_s, header.deadline_s),
        "objective_weight": (scenario.objective_weight, header.objective_weight),
    }
    if header.world == "virtual":  # a live testbed that stayed has the length it had
        said["slots"] = (scenario.slots, header.slots)
    apart = [f"{name}: {a!r}, now {b!r}" for name, (a, b) in said.items() if a != b]
    made_of = _experiment(folder)
    if made_of is not None:
        apart = changes_since(made_of, scenario, backwards=True)
    if apart:
        raise ConfigError(
            f"{folder / RECORD_FILE}: is not of the scenario beside it: {'; '.join(apart)}; move it away"
        )


def _check_alike(runs: Sequence[Run]) -> None:
    """Raise `ConfigError` if runs with the same digests or of the same seed were not asked the same."""
    digests = {(r.header.scenario_digest, r.header.testbed_digest) for r in runs}
    if len(digests) > 1:
        one, other = (
            runs[0],
            next(
                r
                for r in runs
                if r.header.scenario_digest != runs[0].header.scenario_digest
                or r.header.testbed_digest != runs[0].header.testbed_digest
            ),
        )
        raise ConfigError(
            f"{one.header.scheme}, seed {one.header.seed}, and {other.header.scheme}, seed {other.header.seed}, are of"
            " different experiments: their digests differ; move one of them away"
        )
    first: dict[int, Run] = {}
    for run in runs:
        if run.header.world != "virtual" or cut(run):
            continue
        one = first.setdefault(run.header.seed, run)
        if _asked(one) != _asked(run):
            raise ConfigError(
                f"{one.header.scheme} and {run.header.scheme}, seed {run.header.seed}: not the same requests"
                f" ({len(_asked(one))} and {len(_asked(run))}, at other times), so they are not of one experiment;"
                " move one of them away"
            )


def _asked(run: Run) -> set[tuple[float, str]]:
    return {(r.intended_s, r.model) for r in run.requests if r.counted}
