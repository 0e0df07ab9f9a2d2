"""Pure score arithmetic shared by the fast path and the routers. Seconds throughout; lowest wins.

score = wait + service + transfer - explore * u + risk - eta * log p (E3 eq. 6, with the terms of our upper
layers). Avoidance is a tier added to the score: an executor in a higher tier is only chosen when no
executor of a lower one exists, so a mask can never stop a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, log
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from emulation.domain.actions import Candidate, Candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

WAIT, SERVICE, SIGMA, SCORE = range(4)
"""Rows of a frame: the (4, executors) array in which one request is scored, in seconds."""

_SMALLEST_P = 1e-9


def guide_penalty_s(p: float | None, eta_s: float) -> float:
    """-eta * log p in seconds; 0 where the guide has no weight. p is kept above 1e-9: a bias, not a mask."""
    return 0.0 if p is None or eta_s == 0.0 else -eta_s * log(max(p, _SMALLEST_P))


def soft_bias_s(
    uncertainty: float, explore_s: float, risky: bool, risk_penalty_s: float, guide_s: float
) -> float:
    """Additive bias of one executor, seconds: - explore * u + risk - eta * log p (E3 eq. 6; u in [0, 1])."""
    return guide_s - explore_s * uncertainty + (risk_penalty_s if risky else 0.0)


class Ranking(Sequence[Candidate]):
    """The best candidates of one decision, best first. Cheap to take, spelled out when somebody reads it.

    Executors that can never be chosen (infinite score) are left out. Scores at or above `AVOID_S` mark
    executors under hard avoidance. Pickles and compares as the plain `Candidates`.
    """

    __slots__ = ("_built", "_frame", "_names")

    def __init__(self, names: Sequence[str], frame: NDArray[np.float64]) -> None:
        self._names = names
        self._frame = frame
        self._built: Candidates | None = None

    def pairs(self) -> tuple[tuple[str, float], ...]:
        """(executor, score in seconds), best first: what a record keeps. Cheaper than the candidates."""
        score = self._frame[SCORE].tolist()
        return tuple([(self._names[i], score[i]) for i in self._order(score)])

    def _order(self, score: list[float]) -> list[int]:
        ranked = sorted(range(len(score)), key=score.__getitem__)[:TOP]
        return ranked if score[ranked[-1]] < inf else [i for i in ranked if score[i] < inf]

    def _spelled_out(self) -> Candidates:
        if self._built is None:
            wait, service, sigma, score = self._frame.tolist()
            names = self._names
            self._built = Candidates(
                [Candidate(names[i], score[i], wait[i], service[i], sigma[i]) for i in self._order(score)]
            )
        return self._built

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Candidate, ...]: ...
    def __getitem__(self, index: int | slice) -> Candidate | tuple[Candidate, ...]:
        return self._spelled_out()[index]

    def __len__(self) -> int:
        return len(self._spelled_out())

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._spelled_out())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Ranking, tuple)) and self._spelled_out() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._spelled_out())

    def __repr__(self) -> str:
        return repr(self._spelled_out())

    def __reduce__(self) -> tuple[Any, ...]:
        return Candidates, (tuple(self._spelled_out()),)


def rank(names: Sequence[str], frame: NDArray[np.float64]) -> Ranking:
    """The best candidates of a scored frame, which is copied: the caller may score into it again.

    `frame` has shape (4, executors), rows as named above. With many executors only the best are copied.
    """
    if frame.shape[1] <= _COPY_WHOLE:
        return Ranking(names, frame.copy())
    best = np.sort(np.argpartition(frame[SCORE], TOP)[:TOP])
    return Ranking([names[i] for i in best.tolist()], frame[:, best])


_COPY_WHOLE = 32
