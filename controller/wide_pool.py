"""A pool of many columns, scored by numpy."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from mypy_extensions import mypyc_attr
from numpy.typing import NDArray

from controller.pool import Pool, Row
from controller.scoring import SCORE, SERVICE, SIGMA, TOP, WAIT, Ranking
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
        self._scored = np.zeros((4, size))
        self._term, self._epistemic = np.zeros(size), np.zeros(size)

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
        wait, service, sigma, score = self._scored
        term, epistemic = self._term, self._epistemic
        np.subtract(self.free_at, now_s, out=wait)
        np.maximum(wait, self.floor, out=wait)
        np.multiply(self.theta[0], x[0], out=service)
        if self.features == 2:
            np.multiply(self.theta[1], x[1], out=term)
            np.add(service, term, out=service)
        x0, x1 = x
        # Element by element: a BLAS product rounds differently with the alignment of memory, so runs would differ.
        np.multiply(self.covariance[0], x0 * x0, out=epistemic)
        if self.features == 2:
            np.multiply(self.covariance[1], x0 * x1, out=term)
            np.add(epistemic, term, out=epistemic)
            np.multiply(self.covariance[2], x1 * x1, out=term)
            np.add(epistemic, term, out=epistemic)
            np.maximum(epistemic, 0.0, out=epistemic)  # a rounded covariance may fall below
        np.multiply(service, self.noise_cv, out=sigma)
        np.multiply(sigma, sigma, out=sigma)
        np.add(sigma, epistemic, out=sigma)
        if x1_sd:
            np.multiply(self.theta[1], x1_sd, out=term)
            np.multiply(term, term, out=term)
            np.add(sigma, term, out=sigma)
        np.sqrt(sigma, out=sigma)
        np.add(wait, service, out=score)
        np.add(self._latency_s[site], self.extra, out=term)
        np.add(score, term, out=score)
        if moved_bytes and self._per_byte_s is not None:
            np.multiply(self._per_byte_s[site], moved_bytes, out=term)
            np.add(score, term, out=score)

    @property
    def wait(self) -> Row:
        """A view of the frame."""
        row: Row = self._scored[WAIT]
        return row

    @property
    def service(self) -> Row:
        """A view of the frame."""
        row: Row = self._scored[SERVICE]
        return row

    @property
    def sigma(self) -> Row:
        """A view of the frame."""
        row: Row = self._scored[SIGMA]
        return row

    @property
    def score(self) -> Row:
        """A view of the frame."""
        row: Row = self._scored[SCORE]
        return row

    def sigma_s(self, column: int) -> float:
        """From the frame."""
        return self._scored.item(SIGMA, column)

    def epistemic_s(self, column: int) -> float:
        """From the frame."""
        return sqrt(self._epistemic.item(column))

    def bend(self, courtesy: float, explore: float) -> None:
        """All columns at once."""
        if courtesy:
            self._scored[SCORE] += courtesy * self._scored[WAIT]
        if explore:
            self._scored[SCORE] -= explore * np.sqrt(self._epistemic)

    def rescore(self, column: int, score_s: float) -> None:
        """In the frame."""
        self._scored[SCORE, column] = score_s

    def overrule(self, column: int, wait_s: float, service_s: float, score_s: float) -> None:
        """And no doubt is left."""
        self._scored[:, column] = wait_s, service_s, 0.0, score_s

    def lowest(self) -> int:
        """By the scores as they are now."""
        return int(self._scored[SCORE].argmin())

    def soonest(self) -> int:
        """By wait and tier."""
        return int((self._scored[WAIT] + self._tiers).argmin())

    def quickest_by_profile(self, x: tuple[float, float]) -> int:
        """By profile and tier."""
        total = self.prior_theta[0] * x[0]
        if self.features == 2:
            total = total + self.prior_theta[1] * x[1]
        return int((total + self._tiers).argmin())

    def ranking(self, column: int) -> Ranking:
        """Only the best are kept: the frame is scored into again."""
        scores = self._scored[SCORE]
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
