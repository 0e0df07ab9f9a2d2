"""What is drawn in blocks is what would be drawn one by one."""

from __future__ import annotations

from itertools import islice

import pytest

from emulation.rng import stream
from workloads.blocks import BLOCK, choices, exponentials, integers, pairs, uniforms
from workloads.lengths import choose

COUNT = 3 * BLOCK + 1


def test_uniform_and_exponential_draws() -> None:
    alone = stream(1, "draws")
    assert list(islice(uniforms(stream(1, "draws")), COUNT)) == [float(alone.random()) for _ in range(COUNT)]
    alone = stream(1, "draws")
    drawn = list(islice(exponentials(0.7, stream(1, "draws")), COUNT))
    assert drawn == [float(alone.exponential(0.7)) for _ in range(COUNT)]
    assert {type(v) for v in drawn} == {float}


@pytest.mark.parametrize("options", ["a", "ab", "abc", "abcdefg"])
def test_choices(options: str) -> None:
    alone = stream(1, "draws")
    drawn = list(islice(choices(options, stream(1, "draws")), COUNT))
    assert drawn == [choose(options, alone) for _ in range(COUNT)]


@pytest.mark.parametrize("first", [(1,), (1, 2), (1, 2, 3), (5, 5, 5, 5, 5, 6, 7)])
@pytest.mark.parametrize("second", [(9,), (9, 8), (9, 8, 7)])
def test_choices_of_two_kinds_in_turn(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    alone = stream(1, "draws")
    drawn = list(islice(pairs(first, second, stream(1, "draws")), COUNT))
    assert drawn == [(choose(first, alone), choose(second, alone)) for _ in range(COUNT)]


@pytest.mark.parametrize(("low", "high"), [(0, 9), (2, 3), (-4, 100)])
def test_integers_drawn_so_many_at_a_time(low: int, high: int) -> None:
    alone, drawn = stream(1, "draws"), integers(low, high, stream(1, "draws"))
    for count in (24, 1, 7, 300):
        assert list(islice(drawn, count)) == alone.integers(low, high, size=count).tolist()
