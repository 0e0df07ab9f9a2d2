"""Which moment of a run a viewer looks at, and how it moves. Pure: the wall time that passed is an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgebed.ui.views import Span

PACES = (0.25, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Virtual seconds per wall second that can be chosen for replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment, and whether it moves: with the end of a run that is being recorded, at a pace, or not."""

    t_s: float = 0.0
    following: bool = False
    playing: bool = False
    pace: float = 10.0
    """Virtual seconds per wall second, while playing."""

    def advanced(self, span: Span, wall_s: float) -> Moment:
        """The moment after so much wall time; it stays within what there is to see."""
        if self.following:
            return replace(self, t_s=span.to_s)
        if not self.playing:
            return replace(self, t_s=_within(self.t_s, span))
        t_s = self.t_s + self.pace * wall_s
        if t_s < span.to_s:
            return replace(self, t_s=_within(t_s, span))
        return replace(self, t_s=span.to_s, playing=False, following=span.growing)

    def at(self, t_s: float, span: Span) -> Moment:
        """Somebody went to another moment: it stays there, or goes on playing from there."""
        return replace(self, t_s=_within(t_s, span), following=False)

    def played(self, span: Span) -> Moment:
        """Play from here; from the beginning if this is the end of a run that grows no more."""
        over = self.t_s >= span.to_s and not span.growing
        return replace(self, t_s=span.from_s if over else self.t_s, playing=True, following=False)

    def paused(self) -> Moment:
        """Stay here."""
        return replace(self, playing=False, following=False)

    def at_pace(self, pace: float) -> Moment:
        """Play so fast; of what is not offered, the nearest that is."""
        return replace(self, pace=min(PACES, key=lambda p: abs(p - pace)))

    @staticmethod
    def newest(span: Span) -> Moment:
        """Where a run opens: at its end, which is followed if it grows."""
        return Moment(t_s=span.to_s, following=span.growing)


def _within(t_s: float, span: Span) -> float:
    return min(max(t_s, span.from_s), max(span.from_s, span.to_s))
