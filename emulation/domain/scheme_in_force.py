"""Which scheme decides: the run's own, or that of the last switch that has begun and is not undone."""

from __future__ import annotations


class SchemeInForce:
    """Follows the switches of one run, in the order in which they begin and end. Plain data; pickles."""

    def __init__(self, own: str) -> None:
        """`own`: the scheme that the run began with."""
        self._own = own
        self._switches: dict[int, str] = {}
        """Number of an event that has begun and is not undone, to the scheme that it brought in."""

    @property
    def name(self) -> str:
        """The scheme in force."""
        return next(reversed(self._switches.values()), self._own)

    def begin(self, event: int, to: str) -> None:
        """A switch takes effect. One that has done so before changes nothing."""
        self._switches.setdefault(event, to)

    def end(self, event: int) -> None:
        """A switch is undone. One that is not in force changes nothing."""
        self._switches.pop(event, None)
