"""All runs of `reproduce ma`, by what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgebed.report import Comparison, RunResult, comparison_json
from edgebed.report.stats import Interval, mean_interval
from edgebed.reproduce.ma.epochs import Approach, approach
from edgebed.reproduce.ma.recovery import Recovery, recovery
from edgebed.reproduce.ma.runs import SchemeRun, SlotRun
from edgebed.reproduce.ma.settings import ADAPTING, PHASES, REFERENCE_RUN
from edgebed.reproduce.ma.slots import Period, SlotFigures


class SchemeResults:
    """Figures 5 and 6: runs by scenario and scheme, seeds in order."""

    def __init__(self, scenarios: Sequence[str], labels: Sequence[str]) -> None:
        self._scenarios = tuple(scenarios)
        self._labels = tuple(labels)
        self._found: dict[tuple[str, str], dict[int, RunResult]] = {}

    def add(self, run: SchemeRun) -> None:
        """Take one run in."""
        self._found.setdefault((run.setting, run.label), {})[run.seed] = run.result

    def comparisons(self) -> dict[str, Comparison]:
        """A comparison per scenario that was run, in order; it has no baseline, as intervals stand for themselves."""
        found = {}
        for scenario in self._scenarios:
            schemes = {
                label: tuple(of[seed] for seed in sorted(of))
                for label in self._labels
                if (of := self._found.get((scenario, label)))
            }
            if schemes:
                found[scenario] = Comparison(scenario, schemes)
        return found

    def to_json(self) -> dict[str, Any]:
        """`<scenario>.schemes.<S>...` as `edgebed compare --json` has it, without single runs: the CSV has them."""
        found = {name: comparison_json(c) for name, c in self.comparisons().items()}
        for scheme in (s for of in found.values() for s in of["schemes"].values()):
            del scheme["runs"]
        return found


class SlotResults:
    """Runs counted by slot, by setting and label, seeds in order."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[int, SlotFigures]] = {}

    def add(self, run: SlotRun) -> None:
        """Take one run in."""
        self._found.setdefault((run.setting, run.label), {})[run.seed] = run.figures

    def figures(self, setting: str, label: str) -> list[SlotFigures]:
        """Runs by seed."""
        of = self._found.get((setting, label), {})
        return [of[seed] for seed in sorted(of)]

    def seeds(self, setting: str, label: str) -> list[int]:
        """Seeds that were run, ascending."""
        return sorted(self._found.get((setting, label), {}))


class EpochResults(SlotResults):
    """Figure 7."""

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(start, memory) of what was run, in a fixed order."""
        return sorted(self._found)

    def epochs(self, key: tuple[str, str]) -> dict[int, list[Period]]:
        """Every epoch of every run by seed."""
        return {s: f.epochs() for s, f in zip(self.seeds(*key), self.figures(*key), strict=True)}

    def objectives(self, key: tuple[str, str]) -> dict[int, list[float]]:
        """J per epoch by seed; an epoch in which nothing was served counts with J = 1, the worst."""
        return {
            seed: [1.0 if e.objective is None else e.objective for e in epochs]
            for seed, epochs in self.epochs(key).items()
        }

    def by_epoch(self, key: tuple[str, str]) -> list[Interval]:
        """J per epoch with its interval over seeds."""
        columns = zip(*self.objectives(key).values(), strict=True)
        return [found for values in columns if (found := mean_interval(values)) is not None]

    def approach(self, key: tuple[str, str]) -> Approach | None:
        """Against plans searched with the truth, on the same seeds."""
        return approach(self.objectives(key), self.objectives(REFERENCE_RUN))

    def to_json(self) -> dict[str, Any]:
        """`<start>.<memory>.objective` (per epoch, mean over seeds) and how it came to the truth's."""
        found: dict[str, Any] = {}
        for start, memory in self.keys:
            key = (start, memory)
            reached = self.approach(key)
            success = [e.success for e in _last(self.epochs(key))]
            found.setdefault(start, {})[memory] = {
                "seeds": self.seeds(*key),
                "objective": [i.mean for i in self.by_epoch(key)],
                "intervals": [None if i.low is None else [i.low, i.high] for i in self.by_epoch(key)],
                "success_last_epoch": _mean_success(success),
                "approach": None if reached is None else asdict(reached),
            }
        return found


class AdaptationResults(SlotResults):
    """How schemes come back after a change."""

    def labels(self, setting: str) -> list[str]:
        """Schemes that were run in a setting, in the order of the adaptation's."""
        found = [label for name, label in self._found if name == setting]
        return sorted(found, key=ADAPTING.index)

    def recoveries(self, setting: str) -> dict[str, dict[str, Recovery]]:
        """Phase name to scheme to what was measured."""
        return {
            phase.name: {
                label: recovery(self.figures(setting, label), phase.start, phase.end)
                for label in self.labels(setting)
            }
            for phase in PHASES[setting]
        }

    def to_json(self) -> dict[str, Any]:
        """`<scenario>.schemes.<S>.phases.<phase>.slots | lost | excess_s | ...`."""
        found: dict[str, Any] = {}
        for setting in PHASES:
            if not self.labels(setting):
                continue
            phases = self.recoveries(setting)
            found[setting] = {
                "schemes": {
                    label: {
                        "seeds": self.seeds(setting, label),
                        "phases": {name: asdict(row[label]) for name, row in phases.items()},
                    }
                    for label in self.labels(setting)
                }
            }
        return found


def _last(epochs: Mapping[int, Sequence[Period]]) -> list[Period]:
    return [of[-1] for of in epochs.values() if of]


def _mean_success(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    models = dict.fromkeys(m for row in rows for m in row)
    found = {m: mean_interval([row.get(m) for row in rows]) for m in models}
    return {m: i.mean for m, i in found.items() if i is not None}
