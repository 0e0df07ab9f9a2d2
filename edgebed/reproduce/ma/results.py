"""All runs of `reproduce ma`, by what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgebed.report import Comparison, RunResult, comparison_json
from edgebed.report.stats import Interval, mean_interval
from edgebed.reproduce.common.cells import Results
from edgebed.reproduce.ma.epochs import Approach, approach
from edgebed.reproduce.ma.recovery import Recovery, recovery
from edgebed.reproduce.ma.settings import PHASES, POOR, REFERENCE_RUN, TRUE
from edgebed.reproduce.ma.slots import SlotFigures


class SchemeResults(Results[RunResult]):
    """Runs of Figures 5 and 6, by scenario and scheme."""

    def __init__(self, scenarios: Sequence[str], order: Sequence[str]) -> None:
        super().__init__(order)
        self._scenarios = tuple(scenarios)

    def comparisons(self) -> dict[str, Comparison]:
        """A comparison per scenario that was run, in order; it has no baseline, as intervals stand for themselves."""
        by_scenario = {
            scenario: {label: tuple(self.runs(scenario, label).values()) for label in self.labels(scenario)}
            for scenario in self._scenarios
        }
        return {name: Comparison(name, schemes) for name, schemes in by_scenario.items() if schemes}

    def to_json(self) -> dict[str, Any]:
        """`<scenario>.schemes.<S>...` as `edgebed compare --json` has it, without single runs: the CSV has them."""
        by_scenario = {name: comparison_json(c) for name, c in self.comparisons().items()}
        for scheme in (s for one in by_scenario.values() for s in one["schemes"].values()):
            del scheme["runs"]
        return by_scenario


class EpochResults(Results[SlotFigures]):
    """Figure 7: runs counted by slot, by start and memory."""

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(start, memory) of what was run, in a fixed order."""
        return [(start, memory) for start in (POOR, TRUE) for memory in self.labels(start)]

    def objectives(self, key: tuple[str, str]) -> dict[int, list[float]]:
        """J per epoch by seed; an epoch in which nothing was served counts with J = 1, the worst."""
        return {seed: [e.objective for e in of.epochs()] for seed, of in self.runs(*key).items()}

    def success(self, key: tuple[str, str]) -> dict[str, float]:
        """Model to the share served in the last epoch, mean over the seeds in which it was asked for."""
        last = [of.epochs()[-1].success for of in self.runs(*key).values()]
        models = dict.fromkeys(model for success in last for model in success)
        return {m: float(np.mean([success[m] for success in last if m in success])) for m in models}

    def by_epoch(self, key: tuple[str, str]) -> list[Interval]:
        """J per epoch with its interval over seeds."""
        columns = zip(*self.objectives(key).values(), strict=True)
        return [mean for values in columns if (mean := mean_interval(values)) is not None]

    def approach(self, key: tuple[str, str]) -> Approach | None:
        """Against plans searched with the truth, on the same seeds."""
        return approach(self.objectives(key), self.objectives(REFERENCE_RUN))

    def to_json(self) -> dict[str, Any]:
        """`<start>.<memory>.objective` (per epoch, mean over seeds) and how it came to the truth's."""
        data: dict[str, Any] = {}
        for key in self.keys:
            start, memory = key
            reached = self.approach(key)
            data.setdefault(start, {})[memory] = {
                "seeds": list(self.runs(*key)),
                "objective": [i.mean for i in self.by_epoch(key)],
                "intervals": [None if i.low is None else [i.low, i.high] for i in self.by_epoch(key)],
                "success_last_epoch": self.success(key),
                "approach": None if reached is None else asdict(reached),
            }
        return data


class AdaptationResults(Results[SlotFigures]):
    """How schemes come back after a change: runs counted by slot."""

    def recoveries(self, setting: str) -> dict[str, dict[str, Recovery]]:
        """Phase name to scheme to what was measured."""
        return {
            phase.name: {
                label: recovery(list(self.runs(setting, label).values()), phase.start, phase.end)
                for label in self.labels(setting)
            }
            for phase in PHASES[setting]
        }

    def to_json(self) -> dict[str, Any]:
        """`<scenario>.schemes.<S>.phases.<phase>.slots | lost | excess_s | ...`."""
        return {name: {"schemes": self._schemes(name)} for name in PHASES if self.labels(name)}

    def _schemes(self, setting: str) -> dict[str, Any]:
        phases = self.recoveries(setting)
        return {
            label: {
                "seeds": list(self.runs(setting, label)),
                "phases": {name: asdict(row[label]) for name, row in phases.items()},
            }
            for label in self.labels(setting)
        }
