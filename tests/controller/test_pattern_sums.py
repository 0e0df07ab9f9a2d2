"""Both ways of finding the pattern worth most add up alike, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controller.deployers.pattern_sums import FEW, LongSums, ShortSums, pattern_sums
from emulation.domain.cluster import Mode
from emulation.rng import stream

MODELS = ("a", "b", "c", "d", "e", "f")
NAMES: tuple[Mode, ...] = ("off", "cpu", "gpu")


def steps(models: int, seed: int) -> list[list[int]]:
    """Some patterns of so many models, in no order, several of them twice."""
    drawn = stream(seed, "patterns").integers(0, 3, size=(40, models)).tolist()
    return [[3 * m + mode for m, mode in enumerate(pattern)] for pattern in drawn]


def by_hand(patterns: Sequence[Sequence[int]], values: Sequence[float]) -> list[float]:
    return [sum(values[s] for s in pattern) for pattern in patterns]


@pytest.mark.parametrize("models", range(1, FEW + 1))
@pytest.mark.parametrize("seed", range(8))
def test_both_add_up_alike_to_the_last_bit(models: int, seed: int) -> None:
    patterns, rng = steps(models, seed), stream(seed, "values")
    short, long = ShortSums(patterns), LongSums(patterns)
    for _ in range(50):
        values = (rng.standard_normal(3 * models) * 10.0 ** rng.integers(-6, 7, 3 * models)).tolist()
        best, worth = short.best(values)
        assert (best, worth) == long.best(values)
        assert worth == pytest.approx(max(by_hand(patterns, values)), rel=1e-9, abs=1e-9)


def test_a_tie_goes_to_the_first_pattern() -> None:
    patterns = [[0, 5], [1, 4], [1, 3], [0, 4]]
    for sums in (ShortSums(patterns), LongSums(patterns)):
        assert sums.best([0.0, 1.0, 9.0, 2.0, 2.0, 0.5]) == (1, 3.0)


@pytest.mark.parametrize(
    ("models", "kind"), [(0, LongSums), (1, ShortSums), (FEW, ShortSums), (FEW + 1, LongSums)]
)
def test_the_kind_suits_the_number_of_models_and_steps_are_ordered_by_mode(models: int, kind: type) -> None:
    chosen = MODELS[:models]
    sums = pattern_sums([dict.fromkeys(chosen, name) for name in NAMES], chosen)
    assert type(sums) is kind
    for number in range(3) if models else ():
        values = [float(i % 3 == number) for i in range(3 * models)]
        assert sums.best(values) == (number, float(models))
