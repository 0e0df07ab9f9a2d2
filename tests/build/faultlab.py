"""Somebody else's package: a fault and a source of requests that keep every law, and some that break each."""

from __future__ import annotations

import random  # noqa: TID251
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from emulation.domain.cluster import Strict
from emulation.domain.truth import Condition
from emulation.fault_target import FaultTarget
from emulation.outside_faults import HiddenCondition, Hit
from workloads.outside import RequestSource
from workloads.sources import Draft, Draws

HERE = "tests.build.faultlab"


class Slower(HiddenCondition):
    """Twice as slow, then more."""

    class Config(Strict):
        factor: float = Field(default=2.0, gt=1)

    def levels(self, lasts_s: float) -> Sequence[tuple[float, float]]:
        factor = self.config.factor
        return [(0.0, factor), (lasts_s / 4, 1.5 * factor)] if lasts_s < 1e6 else [(0.0, factor)]

    def condition(self, level: float) -> Condition:
        return Condition(slowdown=level, stutter=True)


class LateLevels(Slower):
    def levels(self, lasts_s: float) -> Sequence[tuple[float, float]]:
        return [(5.0, 2.0)]


class PastItsEnd(Slower):
    def levels(self, lasts_s: float) -> Sequence[tuple[float, float]]:
        return [(0.0, 2.0), (400.0, 3.0)]


class Unfelt(Slower):
    def condition(self, level: float) -> Condition:
        return Condition()


class Sticky(Slower):
    def end(self, node: FaultTarget, hit: Hit, now_s: float) -> None:
        """It stays."""


class Leaver(Slower):
    """Goes away, and is not brought back."""

    def begin(self, node: FaultTarget, hit: Hit, level: float, now_s: float) -> None:
        node.faults.leave(hit.event, "requeue", now_s)

    def end(self, node: FaultTarget, hit: Hit, now_s: float) -> None:
        node.faults.join(hit.event + 1, now_s)


class Greedy(Slower):
    """Ends everything of its kind."""

    def end(self, node: FaultTarget, hit: Hit, now_s: float) -> None:
        for event in range(10):
            node.faults.set_condition(event, None, now_s, hit.model, None)


class Mounting(Slower):
    """Slower each time that it is asked."""

    calls: ClassVar[count[int]] = count(2)

    def condition(self, level: float) -> Condition:
        return Condition(slowdown=float(next(self.calls)))


class Clocked(Slower):
    def condition(self, level: float) -> Condition:
        return Condition(slowdown=2.0 if time.monotonic() > 0 else 3.0)


class Raising(Slower):
    def condition(self, level: float) -> Condition:
        raise RuntimeError("out of order")


class Regular(RequestSource):
    """One request every `every_s`."""

    class Config(Strict):
        every_s: float = Field(default=7.0, gt=0)

    def requests(self, draws: Draws) -> Iterator[Draft]:
        rng, models = draws.stream("model"), draws.scenario.testbed.models
        t_s = 0.0
        while t_s < draws.scenario.end_s:
            yield draws.draft(t_s, models[int(rng.integers(len(models)))].id, (1, 2))
            t_s += self.config.every_s


class Backwards(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        return reversed(list(super().requests(draws)))


class TooLate(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield draws.draft(draws.scenario.end_s, draws.scenario.testbed.models[0].id, (1,))


class Stranger(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield from (replace(draft, model="nobody's") for draft in super().requests(draws))


class Elsewhere(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield from (replace(draft, origin="nowhere") for draft in super().requests(draws))


class NoDraft(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield 3  # type: ignore[misc]


class Numpy(Regular):
    """Its numbers and words are numpy's."""

    def requests(self, draws: Draws) -> Iterator[Draft]:
        for d in super().requests(draws):
            sizes = [np.int64(n) for n in (d.prompts, d.prompt_tokens, d.output_tokens)]
            limit = None if d.max_tokens is None else np.int32(d.max_tokens)
            yield Draft(np.float64(d.arrival_s), np.str_(d.model), d.origin, *sizes, limit)  # type: ignore[arg-type]


class Odd(Regular):
    """One field of its requests is something else."""

    class Config(Regular.Config):
        field: str
        value: Any

    def requests(self, draws: Draws) -> Iterator[Draft]:
        odd = {self.config.field: self.config.value}
        yield from (replace(draft, **odd) for draft in super().requests(draws))


class Halves(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield from (replace(draft, prompts=1.5) for draft in super().requests(draws))  # type: ignore[arg-type]


class Endless(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        while True:
            yield draws.draft(0.0, draws.scenario.testbed.models[0].id, (1,))


class Moody(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield from (
            replace(d, prompt_tokens=id(object()) % 7919 + next(_MOODS)) for d in super().requests(draws)
        )


_MOODS = count()


class Shared(Regular):
    """Every instance takes of one list."""

    left: ClassVar[list[float]] = []

    def requests(self, draws: Draws) -> Iterator[Draft]:
        if not self.left:
            self.left.extend(float(t) for t in range(10))
        while self.left:
            yield draws.draft(self.left.pop(0), draws.scenario.testbed.models[0].id, (1,))


class Dice(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        random.random()
        yield from super().requests(draws)


class Unsorted(Regular):
    """Alike within a process, and another in each."""

    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield from (replace(d, prompt_tokens=hash(d.model) % 7919 + 1) for d in super().requests(draws))


class Failing(Regular):
    def requests(self, draws: Draws) -> Iterator[Draft]:
        yield from list(super().requests(draws))[:2]
        raise KeyError("third")


class Lax(Regular):
    class Config(BaseModel):  # type: ignore[assignment]
        every_s: float = 7.0
