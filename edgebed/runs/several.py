"""Runs of several folders: those of one experiment side by side, and never a mean over different ones.

Runs are of one experiment where scenario, testbed and world are the same, by their digests, and where they are judged
by the same watts, prices and SLO; folders of it are put together as long as they do not hold different runs of the same
scheme and seed, which nothing could tell apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from edgebed.report.model import Comparison, ParityReport, ParityRow
from edgebed.runs.comparison import comparison_of
from edgebed.runs.folder_runs import FolderRuns, Pair, kept_runs
from edgebed.runs.found import Trouble, roots_below
from edgebed.runs.layout import Layout
from emulation.domain.mistakes import Mistake
from emulation.domain.scenario import Scenario
from emulation.metrics.switches import decided_by
from emulation.recording import Run


class Experiment(NamedTuple):
    """What runs must share to be put together."""

    scenario: str | None
    """Digest."""
    testbed: str | None
    """Digest."""
    world: str
    folder: str
    """Of what has no digests; else empty."""
    judged_by: str
    """Watts, prices and SLO, which are in no digest: figures follow from them, not runs."""


@dataclass(slots=True)
class Group:
    """Runs that may be compared."""

    name: str
    scenario: Scenario
    experiment: Experiment
    kept: FolderRuns = field(default_factory=FolderRuns)
    """Of all its folders together."""
    folders: list[Path] = field(default_factory=list)
    parity: list[ParityRow] = field(default_factory=list)

    @property
    def runs(self) -> dict[Pair, Run]:
        """Its whole runs."""
        return self.kept.whole

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of where its records come from."""
        return self.kept.remarks

    def comparison(self, baseline: str | None = None) -> Comparison:
        """As tables and reports want it; `baseline`: if it was run here, else its own, else the first scheme."""
        left_out = [out for out in self.kept.left_out if (out.scheme, out.seed) not in self.runs]
        kept = replace(self.kept, left_out=left_out)
        runs = kept.runs()
        kept.remarks = [*kept.remarks, *(_uneven(runs) if len(self.folders) > 1 else ())]
        ran = {run.header.scheme for run in runs}
        known = next((name for name in (baseline, kept.baseline) if name in ran), None)
        parity = ParityReport(tuple(self.parity)) if self.parity else None
        return comparison_of(kept, runs, self.scenario, known, parity)


def _uneven(runs: Sequence[Run]) -> list[str]:
    """What a reader must know where schemes were run on different seeds."""
    seeds: dict[str, list[int]] = {}
    for scheme, seed in sorted((run.header.scheme, run.header.seed) for run in runs):
        seeds.setdefault(scheme, []).append(seed)
    if len({tuple(own) for own in seeds.values()}) < 2:
        return []
    said = "; ".join(f"{scheme}: {', '.join(map(str, own[:12]))}" for scheme, own in seeds.items())
    return [f"schemes were run on different seeds ({said}); differences are over those that both have"]


@dataclass(frozen=True, slots=True)
class _Part:
    """What is taken of one folder."""

    root: Path
    scenario: Scenario
    kept: FolderRuns
    parity: tuple[ParityRow, ...]

    @property
    def experiment(self) -> Experiment:
        header = next(iter(self.kept.whole.values())).header
        digests = (header.scenario_digest, header.testbed_digest)
        apart = "" if None not in digests else str(self.root.resolve())
        return Experiment(*digests, header.world, apart, _judged_by(self.scenario))


def groups_of(folders: Iterable[Path]) -> tuple[list[Group], list[Trouble]]:
    """The runs in some folders, experiment by experiment in the order in which they come, and folders that hold none
    that can be read. A folder may hold a comparison, one run of it, or many of them at any depth.

    Raises `ConfigError` for a folder that is not there.
    """
    groups: list[Group] = []
    troubles: list[Trouble] = []
    for folder in folders:
        found = list(roots_below(folder))
        if not found:
            troubles.append(Trouble(folder, "holds no run"))
        for root in found:
            part = root if isinstance(root, Trouble) else _part(root, folder)
            if isinstance(part, Trouble):
                troubles += [part] if part not in troubles else []
            else:
                _sort_in(groups, part)
    _name_apart(groups)
    return groups, troubles


