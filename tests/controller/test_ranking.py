"""Candidates are put in order as a stable sort would do it."""

from __future__ import annotations

from math import inf

import pytest

from controller.scoring import TOP, Ranking
from emulation.rng import stream


@pytest.mark.parametrize("size", [0, 1, TOP - 1, TOP, TOP + 1, 32])
def test_the_best_come_first_and_of_equals_the_first(size: int) -> None:
    draw = stream(5, f"ranking {size}")
    names = [f"d{i}" for i in range(size)]
    for _ in range(50):
        scores = [(0.0, 0.5, 1.5, 3.25, inf)[int(i)] for i in draw.integers(0, 5, size)]
        best = sorted(zip(names, scores, strict=True), key=lambda pair: pair[1])[:TOP]
        assert tuple(Ranking(names, scores)) == tuple(pair for pair in best if pair[1] < inf)
