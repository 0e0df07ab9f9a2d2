"""How far one order of the schemes holds: in how many cells, against which tests, and which cells it hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from edgebed.matrix.metrics import MetricName
from edgebed.matrix.ranks import CellRanks, Overall, cell_ranks, order_of, overall, ranks_of
from edgebed.matrix.results import Block, Results, Values
from edgebed.matrix.significance import (
    Friedman,
    Pair,
    Signed,
    friedman,
    pairs_in_cells,
    said_p,
    signed_ranks,
)

Verdict = Literal[
    "stable", "depends on the cell", "partly told apart", "not distinguishable", "too little to say"
]


@dataclass(frozen=True, slots=True)
class PairOrder:
    """Two schemes, the better one by mean rank first, over all cells."""

    first: str
    second: str
    ahead: int
    """Cells in which `first` has the better mean."""
    tied: int
    behind: int
    ahead_significantly: int
    """Cells in which it is better by the paired test, corrected for all pairs of all cells."""
    behind_significantly: int
    p_holm: float | None
    """Of Wilcoxon's test over the cells, corrected; None: too few cells."""
    favours: str | None
    """Who is the better one by that test, which weighs how far apart they are; None: neither, or too few cells."""

    @property
    def cells(self) -> int:
        """All of them."""
        return self.ahead + self.tied + self.behind

    @property
    def share(self) -> float:
        """Of the cells in which the order holds, ties counted as half."""
        return (self.ahead + self.tied / 2) / self.cells

    def tested(self, risk: float) -> str | None:
        """Who is better over the cells, if that is no chance."""
        return self.favours if self.p_holm is not None and self.p_holm <= risk else None


