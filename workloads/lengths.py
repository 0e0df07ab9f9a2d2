"""Choices and sizes of single requests: model by share, tokens from lists, service noise, payload bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

from numpy.random import Generator

from emulation.domain.cluster import ModelSpec
from emulation.domain.request_kind import Noise

T = TypeVar("T")

TEXT_BYTES_PER_TOKEN = 5
TEXT_BYTES_PER_PROMPT = 1_024
IMAGE_UP_BYTES = 100_000
"""Nominal JPEG a caption request carries, per prompt."""
IMAGE_DOWN_BYTES = 150_000
"""Nominal PNG an image request returns, per prompt."""


_LEAST_CV = 1e-6
"""Below it no noise is drawn: the gamma's shape would be too large a number."""


class Mix:
    """Keys by share; shares need not sum to 1. Raises `ValueError` if none is positive."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._keys, self._bounds = list(shares), list(accumulate(shares.values()))
        if not self._bounds or self._bounds[-1] <= 0:
            raise ValueError(f"mix {dict(shares)} has no positive share; give at least one a share > 0")
        self._last = len(self._keys) - 1

    def pick(self, u: float) -> str:
        """The key whose cumulative share covers u in [0, 1)."""
        return self._keys[min(bisect_right(self._bounds, u * self._bounds[-1]), self._last)]


def pick(shares: Mapping[str, float], u: float) -> str:
    """One key as `Mix` picks it."""
    return Mix(shares).pick(u)


def choose(options: Sequence[T], rng: Generator) -> T:
    """One of the options, uniformly; nothing is drawn where there is one only."""
    if len(options) == 1:
        return options[0]
    return options[int(rng.integers(len(options)))]


def gamma_noise(cv: float, count: int, rng: Generator) -> list[float]:
    """`count` multipliers of service time: gamma, mean 1, coefficient of variation `cv`; ones below a millionth."""
    if cv < _LEAST_CV:
        return [1.0] * count
    noise: list[float] = rng.gamma(shape=cv**-2, scale=cv**2, size=count).tolist()
    return noise


def noise_of(cv: float, rng: Generator) -> Noise:
    """The multipliers of `gamma_noise`, to be taken a few at a time."""
    return Noise(lambda count: gamma_noise(cv, count, rng))


def payload_bytes(
    model: ModelSpec, prompts: int, prompt_tokens: int, max_tokens: int | None
) -> tuple[int, int]:
    """Nominal (up, down) bytes of a request; the client's limit stands for the answer's hidden length.

    Only the features of the model's own service law count, so both worlds agree on them.
    """
    text = answer = prompts * TEXT_BYTES_PER_PROMPT
    if model.features == "tokens":
        text, answer = prompt_tokens * TEXT_BYTES_PER_TOKEN, (max_tokens or 0) * TEXT_BYTES_PER_TOKEN
    if model.modality == "caption":
        return text + prompts * IMAGE_UP_BYTES, answer
    if model.modality == "image":
        return text, prompts * IMAGE_DOWN_BYTES
    return text, answer
