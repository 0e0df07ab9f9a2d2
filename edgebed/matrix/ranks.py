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
AT_ONCE = 4_000_000
"""Values of a bootstrap that are in memory together."""
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
    found: Values = stats.rankdata(rounded(losses), axis=0)
    return found


def cell_ranks(block: Block, metric: MetricName) -> CellRanks:
    """The ranks in a cell by the means over its seeds; all schemes are drawn the same seeds, which keeps the pairs."""
    losses = block.losses(metric)
    means = losses.mean(axis=1)
    if len(block.seeds) < LEAST:
        return CellRanks(means, ranks_of(means), None, None)
    again = ranks_of(means_again(losses, stream(0, f"matrix/seeds/{block.cell}")))
    low, high = np.percentile(again, [2.5, 97.5], axis=1)
    return CellRanks(means, ranks_of(means), low, high)


def overall(schemes: Sequence[str], ranks: Values) -> Overall:
    """Mean ranks. `ranks`: schemes x cells."""
    means = ranks.mean(axis=1)
    order = sorted(range(len(schemes)), key=lambda i: (means[i], i))
    low: Sequence[float | None] = [None] * len(schemes)
    high: Sequence[float | None] = [None] * len(schemes)
    if ranks.shape[1] >= LEAST:
        again = means_again(ranks, stream(0, "matrix/cells"))
        low, high = np.percentile(again, [2.5, 97.5], axis=1).tolist()
    best = ranks.min(axis=0)
    return Overall(
        tuple(schemes[i] for i in order),
        tuple(float(means[i]) for i in order),
        tuple(low[i] for i in order),
        tuple(high[i] for i in order),
        tuple(int((ranks[i] == best).sum()) for i in order),
    )


def means_again(values: Values, rng: np.random.Generator, at_once: int = AT_ONCE) -> Values:
    """Means along the second axis, of which as many are drawn again with replacement: schemes x draws.

    All schemes have the same draws. `at_once`: values that are held at a time; the result does not depend on it.
    """
    schemes, many = values.shape
    step, found = max(1, at_once // (schemes * many)), []
    for begin in range(0, DRAWS, step):
        drawn = rng.integers(many, size=(min(step, DRAWS - begin), many))
        found.append(values[:, drawn].mean(axis=2))
    return np.concatenate(found, axis=1)


def order_of(ranks: Values) -> NDArray[np.intp]:
    """Places of the schemes from the best mean rank on; equal ones in the order of the plan."""
    return np.argsort(np.round(ranks.mean(axis=1), _DIGITS), kind="stable")


def rounded(losses: Values) -> Values:
    """To nine significant digits; infinities stay."""
    finite = np.isfinite(losses) & (losses != 0)
    size = np.floor(np.log10(np.abs(losses, where=finite, out=np.ones_like(losses))))
    scale = 10.0 ** (_DIGITS - 1 - size)
    return np.where(finite, np.round(np.where(finite, losses, 0) * scale) / scale, losses)
