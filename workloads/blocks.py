"""Draws from one stream, made in blocks and handed out one by one: the same as if each were drawn by itself.

A call of numpy takes as long for one number as for a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import TypeVar

from numpy.random import Generator

T = TypeVar("T")

BLOCK = 256
"""Numbers that are drawn at once."""


def uniforms(rng: Generator) -> Iterator[float]:
    """Draws in [0, 1)."""
    return chain.from_iterable(rng.random(BLOCK).tolist() for _ in repeat(None))


def exponentials(mean: float, rng: Generator) -> Iterator[float]:
    """Exponential draws of this mean."""
    return chain.from_iterable(rng.exponential(mean, BLOCK).tolist() for _ in repeat(None))


def integers(low: int, high: int, rng: Generator) -> Iterator[int]:
    """Draws from `low` on and below `high`."""
    return chain.from_iterable(rng.integers(low, high, BLOCK).tolist() for _ in repeat(None))


def choices(options: Sequence[T], rng: Generator) -> Iterator[T]:
    """What `choose` gives for these options each time it is asked; nothing is drawn where there is one only."""
    if len(options) == 1:
        return repeat(options[0])
    return map(options.__getitem__, integers(0, len(options), rng))


def pairs(first: Sequence[int], second: Sequence[int], rng: Generator) -> Iterator[tuple[int, int]]:
    """What `choose` gives for the one and the other in turn, from the same stream."""
    if len(first) == 1 or len(second) == 1:
        return zip(choices(first, rng), choices(second, rng), strict=True)
    counts = [len(first), len(second)]
    drawn = chain.from_iterable(rng.integers(0, counts, size=(BLOCK, 2)).tolist() for _ in repeat(None))
    return ((first[i], second[j]) for i, j in drawn)
