"""What the meta-controller remembers: the latest finished requests, each with what was predicted before it was learned.

Bounded: a ring of the latest results, and one entry per request in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from mypy_extensions import mypyc_attr

from emulation.domain.native import Native
from emulation.domain.ports import PerfKey, PerformanceModel
from emulation.domain.request import Outcome

RING = 512


@dataclass(init=False, slots=True)
class Flight(Native):
    """A request that was dispatched and has not come back."""

    device: str
    task: int
    hinted: bool
    """Its device had a hint in force when it was dispatched."""
    mixed: bool
    """A hint began or ended while it was in flight: it tells neither of the one state nor of the other."""

    def __init__(self, device: str, task: int, hinted: bool, mixed: bool = False) -> None:
        self.device = device
        self.task = task
        self.hinted = hinted
        self.mixed = mixed


@dataclass(init=False, slots=True, unsafe_hash=True)
class Observation(Native):
    """One finished request. Only what came back with it; seconds."""

    device: Final[str]
    key: Final[PerfKey]
    x: Final[tuple[float, ...]]
    task: Final[int]
    """Number of its dispatch."""
    ended_s: Final[float]
    latency_s: Final[float]
    service_s: Final[float | None]
    """By the device that finished it, for the share it served, whose features are `x`; None: it tells nothing."""
    predicted_s: Final[float]
    """Of the service time, by the model as it was just before this result, with the true features."""
    sd_s: Final[float]
    outcome: Final[Outcome]
    stutter: Final[bool]
    hinted: Final[bool]
    mixed: Final[bool]
    whole: Final[bool]
    """Whether the device served all of it."""

    def __init__(
        self,
        device: str,
        key: PerfKey,
        x: tuple[float, ...],
        task: int,
        ended_s: float,
        latency_s: float,
        service_s: float | None,
        predicted_s: float,
        sd_s: float,
        outcome: Outcome,
        stutter: bool,
        hinted: bool,
        mixed: bool,
        whole: bool = True,
    ) -> None:
        self.device = device
        self.key = key
        self.x = x
        self.task = task
        self.ended_s = ended_s
        self.latency_s = latency_s
        self.service_s = service_s
        self.predicted_s = predicted_s
        self.sd_s = sd_s
        self.outcome = outcome
        self.stutter = stutter
        self.hinted = hinted
        self.mixed = mixed
        self.whole = whole

    @property
    def ratio(self) -> float | None:
        """Observed / predicted service time."""
        return None if self.service_s is None or self.predicted_s <= 0 else self.service_s / self.predicted_s

    @property
    def stretch(self) -> float | None:
        """Latency in units of the predicted service time: how much a request suffered, whatever its size."""
        if self.service_s is None or self.predicted_s <= 0 or not self.whole:
            return None
        return self.latency_s / self.predicted_s


@mypyc_attr(allow_interpreted_subclasses=True)
class Observations:
    """Append-only ring, oldest first."""

    def __init__(self, size: int = RING) -> None:
        self._ring: deque[Observation] = deque(maxlen=size)

    def add(self, observation: Observation) -> None:
        """Append one; the oldest falls out of a full ring."""
        self._ring.append(observation)

    def __iter__(self) -> Iterator[Observation]:
        return iter(self._ring)

    def since(self, t_s: float) -> list[Observation]:
        """Those that ended at `t_s` or later, oldest first."""
        recent: list[Observation] = []
        for one in reversed(self._ring):
            if one.ended_s < t_s:
                break
            recent.append(one)
        return recent[::-1]

    def of_law(self, device: str, model: str, since_s: float, hinted: bool) -> list[Observation]:
        """Served results of one device and model in one state (with or without a hint), oldest first."""
        return [
            o
            for o in self.since(since_s)
            if o.device == device and o.key.model == model and o.service_s is not None
            and o.hinted == hinted and not o.mixed
        ]  # fmt: skip


def drift_of(results: Sequence[Observation], perf: PerformanceModel) -> tuple[float | None, float | None]:
    """Observed over predicted seconds of results of one law, by the model as it is now; both None without results.

    Beside it the believed standard deviation of that ratio if nothing had changed.
    """
    observed_s = predicted_s = variance = 0.0
    for one in results:
        now = perf.predict(one.key, one.x)
        observed_s += one.service_s or 0.0
        predicted_s += now.mean_s
        variance += now.sd_s**2
    return (observed_s / predicted_s, variance**0.5 / predicted_s) if predicted_s > 0 else (None, None)


def misfit(results: Sequence[Observation]) -> float | None:
    """Mean absolute log of observed / predicted: 0 is a perfect model. None without results."""
    logs = [abs(log(o.ratio)) for o in results if o.ratio is not None and o.ratio > 0]
    return sum(logs) / len(logs) if logs else None
