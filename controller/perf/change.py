"""When a series of standardised surprises no longer looks like noise."""

from __future__ import annotations

from pydantic import Field

from emulation.domain.cluster import Strict


class Alarm:
    """A jump of one surprise, or a two-sided cumulative sum of many (Page 1954)."""

    class Config(Strict):
        """Parameters, in standard deviations unless said otherwise."""

        jump: float = Field(default=4.5, gt=0)
        """One surprise that is a change by itself."""
        slack: float = Field(default=1.0, ge=0)
        """What each surprise must exceed to add up."""
        limit: float = Field(default=5.0, gt=0)
        """Sum that is a change."""
        after: int = Field(default=0, ge=0)
        """Samples before which nothing is a change: the prior itself may be far off."""
        same: float = Field(default=3.0, gt=0)
        """A law put aside comes back if it explains the surprising sample this well."""
        scale_sd: float = Field(default=0.3, ge=0)
        """Relative uncertainty of a common factor after a change, beside the one seen."""
        coefficient_sd: float = Field(default=0.3, ge=0)
        """Relative uncertainty of each coefficient after a change."""
        return_sd: float = Field(default=0.1, ge=0)
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
