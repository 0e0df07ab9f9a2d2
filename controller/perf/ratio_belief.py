"""A Gaussian belief over the (at most two) coefficient ratios of one service law."""

from __future__ import annotations

from math import sqrt

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class RatioBelief:
    """Mean (r0, r1) and covariance p = (p00, p01, p11) of true over profiled coefficients.

    A law of one coefficient has p01 = p11 = 0 and is asked with f1 = 0. Ratios stay >= 0.
    """

    __slots__ = ("p", "r0", "r1")

    def __init__(self, r0: float, r1: float, p: tuple[float, float, float]) -> None:
        self.r0, self.r1, self.p = r0, r1, p

    def copy(self) -> RatioBelief:
        """The same belief, apart."""
        return RatioBelief(self.r0, self.r1, self.p)

    def theta(self, profiled: tuple[float, ...]) -> tuple[float, ...]:
        """Believed coefficients, seconds per feature."""
        if len(profiled) == 2:
            return profiled[0] * self.r0, profiled[1] * self.r1
        return (profiled[0] * self.r0,)

    def mean(self, f0: float, f1: float) -> float:
        """Expected time over profiled time of a request with these shares."""
        return f0 * self.r0 + f1 * self.r1

    def variance(self, f0: float, f1: float) -> float:
        """Epistemic variance of that."""
        p00, p01, p11 = self.p
        return max(f0 * f0 * p00 + 2.0 * f0 * f1 * p01 + f1 * f1 * p11, 0.0)

    def surprise(self, f0: float, f1: float, y: float, cv: float) -> float:
        """Standardised difference of an observed ratio y from what was expected of it."""
        mean = self.mean(f0, f1)
        total = self.variance(f0, f1) + (cv * max(mean, 1e-6)) ** 2
        return (y - mean) / sqrt(total)

    def scale(self, factor: float) -> None:
        """Multiply the covariance."""
        a, b, c = self.p
        self.p = (a * factor, b * factor, c * factor)

    def open(self, common_sd: float, each_sd: float) -> None:
        """Add doubt of a common factor, and of each coefficient, relative to the law itself."""
        p00, p01, p11 = self.p
        r0, r1 = self.r0, self.r1
        s, e = common_sd * common_sd, each_sd * each_sd
        two = p11 > 0.0
        self.p = (
            p00 + (s + e) * r0 * r0,
            p01 + s * r0 * r1 if two else 0.0,
            p11 + (s + e) * r1 * r1 if two else 0.0,
        )

    def update(self, f0: float, f1: float, y: float, cv: float) -> None:
        """Kalman step; the noise is relative to the mean after it (one iteration), then r is projected to >= 0."""
        p00, p01, p11 = self.p
        g0, g1 = p00 * f0 + p01 * f1, p01 * f0 + p11 * f1
        learned = max(f0 * g0 + f1 * g1, 0.0)
        gap = y - self.mean(f0, f1)
        level = max(self.mean(f0, f1), 1e-6)
        for _ in range(2):
            total = learned + (cv * level) ** 2
            level = max(self.mean(f0, f1) + learned / total * gap, 1e-6)
        k0, k1 = g0 / total, g1 / total
        self.r0, self.r1 = self.r0 + k0 * gap, self.r1 + k1 * gap
        p00, p11 = max(p00 - k0 * g0, 0.0), max(p11 - k1 * g1, 0.0)
        most = sqrt(p00 * p11)  # beyond it, by rounding alone, this would be no covariance
        self.p = (p00, min(max(p01 - k0 * g1, -most), most), p11)
        self._project()

    def _project(self) -> None:
        """The most likely law with no negative ratio, given that one came out negative."""
        p00, p01, p11 = self.p
        if self.r0 < 0.0:
            self.r1 -= self.r0 * p01 / p00 if p00 > 0 else 0.0
            self.r0 = 0.0
        if self.r1 < 0.0:
            self.r0 = max(self.r0 - (self.r1 * p01 / p11 if p11 > 0 else 0.0), 0.0)
            self.r1 = 0.0
