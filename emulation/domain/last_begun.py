"""Events of one kind that cannot add up: of those in force the last one that began decides, and else what stands."""

from __future__ import annotations

from typing import Generic, TypeVar

from mypy_extensions import mypyc_attr

T = TypeVar("T")


@mypyc_attr(allow_interpreted_subclasses=True)
class LastBegun(Generic[T]):
    """Follows the events of such a kind through one run, as they begin and end. Plain data; pickles."""

    def __init__(self, otherwise: T) -> None:
        """`otherwise`: what holds while none of them is in force."""
        self._otherwise = otherwise
        self._begun: dict[int, T] = {}
        """Number of an event that has begun and is not undone, to what it says."""

    @property
    def now(self) -> T:
        """What holds."""
        return next(reversed(self._begun.values()), self._otherwise)

    def begin(self, event: int, says: T) -> None:
        """An event takes effect. One that has done so before changes nothing."""
        self._begun.setdefault(event, says)

    def end(self, event: int) -> None:
        """An event is undone. One that is not in force changes nothing."""
        self._begun.pop(event, None)
