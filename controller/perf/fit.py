"""The least squares of `nnls` over one key's window."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import sqrt

from mypy_extensions import mypyc_attr

from controller.perf.config import NnlsConfig

_FLOOR = 1e-3
"""Share of the prior's weight that stays when the window is full: decides what the data leave open."""
_LARGEST = 1e6
"""Residual above which feedback is nonsense, whatever it is."""
_TINY = 1e-200
"""Squares below this are no measurement."""
_LOST = 1e-6
"""Sums this much smaller than what was subtracted from them hold too little of their precision."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Fit:
    """Sliding sums of one key's window and the solution they give."""

    __slots__ = (
        "_prior",
        "_since_exact",
        "_sums",
        "_variance",
        "_weight",
        "_window",
        "residual",
        "samples",
        "theta",
        "uncertainty",
    )

    def __init__(self, prior: tuple[float, ...], config: NnlsConfig) -> None:
        self.theta = prior
        self.residual = 0.0
        """Root of the residual sum of squares relative to the observed one."""
        self.uncertainty = config.prior_relative_sd
        self.samples: deque[tuple[float, float, float]] = deque()
        self._prior = prior
        self._window = config.window
        self._weight = config.prior_weight
        self._variance = config.prior_relative_sd**2
        self._sums = [0.0] * 6
        self._since_exact = 0

    def add(self, x: Sequence[float], service_s: float) -> None:
        """Take one sample in, the oldest out, solve again. Raises `ValueError` on a wrong feature count."""
        if len(x) != len(self._prior):
            raise ValueError(f"{len(x)} features for a law of {len(self._prior)}")
        self.samples.append((float(x[0]), float(x[1]) if len(x) == 2 else 0.0, service_s))
        self._count(self.samples[-1], 1.0)
        if len(self.samples) > self._window:
            self._drop(self.samples.popleft())
        self._solve()

    def _drop(self, old: tuple[float, float, float]) -> None:
        """Take a sample out of the sums; add them up afresh where subtraction would leave mostly rounding."""
        self._count(old, -1.0)
        self._since_exact += 1
        left = (self._sums[0], self._sums[2], self._sums[5])
        lost = any(rest < _LOST * value * value for rest, value in zip(left, old, strict=True))
        if lost or self._since_exact >= self._window:
            self._sums, self._since_exact = [0.0] * 6, 0
            for sample in self.samples:
                self._count(sample, 1.0)

    def _count(self, sample: tuple[float, float, float], sign: float) -> None:
        u, v, y = sample
        sums = self._sums
        sums[0] += sign * u * u
        sums[1] += sign * u * v
        sums[2] += sign * v * v
        sums[3] += sign * u * y
        sums[4] += sign * v * y
        sums[5] += sign * y * y

    def _solve(self) -> None:
        n = len(self.samples)
        pull = max(self._weight * (1.0 - n / self._window), self._weight * _FLOOR) / n
        uu, uv, vv, uy, vy, yy = self._sums
        if len(self._prior) == 1:
            a, b = ((uy + pull * uu * self._prior[0]) / (uu + pull * uu) if uu > 0 else self._prior[0]), 0.0
            self.theta = (max(a, 0.0),)
        else:
            a, b = self.theta = _pair(uu, uv, vv, uy, vy, pull, (self._prior[0], self._prior[1]))
        squares = yy - 2.0 * (a * uy + b * vy) + a * a * uu + 2.0 * a * b * uv + b * b * vv
        self.residual = min(sqrt(max(squares, 0.0) / yy), _LARGEST) if yy > _TINY else 0.0
        self.uncertainty = min(1.0, sqrt((self.residual**2 + self._variance) / (1.0 + n)))


def _pair(
    uu: float, uv: float, vv: float, uy: float, vy: float, pull: float, prior: tuple[float, float]
) -> tuple[float, float]:
    """Non-negative least squares in two unknowns from the normal equations, pulled to the prior.

    The pull adds `pull * uu` and `pull * vv` to the diagonal. A feature that was never seen keeps its prior.
    """
    if uu <= 0 or vv <= 0:
        only_u = (uy + pull * uu * prior[0]) / (uu + pull * uu) if uu > 0 else prior[0]
        only_v = (vy + pull * vv * prior[1]) / (vv + pull * vv) if vv > 0 else prior[1]
        return max(only_u, 0.0), max(only_v, 0.0)
    # In features scaled to length 1: their correlation, and the two right-hand sides.
    u, v = sqrt(uu), sqrt(vv)
    cosine = min(uv / u / v, 1.0)
    p, q = uy / u + pull * u * prior[0], vy / v + pull * v * prior[1]
    diagonal = 1.0 + pull
    a, b = diagonal * p - cosine * q, diagonal * q - cosine * p
    if a >= 0 and b >= 0:
        det = diagonal * diagonal - cosine * cosine
        return a / det / u, b / det / v
    # One is clipped: the better solution on an axis. The squares fall by p^2 or q^2 there.
    return (p / diagonal / u, 0.0) if p >= q else (0.0, q / diagonal / v)
