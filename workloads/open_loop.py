"""Plan of an open-loop run: who sends which request, when on the wall clock, and how long it may last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from workloads.generate import Workload

WITHOUT_DEADLINE_S = 600.0
"""Wall seconds before a client without a deadline gives up, where nobody says otherwise."""
GRACE_S = 20.0
"""Wall seconds that a client waits past its deadline, and the load generator past its last client, where nobody says
otherwise."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Virtual seconds to wall seconds since the epoch and back."""

    t0_wall_s: float
    speedup: float

    def wall_s(self, virtual_s: float) -> float:
        """Epoch seconds at which a virtual time comes."""
        return self.t0_wall_s + virtual_s / self.speedup

    def virtual_s(self, wall_s: float) -> float:
        """Virtual seconds at which a wall time comes."""
        return (wall_s - self.t0_wall_s) * self.speedup


class Pace:
    """When requests are due by a scenario that is gone through `rate` times as fast as it says; the rate may change.

    Times are virtual seconds of whoever is sent to. At rate 1, unchanged, a request is due at its arrival.
    """

    def __init__(self, timeline: Timeline, rate: float = 1.0) -> None:
        self._timeline, self.rate = timeline, rate
        self._since_s = self._reached_s = 0.0

    def change(self, rate: float, wall_s: float) -> None:
        """Go on at another rate from this wall time; what was due before stays so."""
        now_s = max(self._since_s, self._timeline.virtual_s(wall_s))
        self._reached_s += (now_s - self._since_s) * self.rate
        self._since_s, self.rate = now_s, rate

    def due_s(self, arrival_s: float) -> float:
        """When a request that has not been due before the last change is."""
        return self._since_s + (arrival_s - self._reached_s) / self.rate

    def wall_s(self, arrival_s: float) -> float:
        """The same, in epoch seconds."""
        return self._timeline.wall_s(self.due_s(arrival_s))


def share(workload: Workload, index: int, count: int) -> Iterator[Request]:
    """Requests of worker `index` of `count`, in order of arrival: every count-th one."""
    if not 0 <= index < count:
        raise ValueError(f"worker index {index} must be in [0, {count})")
    return (request for i, (request, _) in enumerate(workload.items) if i % count == index)


def request_timeout_s(
    scenario: Scenario, speedup: float, without_deadline_s: float, margin_s: float
) -> float:
    """Wall seconds after which a client gives up a request: a margin past its deadline."""
    if scenario.deadline_s is None:
        return without_deadline_s
    return scenario.deadline_s / speedup + margin_s
