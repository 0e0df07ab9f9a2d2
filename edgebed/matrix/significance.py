"""Which schemes differ by more than chance: over the seeds of each cell, and over all cells.

Within a cell every scheme had the same requests with the same seed, so differences are paired: Student's t over the
seeds. Over cells, ranks are compared as J. Demsar proposes (Statistical Comparisons of Classifiers over Multiple Data
Sets, JMLR 7, 2006): Friedman's test with the F of Iman and Davenport, and Nemenyi's critical difference of mean ranks.
Each pair is tested by the differences of its own means, cell by cell, with Wilcoxon's signed-rank test: ranks among
all schemes depend on who else is compared (A. Benavoli et al., Should We Really Use Post-Hoc Tests Based on
Mean-Ranks?, JMLR 17, 2016). Cells differ in scale, so differences are of logarithms where every mean is above 0.
Whatever is tested together is corrected by Holm's procedure (Scand. J. Statist. 6, 1979). Cells of one testbed are no
independent samples of all testbeds: what is said over cells is of the cells of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import sqrt

import numpy as np
from scipy import stats

from edgebed.matrix.metrics import MetricName
from edgebed.matrix.ranks import rounded
from edgebed.matrix.results import Block, Values
from edgebed.report.stats import LEAST

_NOTHING = 1e-9
"""Of the larger mean: a difference that is less is none."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two schemes in one cell. `difference`: mean loss of `one` less that of `other`; below 0, `one` is better."""

    cell: int
    one: str
    other: str
    difference: float
    p: float | None
    """Two-sided, before any correction; None: not testable (fewer than three seeds, or nothing measured)."""
    p_holm: float | None = None
    """Corrected over all pairs of all cells."""

    def better(self, risk: float) -> str | None:
        """Who is better, if that is no chance."""
        if self.p_holm is None or self.p_holm > risk:
            return None
        return self.one if self.difference < 0 else self.other


@dataclass(frozen=True, slots=True)
class Friedman:
    """Whether all schemes do equally well over the cells."""

    chi2: float
    p: float
    """Of the F of Iman and Davenport."""
    concordance: float
    """Kendall's W: 1, all cells order the schemes alike; 0, no order at all."""
    critical_difference: float
    """Of mean ranks, Nemenyi."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Two schemes over all cells: Wilcoxon's signed-rank test of how far apart their means are in each."""

    one: str
    other: str
    better: str | None
    """For whom the greater sum of signed ranks is; None: neither."""
    p: float
    """Whatever other schemes are compared; corrected, it depends on how many there are."""
    p_holm: float


def pairs_in_cells(blocks: Sequence[Block], metric: MetricName) -> list[Pair]:
    """Every pair in every cell, the probabilities corrected over all of them."""
    found = [pair for i, block in enumerate(blocks) for pair in _pairs(i, block, block.losses(metric))]
    tested = [pair for pair in found if pair.p is not None]
    corrected = dict(zip(map(id, tested), holm([p.p or 0.0 for p in tested]), strict=True))
    return [Pair(p.cell, p.one, p.other, p.difference, p.p, corrected.get(id(p))) for p in found]


def friedman(ranks: Values, risk: float) -> Friedman | None:
    """Friedman's test over cells; None for fewer than three schemes or three cells. `ranks`: schemes x cells."""
    k, n = ranks.shape
    if k < 3 or n < LEAST:
        return None
    tied = bool((ranks == ranks[0]).all())  # every cell is one tie: scipy would divide by nothing
    chi2 = 0.0 if tied else float(stats.friedmanchisquare(*ranks).statistic)
    most = n * (k - 1)
    if chi2 >= most * (1 - 1e-12):
        p = 0.0  # every cell has the same order: the F of Iman and Davenport is infinite
    else:
        p = float(stats.f.sf((n - 1) * chi2 / (most - chi2), k - 1, (k - 1) * (n - 1)))
    return Friedman(chi2, p, chi2 / most, critical_difference(k, n, risk))


@cache
def critical_difference(schemes: int, cells: int, risk: float) -> float:
    """Nemenyi: mean ranks that are further apart than this differ. Demsar 2006, section 3.2.2."""
    q = float(stats.studentized_range.ppf(1 - risk, schemes, np.inf)) / sqrt(2)
    return q * sqrt(schemes * (schemes + 1) / (6 * cells))


def signed_ranks(schemes: Sequence[str], losses: Values) -> list[Signed]:
    """Every pair over all cells; none for fewer than three cells. `losses`: the means of cells, schemes x cells."""
    if losses.shape[1] < LEAST:
        return []
    pairs = list(combinations(range(len(schemes)), 2))
    apart = [differences(losses[i], losses[j]) for i, j in pairs]
    raw = [_wilcoxon(of) for of in apart]
    return [
        Signed(schemes[i], schemes[j], _better(schemes[i], schemes[j], of), p, corrected)
        for (i, j), of, p, corrected in zip(pairs, apart, raw, holm(raw), strict=True)
    ]


def differences(one: Values, other: Values) -> Values:
    """How much worse `one` is in each cell: the logarithm of the ratio of the figures if all are above 0, else the
    difference of losses. 0 where they are equal to nine digits; infinite where one of them was not measured.
    """
    known = np.isfinite(one) & np.isfinite(other)
    apart = np.where(np.isfinite(one), -np.inf, np.inf)
    a, b = one[known], other[known]
    if (a > 0).all() and (b > 0).all():
        apart[known] = np.log(a / b)
    elif (a < 0).all() and (b < 0).all():  # losses of a figure of which more is better
        apart[known] = np.log(b / a)
    else:
        apart[known] = a - b
    apart[rounded(one) == rounded(other)] = 0.0
    return rounded(apart)


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's adjusted probabilities: at most `risk` is what stays significant at that risk of any false one."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    adjusted, highest = [0.0] * len(chances), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, chances[i] * (len(chances) - place)))
        adjusted[i] = highest
    return adjusted


def said_p(p: float) -> str:
    """A probability in a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _pairs(cell: int, block: Block, losses: Values) -> list[Pair]:
    return [
        Pair(cell, block.schemes[i], block.schemes[j], *_paired_t(losses[i], losses[j]))
        for i, j in combinations(range(len(block.schemes)), 2)
    ]


def _paired_t(one: Values, other: Values) -> tuple[float, float | None]:
    """Mean difference, and Student's t over the seeds. Equal seed by seed: no difference, whatever the spread."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float(one.mean() - other.mean() if one.mean() != other.mean() else 0.0), None
    apart = one - other
    size = _NOTHING * max(float(np.abs(one).mean()), float(np.abs(other).mean()))
    apart = np.where(np.abs(apart) <= size, 0.0, apart)
    mean = float(apart.mean())
    if len(apart) < LEAST:
        return mean, None
    error = float(apart.std(ddof=1)) / sqrt(len(apart))
    if error <= size:
        return mean, 1.0 if mean == 0 else 0.0
    return mean, float(2 * stats.t.sf(abs(mean) / error, len(apart) - 1))


def _wilcoxon(apart: Values) -> float:
    if not apart.any():
        return 1.0
    found = stats.wilcoxon(apart, zero_method="zsplit", axis=None)
    return float(found.pvalue)


def _better(one: str, other: str, apart: Values) -> str | None:
    """Who is ahead by the statistic of Wilcoxon's test."""
    balance = float((np.sign(apart) * stats.rankdata(np.abs(apart))).sum())
    return None if balance == 0 else one if balance < 0 else other
