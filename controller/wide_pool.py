"""A pool of many columns, scored by numpy."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from mypy_extensions import mypyc_attr
from numpy.typing import NDArray

from controller.pool import Pool, Row
from controller.scoring import TOP, Ranking
from emulation.domain.cluster import TestbedConfig

Array = NDArray[np.float64]


@mypyc_attr(allow_interpreted_subclasses=True)
class WidePool(Pool):
    """Arrays, one entry per column."""

    def __init__(
        self,
        testbed: TestbedConfig,
        model: str,
        executor_of: dict[str, int],
        latency_s: Array,
        per_byte_s: Array | None,
    ) -> None:
        """`latency_s`, `per_byte_s`: (sites, columns), seconds there and back; None: bytes cost nothing."""
        super().__init__(testbed, model, executor_of)
        size = len(self.names)
        self._latency_s, self._per_byte_s = latency_s, per_byte_s
        self.theta = [np.zeros(size), np.zeros(size)]
        self.prior_theta = [np.zeros(size), np.zeros(size)]
        self.noise_cv = np.zeros(size)
        self.covariance = np.zeros((3, size))
        self.free_at, self.floor = np.full(size, -inf), np.zeros(size)
        self.extra, self._tiers = np.array(self.tier), np.array(self.tier)
        self._wait, self._service, self._score = np.zeros(size), np.zeros(size), np.zeros(size)
        self._sigma, self._term = np.zeros(size), np.zeros(size)
        self._doubted = True
        """Whether `_sigma` is of this request: worked out when somebody asks for all of them."""
        self._x0 = self._x1 = self._x1_sd = 0.0

    def _put_law(
        self, column: int, theta: tuple[float, ...], covariance: tuple[float, float, float], noise_cv: float
    ) -> None:
        for row, coefficient in zip(self.theta, theta, strict=False):
            row[column] = coefficient
        self.covariance[:, column] = covariance
        self.noise_cv[column] = noise_cv

    def _put_extra(self, column: int, extra_s: float) -> None:
        self.extra[column], self._tiers[column] = extra_s, self.tier[column]

    def set_prior(self, column: int, theta: tuple[float, ...]) -> None:
        """Of the features the law has."""
        for row, coefficient in zip(self.prior_theta, theta, strict=False):
            row[column] = coefficient

    def set_free(self, column: int, free_at_s: float, floor_s: float) -> None:
        """At once."""
        self.free_at[column], self.floor[column] = free_at_s, floor_s

    def evaluate(
        self, site: int, x: tuple[float, float], moved_bytes: int, now_s: float, x1_sd: float = 0.0
    ) -> None:
        """All columns at once."""
        wait, service, score, term = self._wait, self._service, self._score, self._term
        x0, x1 = x
        self._x0, self._x1, self._x1_sd, self._doubted = x0, x1, x1_sd, False
        np.subtract(self.free_at, now_s, out=wait)
        np.maximum(wait, self.floor, out=wait)
        np.multiply(self.theta[0], x0, out=service)
        if self.features == 2:
            np.multiply(self.theta[1], x1, out=term)
            np.add(service, term, out=service)
        np.add(wait, service, out=score)
        np.add(self._latency_s[site], self.extra, out=term)
        np.add(score, term, out=score)
        if moved_bytes and self._per_byte_s is not None:
            np.multiply(self._per_byte_s[site], moved_bytes, out=term)
            np.add(score, term, out=score)

    def _epistemic_of(self, column: int) -> float:
        """Epistemic variance of the service time of one column, seconds squared."""
        x0, x1 = self._x0, self._x1
        variance: float = self.covariance.item(0, column) * (x0 * x0)
        if self.features == 2:
            variance = variance + self.covariance.item(1, column) * (x0 * x1)
            variance = variance + self.covariance.item(2, column) * (x1 * x1)
            if variance < 0.0:
                variance = 0.0
        return variance

    @property
    def wait(self) -> Row:
        """The array that the next request is scored into, too."""
        row: Row = self._wait
        return row

    @property
    def service(self) -> Row:
        """The array that the next request is scored into, too."""
        row: Row = self._service
        return row

    @property
    def sigma(self) -> Row:
        """The array that the next request is scored into, too; worked out when somebody asks for all of them."""
        sigma = self._sigma
        if not self._doubted:
            self._doubted = True
            np.multiply(self._service, self.noise_cv, out=sigma)
            np.multiply(sigma, sigma, out=sigma)
            np.add(sigma, _epistemic(self.covariance, self.features, self._x0, self._x1), out=sigma)
            if self._x1_sd:
                length_s = self.theta[1] * self._x1_sd
                np.add(sigma, length_s * length_s, out=sigma)
            np.sqrt(sigma, out=sigma)
        row: Row = sigma
        return row

    @property
    def score(self) -> Row:
        """The array that the next request is scored into, too."""
        row: Row = self._score
        return row

    def sigma_s(self, column: int) -> float:
        """From noise, ignorance and the unknown length."""
        if self._doubted:
            return self._sigma.item(column)
        noise_s: float = self._service.item(column) * self.noise_cv.item(column)
        variance = noise_s * noise_s + self._epistemic_of(column)
        if self._x1_sd:
            length_s: float = self.theta[1].item(column) * self._x1_sd
            variance = variance + length_s * length_s
        return sqrt(variance)

    def epistemic_s(self, column: int) -> float:
        """From the covariance of the law."""
        return sqrt(self._epistemic_of(column))

    def bend(self, courtesy: float, explore: float) -> None:
        """All columns at once."""
        if courtesy:
            self._score += courtesy * self._wait
        if explore:
            self._score -= explore * np.sqrt(_epistemic(self.covariance, self.features, self._x0, self._x1))

    def rescore(self, column: int, score_s: float) -> None:
        """At once."""
        self._score[column] = score_s

    def overrule(self, column: int, wait_s: float, service_s: float, score_s: float) -> None:
        """And no doubt is left."""
        len(self.sigma)  # of this request from here on
        self._sigma[column] = 0.0
        self._wait[column], self._service[column], self._score[column] = wait_s, service_s, score_s

    def lowest(self) -> int:
        """By the scores as they are now."""
        return int(self._score.argmin())

    def soonest(self) -> int:
        """By wait and tier."""
        return int((self._wait + self._tiers).argmin())

    def quickest_by_profile(self, x: tuple[float, float]) -> int:
        """By profile and tier."""
        total = self.prior_theta[0] * x[0]
        if self.features == 2:
            total = total + self.prior_theta[1] * x[1]
        return int((total + self._tiers).argmin())

    def ranking(self, column: int) -> Ranking:
        """Only the best are kept: the array is scored into again."""
        scores = self._score
        if column < self.routable:
            scores = scores[: self.routable]
        if len(scores) <= TOP:
            return Ranking(self.names, scores.tolist())
        best = np.sort(np.argpartition(scores, TOP - 1)[:TOP])
        return Ranking([self.names[i] for i in best.tolist()], scores[best].tolist())

    def link(self, column: int, site: int) -> tuple[float, float]:
        """From the tables."""
        per_byte_s = 0.0 if self._per_byte_s is None else self._per_byte_s.item(site, column)
        return self._latency_s.item(site, column), per_byte_s

    def service_s(self, column: int, x: tuple[float, float]) -> float:
        """By the law of the column."""
        total = self.theta[0].item(column) * x[0]
        return total + self.theta[1].item(column) * x[1] if self.features == 2 else total


def _epistemic(covariance: Array, features: int, x0: float, x1: float) -> Array:
    """Epistemic variance of the service time of every column, seconds squared."""
    # Element by element: a BLAS product rounds differently with the alignment of memory, so runs would differ.
    variance: Array = covariance[0] * (x0 * x0)
    if features == 2:
        variance += covariance[1] * (x0 * x1)
        variance += covariance[2] * (x1 * x1)
        np.maximum(variance, 0.0, out=variance)  # a rounded covariance may fall below
    return variance
