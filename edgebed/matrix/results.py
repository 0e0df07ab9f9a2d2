"""What there is of a matrix: the figures of every finished run by cell, scheme and seed, and why others have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from edgebed.matrix.cells import Cell, Job
from edgebed.matrix.figures import Cost, Figures, Kept
from edgebed.matrix.metrics import METRICS, MetricName
from edgebed.matrix.plan import MatrixPlan

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Block:
    """One cell with the seeds that every ranked scheme was run on."""

    cell: Cell
    schemes: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: Mapping[tuple[str, int], Kept]

    def values(self, name: str) -> Values:
        """A figure, schemes x seeds; NaN where it was not measured."""
        rows = [[getattr(self.runs[s, seed].figures, name) for seed in self.seeds] for s in self.schemes]
        return np.array(rows, dtype=float)

    def losses(self, metric: MetricName) -> Values:
        """A metric as something of which less is better, schemes x seeds; infinite where it was not measured."""
        found = self.values(metric) * (1 if METRICS[metric].better == "low" else -1)
        return np.where(np.isnan(found), inf, found)

    def costs(self, name: str) -> Values:
        """A measured cost, schemes x seeds."""
        rows = [[getattr(self.runs[s, seed].cost, name) for seed in self.seeds] for s in self.schemes]
        return np.array(rows, dtype=float)


@dataclass(slots=True)
class Results:
    """All of it."""

    plan: MatrixPlan
    cells: Sequence[Cell]
    runs: dict[tuple[int, str, int], Kept] = field(default_factory=dict)
    """(number of the cell, scheme, seed) to what was kept."""
    failed: dict[tuple[int, str, int], str] = field(default_factory=dict)
    """The same to why there is nothing."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Scheme to its name in tables, with its reasoner."""

    @property
    def wanted(self) -> int:
        """Runs of the plan."""
        return len(self.cells) * len(self.plan.schemes) * len(self.plan.seeds)

    @property
    def open(self) -> int:
        """Runs that were neither finished nor tried and failed."""
        return self.wanted - len(self.runs) - len(self.failed)

    def ranked(self) -> tuple[str, ...]:
        """The schemes that are ranked: all but those of which some cell has failed runs and no other."""
        return tuple(
            s for s in self.plan.schemes if not any(self._only_failed(i, s) for i in range(len(self.cells)))
        )

    def blocks(self) -> list[Block]:
        """The cells in which every ranked scheme was run on some seed, with those seeds."""
        schemes, found = self.ranked(), []
        for i, cell in enumerate(self.cells):
            seeds = tuple(n for n in self.plan.seeds if all((i, s, n) in self.runs for s in schemes))
            if schemes and seeds:
                runs = {(s, n): self.runs[i, s, n] for s in schemes for n in seeds}
                found.append(Block(cell, schemes, seeds, runs))
        return found

    def rows(self) -> list[tuple[Cell, str, int, Figures, Cost]]:
        """Every finished run, in the order of the plan."""
        return [
            (cell, scheme, seed, kept.figures, kept.cost)
            for i, cell in enumerate(self.cells)
            for scheme in self.plan.schemes
            for seed in self.plan.seeds
            if (kept := self.runs.get((i, scheme, seed))) is not None
        ]

    def take(self, number: int, job: Job, kept: Kept) -> None:
        """Keep a finished run."""
        self.runs[number, job.scheme.name, job.seed] = kept

    def _only_failed(self, i: int, scheme: str) -> bool:
        tried = [n for n in self.plan.seeds if (i, scheme, n) in self.failed]
        return bool(tried) and not any((i, scheme, n) in self.runs for n in self.plan.seeds)