def _part(root: Path, asked: Path) -> _Part | Trouble:
    """The whole runs of a comparison; only those of the folder that was asked for, where it is inside."""
    layout = Layout(root)
    try:
        scenario, kept, parity = layout.scenario(), kept_runs(layout), layout.parity()
    except (Mistake, ValueError) as error:
        return Trouble(root, str(error).removeprefix(f"{root}: "))
    rows = () if parity is None else parity.rows
    if root in asked.parents:
        inside = [p for p in (*kept.whole, *kept.cut) if asked in (f := layout.run_folder(*p), f.parent)]
        kept = _only(kept, inside)
        names = {n for run in kept.whole.values() for n in (run.header.scheme, decided_by(run))}
        rows = tuple(row for row in rows if row.scheme in names)
    if not kept.whole:
        said = (f"{o.scheme} seed {o.seed}: {o.how}: {o.why}" for o in kept.left_out[:3])
        return Trouble(root, f"no whole run ({'; '.join(said) or 'holds no run'})")
    return _Part(root, scenario, kept, rows)


def _only(kept: FolderRuns, pairs: Sequence[Pair]) -> FolderRuns:
    return replace(
        kept,
        whole={pair: run for pair, run in kept.whole.items() if pair in pairs},
        cut={pair: run for pair, run in kept.cut.items() if pair in pairs},
        left_out=[out for out in kept.left_out if (out.scheme, out.seed) in pairs],
        of_runs=[(pair, said) for pair, said in kept.of_runs if pair in pairs],
    )


def _judged_by(scenario: Scenario) -> str:
    plain = scenario.model_dump(mode="json", include={"slo", "testbed"})
    told = (plain.get("slo"), *(plain["testbed"].get(name) for name in ("power", "prices")))
    return json.dumps(told, sort_keys=True)


def _sort_in(groups: list[Group], part: _Part) -> None:
    like = [group for group in groups if group.experiment == part.experiment]
    group = next((g for g in like if not _clash(g, part)), None)
    if group is None:
        group = Group(part.scenario.name, part.scenario, part.experiment)
        group.kept.remarks += _why_apart(groups, like, part)
        groups.append(group)
    kept = group.kept
    kept.whole |= {pair: run for pair, run in part.kept.whole.items() if pair not in kept.whole}
    kept.cut |= {pair: run for pair, run in part.kept.cut.items() if pair not in kept.cut}
    known = {(out.scheme, out.seed, out.how) for out in kept.left_out}
    kept.left_out += [o for o in part.kept.left_out if (o.scheme, o.seed, o.how) not in known]
    kept.of_runs += [said for said in part.kept.of_runs if said not in kept.of_runs]
    kept.remarks += [r for r in part.kept.remarks if r not in kept.remarks]
    kept.workload |= part.kept.workload
    kept.baseline = kept.baseline or part.kept.baseline
    group.parity += [row for row in part.parity if row not in group.parity]
    if part.root.resolve() not in {folder.resolve() for folder in group.folders}:
        group.folders.append(part.root)


def _why_apart(groups: Sequence[Group], like: Sequence[Group], part: _Part) -> list[str]:
    """What a reader must know of a folder that could have been put together with another."""
    ran = part.experiment._replace(judged_by="")
    same = [group for group in groups if group.experiment._replace(judged_by="") == ran]
    if not same:
        return []
    first, why = same[0], "is judged by other watts, prices or another SLO"
    if like:
        first, why = like[0], "holds other runs of the same scheme and seed"
    return [f"{part.root}: not put together with {first.folders[0]}, which {why}"]


def _clash(group: Group, part: _Part) -> bool:
    """Whether both hold a scheme and seed, and not the same record of it."""
    return any(
        pair in group.runs
        and (group.runs[pair].header, group.runs[pair].requests) != (run.header, run.requests)
        for pair, run in part.kept.whole.items()
    )


def _name_apart(groups: Sequence[Group]) -> None:
    """Different experiments of one name get a number each."""
    names = [group.name for group in groups]
    for name in {n for n in names if names.count(n) > 1}:
        for number, group in enumerate((g for g in groups if g.name == name), start=1):
            group.name = f"{name} ({number})"
