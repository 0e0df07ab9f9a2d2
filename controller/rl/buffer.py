"""Replay memory of the deployment agents: the last so many slots of every node, padded to one shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.rl.features import MODEL_MODE, MODES, PATTERN, Floats

Small = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions drawn: what was seen and chosen, what it brought in n slots, and what was seen then."""

    node: NDArray[np.int64]
    modes: Small
    patterns: Small
    action: NDArray[np.int64]
    gain: Small
    next_modes: Small
    next_patterns: Small


class Replay:
    """A ring of transitions. Padding rows are zero; `node` says which patterns and models are real."""

    def __init__(self, size: int, models: int, patterns: int) -> None:
        self._size, self._at, self.filled = size, 0, 0
        self._node = np.zeros(size, np.int64)
        self._action = np.zeros(size, np.int64)
        self._gain = np.zeros(size, np.float32)
        self._modes, self._next_modes = (
            np.zeros((size, models, len(MODES), MODEL_MODE), np.float32) for _ in range(2)
        )
        self._patterns, self._next_patterns = (
            np.zeros((size, patterns, PATTERN), np.float32) for _ in range(2)
        )

    def add(
        self, node: int, seen: tuple[Floats, Floats], action: int, gain: float, then: tuple[Floats, Floats]
    ) -> None:
        """One transition of one node."""
        i = self._at
        self._node[i], self._action[i], self._gain[i] = node, action, gain
        for into, rows in (
            (self._modes, seen[0]), (self._patterns, seen[1]),
            (self._next_modes, then[0]), (self._next_patterns, then[1]),
        ):  # fmt: skip
            into[i] = 0.0
            into[i, : len(rows)] = rows
        self._at = (i + 1) % self._size
        self.filled = max(self.filled, i + 1)

    def draw(self, rng: np.random.Generator, size: int) -> Batch:
        """So many, uniformly, with repetition."""
        i = rng.integers(self.filled, size=size)
        return Batch(
            self._node[i], self._modes[i], self._patterns[i], self._action[i], self._gain[i],
            self._next_modes[i], self._next_patterns[i],
        )  # fmt: skip
