"""Where one request goes: what the fast path answers for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from emulation.domain.native import Native


@dataclass(init=False, slots=True, unsafe_hash=True)
class RoutingDecision(Native):
    """Where one request goes, and why."""

    executor: Final[str | None]
    """None: rejected, held or no host, by `action`."""
    action: Final[Literal["route", "hold", "reject", "no_host"]]
    reason: Final[str]
    candidates: Final[Iterable[tuple[str, float]]]
    """(executor, score in seconds; the lowest wins) of the executors looked at, best first; at most 8 are kept."""
    predicted_s: Final[float | None]
    """Predicted service time on the chosen executor."""
    sigma_s: Final[float | None]
    again_s: Final[float | None]
    """Of a request that is held or refused because it would be late: virtual seconds after which it, or another like
    it, is predicted to be taken. None: it would be late at any moment, or nobody can say."""

    def __init__(
        self,
        executor: str | None,
        action: Literal["route", "hold", "reject", "no_host"],
        reason: str,
        candidates: Iterable[tuple[str, float]] = (),
        predicted_s: float | None = None,
        sigma_s: float | None = None,
        again_s: float | None = None,
    ) -> None:
        self.executor = executor
        self.action = action
        self.reason = reason
        self.candidates = candidates
        self.predicted_s = predicted_s
        self.sigma_s = sigma_s
        self.again_s = again_s
