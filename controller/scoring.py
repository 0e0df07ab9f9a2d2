"""Pure score arithmetic shared by the fast path and the routers. Seconds throughout; lowest wins.

score = wait + service + transfer - explore * u + risk - eta * log p (E3 eq. 6, with the terms of our upper
layers; where energy is weighed, and its price, see `controller.energy`). Avoidance is a tier added to the score: an
executor in a higher tier is only chosen when no executor of a lower one exists, so a mask can never stop a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, log
from typing import Any

TOP = 8
"""Candidates a decision keeps."""
AVOID_S = 1e6
"""Tier of executors that are masked by the guide or marked risky: hard avoidance, never a deadlock."""
OFF_S = 1e9
"""Tier of executors that are off or draining: requests wait there, nobody has said for how long."""
UNROUTED_S = 1e12
"""Tier of executors that host the model but are not routed to (only the local router uses them)."""
AWAY_S = inf
"""Tier of executors whose node has left: never chosen."""

_SMALLEST_P = 1e-9


def guide_penalty_s(p: float | None, eta_s: float) -> float:
    """-eta * log p in seconds; 0 where the guide does not weigh the model. p is kept above 1e-9: a bias, not a mask."""
    return 0.0 if p is None or eta_s == 0.0 else -eta_s * log(max(p, _SMALLEST_P))


def soft_bias_s(
    uncertainty: float, explore_s: float, risky: bool, risk_penalty_s: float, guide_s: float
) -> float:
    """Additive bias of one executor, seconds: - explore * u + risk - eta * log p (E3 eq. 6; u in [0, 1])."""
    return guide_s - explore_s * uncertainty + (risk_penalty_s if risky else 0.0)


class Ranking:
    """(executor, score in seconds) of the best of one decision, best first. Sorted only when somebody reads it.

    Executors that can never be chosen (infinite score) are left out. Scores at or above `AVOID_S` mark
    executors under hard avoidance. Pickles and compares as a plain tuple.
    """

    __slots__ = ("_names", "_scores")

    def __init__(self, names: Sequence[str], scores: list[float]) -> None:
        """`scores` must not change any more."""
        self._names = names
        self._scores = scores

    def __iter__(self) -> Iterator[tuple[str, float]]:
        scores, names = self._scores, self._names
        return iter([(names[i], scores[i]) for i in _lowest(scores) if scores[i] < inf])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Ranking, tuple)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


def _lowest(scores: list[float]) -> list[int]:
    """Where the lowest `TOP` of these are, lowest first; of equals the first. There are few, so each is put in."""
    found: list[int] = []
    for i in range(len(scores)):
        at = len(found)
        while at > 0 and scores[i] < scores[found[at - 1]]:
            at -= 1
        if at < TOP:
            found.insert(at, i)
            if len(found) > TOP:
                found.pop()
    return found
