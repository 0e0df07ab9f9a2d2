"""How long an answer will be, where nobody says: a running mean per model."""

from __future__ import annotations


class OutputLengths:
    """Expected output tokens per model, learned from finished requests.

    The mean of all answers seen so far; `prior_tokens` until the first. Constant memory per model.
    """

    def __init__(self, prior_tokens: float = 128.0) -> None:
        if not prior_tokens > 0:
            raise ValueError(f"prior_tokens must be > 0, not {prior_tokens:g}")
        self._prior = prior_tokens
        self._mean: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def expected_tokens(self, model: str) -> float:
        """Predicted output tokens of the next answer of this model."""
        return self._mean.get(model, self._prior)

    def observe(self, model: str, output_tokens: int) -> None:
        """One finished answer. Raises `ValueError` on a negative length."""
        if output_tokens < 0:
            raise ValueError(f"output_tokens must be >= 0, not {output_tokens}")
        seen = self._seen[model] = self._seen.get(model, 0) + 1
        mean = self._mean.get(model, 0.0)
        self._mean[model] = mean + (output_tokens - mean) / seen
