"""How long an answer will be, where nobody says or only a limit is stated: running figures per model."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from mypy_extensions import mypyc_attr


@dataclass(slots=True)
class _Running:
    """Mean and variance of what was seen (Welford 1962), in constant memory."""

    seen: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        self.seen += 1
        off = value - self.mean
        self.mean += off / self.seen
        self._squares += off * (value - self.mean)

    def sd(self) -> float:
        return sqrt(self._squares / (self.seen - 1)) if self.seen > 1 else 0.0


@mypyc_attr(allow_interpreted_subclasses=True)
class OutputLengths:
    """Expected output tokens per model, learned from finished requests.

    Where a request states nothing: the mean of all answers seen so far, `prior_tokens` until the first. Where it
    states a number (its limit, or the truth in E3's setting): that number times the mean share of it that answers
    took, 1 until the first; a stated truth keeps the share at exactly 1. Constant memory per model.
    """

    def __init__(self, prior_tokens: float = 128.0) -> None:
        if not prior_tokens > 0:
            raise ValueError(f"prior_tokens must be > 0, not {prior_tokens:g}")
        self._prior = prior_tokens
        self._tokens: dict[str, _Running] = {}
        self._shares: dict[str, _Running] = {}

    def expected_tokens(self, model: str, stated: float | None = None) -> float:
        """Predicted output tokens of the next answer of this model."""
        unit, seen = self._figures(model, stated)
        if seen is None:
            return self._prior if stated is None else stated
        return unit * seen.mean

    def sd_tokens(self, model: str, stated: float | None = None) -> float:
        """Standard deviation of the answer's length given that prediction; 0 while nothing is known of it."""
        unit, seen = self._figures(model, stated)
        return 0.0 if seen is None else unit * seen.sd()

    def _figures(self, model: str, stated: float | None) -> tuple[float, _Running | None]:
        """Tokens that the figures count in, and the figures: of shares where a number is stated."""
        return (1.0, self._tokens.get(model)) if stated is None else (stated, self._shares.get(model))

    def observe(self, model: str, output_tokens: float, stated: float | None = None) -> None:
        """One finished answer (of several to one request: their mean), and the number its request stated.

        Raises `ValueError` on a negative length.
        """
        if output_tokens < 0:
            raise ValueError(f"output_tokens must be >= 0, not {output_tokens:g}")
        _of(self._tokens, model).add(float(output_tokens))
        if stated is not None and stated > 0:
            _of(self._shares, model).add(output_tokens / stated)


def _of(figures: dict[str, _Running], model: str) -> _Running:
    found = figures.get(model)
    if found is None:
        found = figures[model] = _Running()
    return found
