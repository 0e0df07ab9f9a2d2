"""When a series of standardised surprises no longer looks like noise."""

from __future__ import annotations

from typing import Annotated

from emulation.domain.cluster import Strict
from emulation.domain.quantities import CountOrNone, DeviationOrNone, Range, Sigmas


class Alarm:
    """A jump of one surprise, or a two-sided cumulative sum of many (Page 1954)."""

    class Config(Strict):
        """Parameters, in standard deviations unless said otherwise."""

        jump: Annotated[float, Range(0.001, 1000, "standard deviations")] = 4.5
        """One surprise that is a change by itself."""
        slack: Sigmas = 1.0
        """What each surprise must exceed to add up."""
        limit: Annotated[float, Range(0.001, 1_000_000, "standard deviations")] = 5.0
        """Sum that is a change."""
        after: CountOrNone = 0
        """Samples before which nothing is a change: the prior itself may be far off."""
        same: Annotated[float, Range(0.001, 1000, "standard deviations")] = 3.0
        """A law put aside comes back if it explains the surprising sample this well."""
        scale_sd: DeviationOrNone = 0.3
        """Relative uncertainty of a common factor after a change, beside the one seen."""
        coefficient_sd: DeviationOrNone = 0.3
        """Relative uncertainty of each coefficient after a change."""
        return_sd: DeviationOrNone = 0.1
        """The same, of a law that came back."""

    __slots__ = ("_config", "_down", "_up", "changes")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._up = self._down = 0.0
        self.changes = 0

    def hears(self, surprise: float, samples: int) -> bool:
        """Whether this surprise, after `samples` others, completes a change; the sums start again if so."""
        config = self._config
        if samples < config.after:
            return False
        self._up = max(0.0, self._up + surprise - config.slack)
        self._down = max(0.0, self._down - surprise - config.slack)
        if abs(surprise) < config.jump and max(self._up, self._down) < config.limit:
            return False
        self._up = self._down = 0.0
        self.changes += 1
        return True
