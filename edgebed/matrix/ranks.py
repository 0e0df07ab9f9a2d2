"""Ranks of schemes, cell by cell and over all cells; 1 is best, and ties share the mean of their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edgebed.matrix.metrics import MetricName
from edgebed.matrix.results import Block, Values
from edgebed.report.stats import LEAST
from emulation.rng import stream

DRAWS = 2_000
"""Of a bootstrap."""
_DIGITS = 9
"""Significant digits of a mean that count: what differs by less is a tie."""


@dataclass(frozen=True, slots=True)
class CellRanks:
    """The ranks in one cell, by scheme in the order of the plan."""

    mean: Values
    """Mean loss over seeds, of which less is better; infinite where it was not measured."""
    rank: Values
    low: Values | None
    """2.5% of the ranks that the schemes have on seeds drawn again with replacement; None: fewer than three seeds."""
    high: Values | None
    """97.5%."""


@dataclass(frozen=True, slots=True)
class Overall:
    """The ranks over all cells."""

    schemes: tuple[str, ...]
    """Best first."""
    mean_rank: tuple[float, ...]
    low: tuple[float | None, ...]
    """2.5% of the mean ranks over cells drawn again with replacement; None: fewer than three cells."""
    high: tuple[float | None, ...]
    wins: tuple[int, ...]
    """Cells in which nobody is better."""


def ranks_of(losses: Values) -> Values:
    """Ranks along the first axis; equal to nine digits is a tie. `losses`: schemes, or schemes x anything."""
    found: Values = stats.rankdata(_rounded(losses), axis=0)
    return found


def cell_ranks(block: Block, metric: MetricName) -> CellRanks:
    """The ranks in a cell by the means over its seeds; all schemes are drawn the same seeds, which keeps the pairs."""
    losses = block.losses(metric)
    means = losses.mean(axis=1)
    if len(block.seeds) < LEAST:
        return CellRanks(means, ranks_of(means), None, None)
    rng = stream(0, f"matrix/seeds/{block.cell}")
    drawn = rng.integers(len(block.seeds), size=(DRAWS, len(block.seeds)))
    again = ranks_of(losses[:, drawn].mean(axis=2))
    low, high = np.percentile(again, [2.5, 97.5], axis=1)
    return CellRanks(means, ranks_of(means), low, high)


def overall(schemes: Sequence[str], ranks: Values) -> Overall:
    """Mean ranks. `ranks`: schemes x cells."""
    means = ranks.mean(axis=1)
    order = sorted(range(len(schemes)), key=lambda i: (means[i], i))
    low: Sequence[float | None] = [None] * len(schemes)
    high: Sequence[float | None] = [None] * len(schemes)
    if (cells := ranks.shape[1]) >= LEAST:
        drawn = stream(0, "matrix/cells").integers(cells, size=(DRAWS, cells))
        low, high = np.percentile(ranks[:, drawn].mean(axis=2), [2.5, 97.5], axis=1).tolist()
    best = ranks.min(axis=0)
    return Overall(
        tuple(schemes[i] for i in order),
        tuple(float(means[i]) for i in order),
        tuple(low[i] for i in order),
        tuple(high[i] for i in order),
        tuple(int((ranks[i] == best).sum()) for i in order),
    )


def order_of(ranks: Values) -> NDArray[np.intp]:
    """Places of the schemes from the best mean rank on; equal ones in the order of the plan."""
    return np.argsort(np.round(ranks.mean(axis=1), _DIGITS), kind="stable")


def _rounded(losses: Values) -> Values:
    """To nine significant digits; infinities stay."""
    finite = np.isfinite(losses) & (losses != 0)
    size = np.floor(np.log10(np.abs(losses, where=finite, out=np.ones_like(losses))))
    scale = 10.0 ** (_DIGITS - 1 - size)
    return np.where(finite, np.round(np.where(finite, losses, 0) * scale) / scale, losses)
