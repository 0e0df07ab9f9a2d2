"""A fault of mine: what goes wrong on a node, level by level."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from emulation.domain.cluster import Strict
from emulation.domain.truth import Condition
from emulation.outside_faults import HiddenCondition


class Mine(HiddenCondition):
    """Throttles and recovers again and again: `factor` times slower for the first half of every `period_s`."""

    class Config(Strict):
        """Parameters, set in an event under `settings`."""

        factor: float = Field(default=3.0, gt=1)
        period_s: float = Field(default=30.0, ge=1)
        """Virtual seconds."""
        most_periods: int = Field(default=1_000, ge=1, le=4_000)

    def levels(self, lasts_s: float) -> Sequence[tuple[float, float]]:
        """(seconds since the onset, level), the first at 0, all before the end."""
        halves = [
            (i * self.config.period_s / 2, 1.0 if i % 2 else self.config.factor)
            for i in range(2 * self.config.most_periods)
        ]
        return [(since_s, level) for since_s, level in halves if since_s < lasts_s]

    def condition(self, level: float) -> Condition:
        """What is in force at this level; it is put in force and taken away for you."""
        return Condition(slowdown=level, stutter=level > 1.0)
