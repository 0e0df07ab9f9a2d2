"""Runs of several folders: those of one experiment side by side, and never a mean over different ones.

Runs are of one experiment where scenario, testbed and world are the same, by their digests; folders of it are put
together as long as they do not hold different runs of the same scheme and seed, which nothing could tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgebed.report.model import Comparison, LeftOut, compare_runs
from edgebed.runs.comparison import played_events
from edgebed.runs.folder_runs import Pair, kept_runs
from edgebed.runs.found import Trouble, roots_below
from edgebed.runs.layout import Layout
from emulation.domain.mistakes import Mistake
from emulation.domain.scenario import Scenario
from emulation.recording import RECORD_FILE, Run

Experiment = tuple[str | None, str | None, str, str]
"""Digests of scenario and testbed, world; and the folder of what has no digests."""


@dataclass(slots=True)
class Group:
    """Runs that may be compared."""

    name: str
    scenario: Scenario
    experiment: Experiment
    runs: dict[Pair, Run] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def comparison(self, baseline: str | None = None) -> Comparison:
        """As tables and reports want it; `baseline`: if it was run here, else the first scheme."""
        runs = list(self.runs.values())
        known = baseline if any(run.header.scheme == baseline for run in runs) else None
        testbed = self.scenario.testbed
        return compare_runs(
            runs,
            played_events(runs, self.scenario),
            baseline=known,
            sites={n.id: n.site for n in testbed.nodes},
            testbed=testbed,
            note=self.scenario.note,
            left_out=[out for out in self.left_out if (out.scheme, out.seed) not in self.runs],
            remarks=[*self.remarks, *self._uneven()],
        )

    def _uneven(self) -> list[str]:
        """What a reader must know where schemes were run on different seeds."""
        seeds: dict[str, list[int]] = {}
        for scheme, seed in sorted(self.runs):
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
    runs: dict[Pair, Run]
    left_out: list[LeftOut]
    remarks: list[str]


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
                troubles.append(part)
            else:
                _sort_in(groups, part)
    _name_apart(groups)
    return groups, troubles


def _part(root: Path, asked: Path) -> _Part | Trouble:
    """The whole runs of a comparison; only the one whose own folder was asked for."""
    layout = Layout(root)
    try:
        scenario, kept = layout.scenario(), kept_runs(layout)
    except (Mistake, ValueError) as error:
        return Trouble(root, str(error).removeprefix(f"{root}: "))
    runs, left_out = dict(kept.whole), kept.left_out
    if asked != root and (asked / RECORD_FILE).exists():
        own = [pair for pair in {**kept.whole, **kept.cut} if layout.run_folder(*pair) == asked]
        runs = {pair: run for pair, run in runs.items() if pair in own}
        left_out = [out for out in left_out if (out.scheme, out.seed) in own]
    if not runs:
        why = "; ".join(f"{o.scheme} seed {o.seed}: {o.how}: {o.why}" for o in left_out[:3]) or "holds no run"
        return Trouble(root, f"no whole run ({why})")
    return _Part(root, scenario, runs, left_out, kept.remarks)


def _sort_in(groups: list[Group], part: _Part) -> None:
    header = next(iter(part.runs.values())).header
    digests = (header.scenario_digest, header.testbed_digest)
    apart = "" if None not in digests else str(part.root.resolve())
    experiment = (*digests, header.world, apart)
    same = [group for group in groups if group.experiment == experiment]
    group = next((g for g in same if not _clash(g, part)), None)
    if group is None:
        group = Group(part.scenario.name, part.scenario, experiment)
        if same:
            group.remarks.append(
                f"{part.root}: not put together with {same[0].folders[0]}, which holds other runs of the same scheme"
                " and seed"
            )
        groups.append(group)
    group.runs |= {pair: run for pair, run in part.runs.items() if pair not in group.runs}
    group.folders.append(part.root)
    group.left_out += part.left_out
    group.remarks += [r for r in part.remarks if r not in group.remarks]


def _clash(group: Group, part: _Part) -> bool:
    """Whether both hold a scheme and seed, and not the same record of it."""
    return any(
        pair in group.runs
        and (group.runs[pair].header, group.runs[pair].requests) != (run.header, run.requests)
        for pair, run in part.runs.items()
    )


def _name_apart(groups: Sequence[Group]) -> None:
    """Different experiments of one name get a number each."""
    names = [group.name for group in groups]
    for name in {n for n in names if names.count(n) > 1}:
        for number, group in enumerate((g for g in groups if g.name == name), start=1):
            group.name = f"{name} ({number})"
