"""A pool of few columns, scored in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

from mypy_extensions import mypyc_attr

from controller.pool import Pool, Row
from controller.scoring import Ranking
from emulation.domain.cluster import TestbedConfig

SHORT = 32
"""Columns up to which this is quicker than numpy."""


@mypyc_attr(allow_interpreted_subclasses=True)
class ShortPool(Pool):
    """Lists, one entry per column."""

    def __init__(
        self,
        testbed: TestbedConfig,
        model: str,
        executor_of: dict[str, int],
        latency_s: Sequence[Sequence[float]],
        per_byte_s: Sequence[Sequence[float]] | None,
    ) -> None:
        """`latency_s`, `per_byte_s`: site to column to seconds there and back; None: bytes cost nothing."""
        super().__init__(testbed, model, executor_of)
        size = len(self.names)
        self._latency_s = [list(row) for row in latency_s]
        self._per_byte_s = None if per_byte_s is None else [list(row) for row in per_byte_s]
        self.theta0, self.theta1 = [0.0] * size, [0.0] * size
        self.c00, self.c01, self.c11 = [0.0] * size, [0.0] * size, [0.0] * size
        self.noise_cv = [0.0] * size
        self.prior0, self.prior1 = [0.0] * size, [0.0] * size
        self.free_at, self.floor = [-inf] * size, [0.0] * size
        self.extra = list(self.tier)
        self._wait = [0.0] * size
        self._service = [0.0] * size
        self._score = [0.0] * size
        self._sigma: list[float] | None = None
        """Worked out when somebody asks."""
        self._x0 = self._x1 = self._x1_sd = 0.0

    def _put_law(
        self, column: int, theta: tuple[float, ...], covariance: tuple[float, float, float], noise_cv: float
    ) -> None:
        self.theta0[column] = theta[0]
        if len(theta) == 2:
            self.theta1[column] = theta[1]
        self.c00[column], self.c01[column], self.c11[column] = covariance
        self.noise_cv[column] = noise_cv

    def _put_extra(self, column: int, extra_s: float) -> None:
        self.extra[column] = extra_s

    def set_prior(self, column: int, theta: tuple[float, ...]) -> None:
        """Of the features the law has."""
        self.prior0[column] = theta[0]
        if len(theta) == 2:
            self.prior1[column] = theta[1]

    def set_free(self, column: int, free_at_s: float, floor_s: float) -> None:
        """At once."""
        self.free_at[column], self.floor[column] = free_at_s, floor_s

    def evaluate(
        self, site: int, x: tuple[float, float], moved_bytes: int, now_s: float, x1_sd: float = 0.0
    ) -> None:
        """One column after the other."""
        x0, x1 = x
        self._x0, self._x1, self._x1_sd, self._sigma = x0, x1, x1_sd, None
        two, free_at, floor, extra = self.features == 2, self.free_at, self.floor, self.extra
        theta0, theta1, latency_s = self.theta0, self.theta1, self._latency_s[site]
        size = len(free_at)
        waits, services, scores = [0.0] * size, [0.0] * size, [0.0] * size
        for column in range(size):
            wait_s = free_at[column] - now_s
            if wait_s < floor[column]:
                wait_s = floor[column]
            service_s = theta0[column] * x0
            if two:
                service_s = service_s + theta1[column] * x1
            waits[column], services[column] = wait_s, service_s
            scores[column] = wait_s + service_s + (latency_s[column] + extra[column])
        if moved_bytes and self._per_byte_s is not None:
            per_byte_s = self._per_byte_s[site]
            for column in range(len(scores)):
                scores[column] = scores[column] + per_byte_s[column] * moved_bytes
        self._wait, self._service, self._score = waits, services, scores

    def _epistemic(self, column: int) -> float:
        """Epistemic variance of the service time, seconds squared."""
        x0, x1 = self._x0, self._x1
        variance = self.c00[column] * (x0 * x0)
        if self.features == 2:
            variance = variance + self.c01[column] * (x0 * x1)
            variance = variance + self.c11[column] * (x1 * x1)
            if variance < 0.0:  # a rounded covariance may fall below
                variance = 0.0
        return variance

    def sigma_s(self, column: int) -> float:
        """From noise, ignorance and the unknown length."""
        if self._sigma is not None:
            return self._sigma[column]
        noise_s = self._service[column] * self.noise_cv[column]
        variance = noise_s * noise_s + self._epistemic(column)
        if self._x1_sd:
            length_s = self.theta1[column] * self._x1_sd
            variance = variance + length_s * length_s
        return sqrt(variance)

    def epistemic_s(self, column: int) -> float:
        """From the covariance of the law."""
        return sqrt(self._epistemic(column))

    @property
    def wait(self) -> Row:
        """As a list."""
        return self._wait

    @property
    def service(self) -> Row:
        """As a list."""
        return self._service

    @property
    def score(self) -> Row:
        """As a list."""
        return self._score

    @property
    def sigma(self) -> Row:
        """As a list."""
        return self._sigmas()

    def _sigmas(self) -> list[float]:
        if self._sigma is None:
            self._sigma = [self.sigma_s(column) for column in range(len(self._service))]
        return self._sigma

    def bend(self, courtesy: float, explore: float) -> None:
        """One column after the other."""
        score, wait = self._score, self._wait
        for column in range(len(score)):
            if courtesy:
                score[column] = score[column] + courtesy * wait[column]
            if explore:
                score[column] = score[column] - explore * sqrt(self._epistemic(column))

    def rescore(self, column: int, score_s: float) -> None:
        """At once."""
        self._score[column] = score_s

    def overrule(self, column: int, wait_s: float, service_s: float, score_s: float) -> None:
        """And no doubt is left."""
        self._sigmas()[column] = 0.0
        self._wait[column], self._service[column], self._score[column] = wait_s, service_s, score_s

    def lowest(self) -> int:
        """By the scores as they are now."""
        return self._score.index(min(self._score))

    def soonest(self) -> int:
        """By wait and tier."""
        found = [w + t for w, t in zip(self._wait, self.tier, strict=True)]
        return found.index(min(found))

    def quickest_by_profile(self, x: tuple[float, float]) -> int:
        """By profile and tier."""
        found: list[float] = []
        for column in range(len(self.tier)):
            total_s = self.prior0[column] * x[0]
            if self.features == 2:
                total_s = total_s + self.prior1[column] * x[1]
            found.append(total_s + self.tier[column])
        return found.index(min(found))

    def ranking(self, column: int) -> Ranking:
        """Sorted when somebody reads it; the next request is scored into other lists."""
        scores = self._score if column >= self.routable else self._score[: self.routable]
        return Ranking(self.names, scores)

    def link(self, column: int, site: int) -> tuple[float, float]:
        """From the tables."""
        return self._latency_s[site][column], 0.0 if self._per_byte_s is None else self._per_byte_s[site][
            column
        ]

    def service_s(self, column: int, x: tuple[float, float]) -> float:
        """By the law of the column."""
        total = self.theta0[column] * x[0]
        return total + self.theta1[column] * x[1] if self.features == 2 else total
