"""When a series of standardised surprises no longer looks like noise."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from controller.perf.config import AlarmConfig


@mypyc_attr(allow_interpreted_subclasses=True)
class Alarm:
    """A jump of one surprise, or a two-sided cumulative sum of many (Page 1954)."""

    __slots__ = ("_config", "_down", "_up", "changes")

    def __init__(self, config: AlarmConfig) -> None:
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
