"""The tests say what scipy and the literature say, and can say otherwise."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
from scipy import stats

from edgebed.matrix.ranks import AT_ONCE, DRAWS, means_again, overall, ranks_of
from edgebed.matrix.significance import (
    _paired_t,
    critical_difference,
    differences,
    friedman,
    holm,
    signed_ranks,
)
from emulation.rng import stream

ORDERED = np.array([[1.0] * 8, [2.0] * 8, [3.0] * 8])


def table(seed: int, schemes: int = 5, cells: int = 12) -> Any:
    """Ranks by chance."""
    return ranks_of(np.random.default_rng(seed).normal(size=(schemes, cells)))


def test_less_is_better_and_ties_share_their_places() -> None:
    assert ranks_of(np.array([3.0, 1.0, 1.0 + 1e-12, np.inf])).tolist() == [3, 1.5, 1.5, 4]
    assert ranks_of(np.array([0.0, -2.0, 5e-9])).tolist() == [2, 1, 3]


def test_friedman_has_the_f_of_iman_and_davenport() -> None:
    """Demsar 2006, section 3.2.2: chi2 9.28 over 14 data sets and 4 algorithms is F(3, 39) = 3.69."""
    ranks = table(7, schemes=4, cells=14)
    found = friedman(ranks, 0.05)
    assert found is not None
    assert found.chi2 == pytest.approx(stats.friedmanchisquare(*ranks).statistic)
    f = 13 * found.chi2 / (14 * 3 - found.chi2)
    assert found.p == pytest.approx(stats.f.sf(f, 3, 39))
    assert pytest.approx(3.69, abs=0.005) == 13 * 9.28 / (14 * 3 - 9.28)
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)  # page 15: 2.569 sqrt(4 5 / (6 14))


@pytest.mark.parametrize(("schemes", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_published_constants(schemes: int, q: float) -> None:
    """Table 5a of Demsar 2006."""
    width = critical_difference(schemes, 20, 0.05)
    assert width / np.sqrt(schemes * (schemes + 1) / 120) == pytest.approx(q, abs=0.002)


def test_friedman_tells_one_order_from_chance() -> None:
    same, chance = friedman(ORDERED, 0.05), [friedman(table(seed), 0.05) for seed in range(100)]
    assert same is not None
    assert (same.p, same.concordance) == (0.0, 1.0)
    false = sum(found is not None and found.p < 0.05 for found in chance)
    assert false / 100 < 0.12


def test_a_tie_everywhere_is_no_order() -> None:
    found = friedman(np.full((3, 5), 2.0), 0.05)
    assert found is not None
    assert (found.p, found.concordance) == (1.0, 0.0)
    assert {one.p_holm for one in signed_ranks("abc", np.full((3, 5), 2.0))} == {1.0}


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.0])
def test_a_pair_is_tested_alike_whoever_else_is_compared(scale: float) -> None:
    """`scale`: latencies; figures of which more is better; losses of either sign."""
    rng = np.random.default_rng(5)
    losses = np.exp(rng.normal(size=(6, 9))) * scale if scale else rng.normal(size=(6, 9))
    alone = {(s.one, s.other): (s.p, s.better) for s in signed_ranks("ab", losses[:2])}
    among = {(s.one, s.other): (s.p, s.better) for s in signed_ranks("abcdef", losses)}
    assert among["a", "b"] == alone["a", "b"]
    assert len(among) == 15


def test_cells_of_another_scale_weigh_alike() -> None:
    """Twice as slow in every cell is twice as slow, in seconds or in hours."""
    one = np.array([1.0, 2.0, 500.0, 7000.0, 3.0, 0.1])
    assert differences(one, one / 2) == pytest.approx([log(2)] * 6)
    assert differences(-one, -one * 2) == pytest.approx([log(2)] * 6), "half the goodput"
    assert differences(one - 2.0, one - 3.0) == pytest.approx([1.0] * 6), "no ratio of what may be 0"


def test_a_pair_has_the_p_of_its_own_differences() -> None:
    one, other = np.exp(np.random.default_rng(2).normal(size=(2, 12)))
    (found,) = signed_ranks("ab", np.array([one, other]))
    assert found.p == pytest.approx(stats.wilcoxon(np.log(one / other)).pvalue)


def test_what_was_not_measured_is_behind_and_a_tie_is_none() -> None:
    one, other = np.array([1.0, np.inf, np.inf, 2.0]), np.array([np.inf, 3.0, np.inf, 2.0 + 1e-12])
    assert differences(one, other).tolist() == [-np.inf, np.inf, 0.0, 0.0]
    (found,) = signed_ranks("ab", np.array([np.ones(8), np.full(8, np.inf)]))
    assert (found.better, found.p < 0.05) == ("a", True)


def test_too_few_cells_or_schemes_are_not_tested() -> None:
    assert friedman(ORDERED[:, :2], 0.05) is None
    assert friedman(ORDERED[:2], 0.05) is None
    assert signed_ranks("abc", ORDERED[:, :2]) == []


def test_holm_is_that_of_the_books() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.9]) == [1.0, 1.0]


def test_a_paired_test_sees_what_an_unpaired_one_does_not() -> None:
    noise = np.random.default_rng(1).normal(size=8) * 10
    one, other = noise, noise + 1 + np.random.default_rng(2).normal(size=8) * 0.1
    mean, p = _paired_t(one, other)
    assert mean < 0
    assert p == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert stats.ttest_ind(one, other).pvalue > 0.5


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        ([1.0, 2, 3], [1.0, 2, 3], 1.0),
        ([1.0, 2, 3], [1.0 + 1e-12, 2, 3], 1.0),
        ([1.0, 1, 1], [2.0, 2, 2], 0.0),
        ([1.0, 2], [3.0, 5], None),
        ([1.0, 2, np.inf], [3.0, 5, 6], None),
    ],
)
def test_what_never_differs_or_always_by_the_same_is_no_division_by_nothing(
    one: list[float], other: list[float], p: float | None
) -> None:
    assert _paired_t(np.array(one), np.array(other))[1] == p


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 3), (3, 3), (5, 18), (13, 7), (2, 400)])
def test_a_bootstrap_in_parts_is_the_same_to_the_byte(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(4).normal(size=shape) ** 3
    for given in (values, values.T.copy().T):
        drawn = stream(0, "boot").integers(shape[1], size=(DRAWS, shape[1]))
        whole = given[:, drawn].mean(axis=2)
        for at_once in (1, 1_001, 30_000, AT_ONCE):
            assert means_again(given, stream(0, "boot"), at_once).tobytes() == whole.tobytes()


def test_mean_ranks_have_intervals_that_hold_them() -> None:
    found = overall("abcde", table(3))
    assert list(found.mean_rank) == sorted(found.mean_rank)
    assert all(
        low < mean < high for low, mean, high in zip(found.low, found.mean_rank, found.high, strict=True)
    )  # type: ignore[operator]
    assert sum(found.wins) == 12