@dataclass(frozen=True, slots=True)
class Leaving:
    """What becomes of the overall order if something is left out."""

    what: str
    kind: Literal["cell", "scenario"]
    swapped: tuple[tuple[str, str], ...]
    """Pairs that change places: who was ahead, and who is then."""
    best: str
    """Who is first then."""
    best_changes: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that is said of a matrix by one figure."""

    metric: MetricName
    blocks: Sequence[Block]
    cells: Sequence[CellRanks]
    overall: Overall
    pairs: Sequence[Pair]
    orders: Sequence[PairOrder]
    friedman: Friedman | None
    signed: Sequence[Signed]
    leaving: Sequence[Leaving]
    verdict: Verdict
    why: str
    risk: float
    groups: Sequence[tuple[str, ...]] = field(default=())
    """Schemes whose mean ranks lie within the critical difference, as long as possible; none of one alone."""

    def winners(self, i: int) -> tuple[str, ...]:
        """Who has the best mean of a cell."""
        ranks = self.cells[i].rank
        return tuple(s for s, rank in zip(self.blocks[i].schemes, ranks, strict=True) if rank == ranks.min())


def analyse(results: Results, metric: MetricName) -> Analysis | None:
    """Rank and test what there is; None if no cell has a seed that all ranked schemes finished."""
    blocks = results.blocks()
    if not blocks:
        return None
    risk, schemes = results.plan.risk, blocks[0].schemes
    cells = [cell_ranks(block, metric) for block in blocks]
    ranks = np.array([c.rank for c in cells]).T
    first = overall(schemes, ranks)
    pairs, tested = pairs_in_cells(blocks, metric), friedman(ranks, risk)
    signed = signed_ranks(schemes, np.array([c.mean for c in cells]).T)
    orders = _orders(first, schemes, ranks, pairs, signed, risk)
    verdict, why = _verdict(orders, tested, risk)
    groups = _groups(first, tested) if tested is not None else ()
    return Analysis(
        metric,
        blocks,
        cells,
        first,
        pairs,
        orders,
        tested,
        signed,
        _leaving(blocks, ranks),
        verdict,
        why,
        risk,
        groups,
    )


def mean_ranks(results: Results, metric: MetricName) -> dict[str, float]:
    """Mean rank of every ranked scheme by another figure; empty where there is nothing to rank."""
    blocks = results.blocks()
    ranks = [ranks_of(block.losses(metric).mean(axis=1)) for block in blocks]
    means = np.array(ranks).mean(axis=0) if ranks else []
    return dict(zip(blocks[0].schemes, map(float, means), strict=True)) if blocks else {}


def _orders(
    first: Overall,
    schemes: Sequence[str],
    ranks: Values,
    pairs: Sequence[Pair],
    signed: Sequence[Signed],
    risk: float,
) -> list[PairOrder]:
    place = {s: i for i, s in enumerate(schemes)}
    decided: dict[frozenset[str], list[str]] = {}
    for pair in pairs:
        if (better := pair.better(risk)) is not None:
            decided.setdefault(frozenset((pair.one, pair.other)), []).append(better)
    over_cells = {frozenset((s.one, s.other)): (s.p_holm, s.better) for s in signed}
    found = []
    for one, other in combinations(first.schemes, 2):
        apart, both = ranks[place[one]] - ranks[place[other]], frozenset((one, other))
        won = decided.get(both, [])
        p_holm, favours = over_cells.get(both, (None, None))
        found.append(
            PairOrder(
                one, other, int((apart < 0).sum()), int((apart == 0).sum()), int((apart > 0).sum()),
                won.count(one), won.count(other), p_holm, favours,
            )
        )  # fmt: skip
    return found


def _verdict(orders: Sequence[PairOrder], tested: Friedman | None, risk: float) -> tuple[Verdict, str]:
    """Whether one order holds, and why that is said. Every one of the five can come out."""
    if tested is None:
        return "too little to say", "three schemes and three cells are the least that can be tested"
    turns = [o for o in orders if o.ahead_significantly and o.behind_significantly]
    if tested.p > risk:
        why = f"Friedman's test over {orders[0].cells} cells does not tell the schemes apart ({said_p(tested.p)})"
        return (
            ("depends on the cell", f"{_reversed(turns)}; {why}") if turns else ("not distinguishable", why)
        )
    if turns:
        return "depends on the cell", _reversed(turns)
    apart = [o for o in orders if o.tested(risk) == o.first]
    contrary = [o for o in orders if o.tested(risk) == o.second]
    against = [o for o in orders if o.behind_significantly]
    said = f"{len(apart)} of {len(orders)} pairs differ over the cells (Wilcoxon, Holm)"
    if contrary:
        said += f", and {len(contrary)} the other way round than by mean ranks"
    if len(apart) == len(orders) and not against:
        return "stable", f"{said}, and none is significantly reversed in any cell"
    if not apart and not contrary:
        return "too little to say", f"the schemes differ (Friedman's test, {said_p(tested.p)}), but {said}"
    none = "no pair is significantly better one way in some cell and the other way in another"
    return "partly told apart", f"{said}; {none}"


def _reversed(turns: Sequence[PairOrder]) -> str:
    worst = max(turns, key=lambda o: min(o.ahead_significantly, o.behind_significantly))
    number = f"{len(turns)} pairs are" if len(turns) > 1 else "1 pair is"
    ahead, behind = worst.ahead_significantly, worst.behind_significantly
    return (
        f"{number} significantly better one way in some cells and the other way in others, such as {worst.first} before"
        f" {worst.second} in {ahead} of {worst.cells} cells and behind in {behind}"
    )


def _groups(first: Overall, tested: Friedman) -> list[tuple[str, ...]]:
    """Demsar's bars: longest stretches of mean ranks within the critical difference."""
    found: list[tuple[int, int]] = []
    for i, rank in enumerate(first.mean_rank):
        j = max(k for k, other in enumerate(first.mean_rank) if other - rank <= tested.critical_difference)
        if j > i and (not found or j > found[-1][1]):
            found.append((i, j))
    return [first.schemes[i : j + 1] for i, j in found]


def _leaving(blocks: Sequence[Block], ranks: Values) -> list[Leaving]:
    """Every cell, and every scenario of several cells, without which the order of mean ranks is another one."""
    parts: list[tuple[str, Literal["cell", "scenario"], list[int]]] = [
        (str(block.cell), "cell", [i]) for i, block in enumerate(blocks)
    ]
    scenarios = dict.fromkeys(block.cell.scenario for block in blocks)
    for name in scenarios:
        own = [i for i, block in enumerate(blocks) if block.cell.scenario == name]
        if len(own) > 1:
            parts.append((name, "scenario", own))
    schemes, whole = blocks[0].schemes, _means(ranks)
    found = []
    for what, kind, own in parts:
        rest = np.delete(ranks, own, axis=1)
        if not rest.shape[1]:
            continue
        then = _means(rest)
        swapped = tuple(
            (schemes[a], schemes[b])
            for a in order_of(ranks)
            for b in range(len(schemes))
            if whole[a] < whole[b] and then[a] > then[b]
        )
        if swapped:
            best, best_then = _firsts(schemes, whole), _firsts(schemes, then)
            found.append(Leaving(what, kind, swapped, best_then[0], not set(best) & set(best_then)))
    return found


def _means(ranks: Values) -> Values:
    """Mean ranks over cells, so rounded that equal ones are."""
    found: Values = np.round(ranks.mean(axis=1), 9)
    return found


def _firsts(schemes: Sequence[str], means: Values) -> list[str]:
    return [s for s, mean in zip(schemes, means, strict=True) if mean == means.min()]
