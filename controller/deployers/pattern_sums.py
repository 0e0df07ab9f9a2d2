"""Which pattern of a node is worth most, where the worth is a sum over its models of the value of one step each.

Two ways of doing the same sums, to the last bit, so that a tie falls alike: in plain Python where a node has few
models, for which numpy would take longer to be called than to compute, and by numpy where it has many. Compiled: asked
in every slot of every node.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
from mypy_extensions import mypyc_attr

from emulation.domain.cluster import Mode

FEW = 5
"""Models up to which `ShortSums` adds up as numpy does."""
_NUMBER: dict[str, int] = {"off": 0, "cpu": 1, "gpu": 2}
_EIGHT = 8
"""Steps that numpy adds up by pairs; what comes after them it adds one by one."""


@mypyc_attr(allow_interpreted_subclasses=True)
class PatternSums(ABC):
    """Patterns, each as the numbers of its steps: one of three per model, in order."""

    @abstractmethod
    def best(self, values: list[float]) -> tuple[int, float]:
        """The number of the pattern worth most, the first of several, and its worth. `values`: of every step."""


@mypyc_attr(allow_interpreted_subclasses=True)
class ShortSums(PatternSums):
    """Of at most `FEW` models. What neighbouring patterns begin with is added up once."""

    def __init__(self, patterns: Sequence[Sequence[int]]) -> None:
        self._groups: list[tuple[list[int], list[int], list[int], list[int]]] = []
        """Steps that several patterns begin with (the first four, the next four, and what comes after these), and the
        last step of each of these patterns; -1 where there is none after the first eight."""
        begun: list[int] | None = None
        for steps in patterns:
            late = steps[-1] >= _EIGHT
            begin = list(steps[:-1] if late else steps)
            if begin != begun:
                half = _EIGHT // 2
                first, second = [s for s in begin if s < half], [s for s in begin if half <= s < _EIGHT]
                self._groups.append((first, second, [s for s in begin if s >= _EIGHT], []))
                begun = begin
            self._groups[-1][3].append(steps[-1] if late else -1)

    def best(self, values: list[float]) -> tuple[int, float]:
        """By sums in the order of numpy."""
        number, best, most = 0, 0, -inf
        for first, second, more, lasts in self._groups:
            total, right = 0.0, 0.0
            for s in first:
                total += values[s]
            for s in second:
                right += values[s]
            total += right
            for s in more:
                total += values[s]
            for s in lasts:
                worth = total if s < 0 else total + values[s]
                if worth > most:
                    best, most = number, worth
                number += 1
        return best, most


@mypyc_attr(allow_interpreted_subclasses=True)
class LongSums(PatternSums):
    """Of any number of models: the rows of a (patterns, steps) matrix of zeros and ones, times the values."""

    def __init__(self, patterns: Sequence[Sequence[int]]) -> None:
        self._steps = np.zeros((len(patterns), 3 * len(patterns[0])))
        for row, steps in enumerate(patterns):
            self._steps[row, list(steps)] = 1.0

    def best(self, values: list[float]) -> tuple[int, float]:
        """Not by `@`: a BLAS product rounds differently with the alignment of memory."""
        sums = np.add.reduce(self._steps * np.array(values), axis=1)
        best = int(sums.argmax())
        return best, float(sums[best])


def pattern_sums(patterns: Sequence[Mapping[str, Mode]], models: Sequence[str]) -> PatternSums:
    """Of the kind that suits their size; steps are ordered by model, and then off, cpu, gpu."""
    steps = [[3 * number + _NUMBER[pattern[m]] for number, m in enumerate(models)] for pattern in patterns]
    return ShortSums(steps) if 0 < len(models) <= FEW else LongSums(steps)
