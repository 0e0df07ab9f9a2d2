"""A router that is not ours, kept from stopping a run: what it cannot answer, the lowest score answers."""

from __future__ import annotations

from operator import index
from typing import Any

from controller.fast_view import FastView, Pool
from controller.loop import INVALID
from controller.perf.guarded import GuardedModel
from controller.routers.router import ALL_AWAY, NO_HOST, Pick, Router
from controller.scoring import AWAY_S
from emulation.domain.mistakes import STRANGE_IN_A_RUN, one_line, told_of, told_value
from emulation.domain.ports import PerformanceModel
from emulation.domain.request import Request


class Guarded(Router):
    """Asks another router, and looks at its answer. A wrong one is replaced by the executor of the lowest score; the
    decision's reason begins with `invalid answer` and says what was wrong.

    A router whose `dispatched` fails is not asked any more: what it remembers may be half of the truth.
    """

    def __init__(self, inner: Router, perf: PerformanceModel | None = None) -> None:
        """`perf`: the performance model beside it, whose failure its reasons tell of."""
        super().__init__()
        self.inner = inner
        self.explores = bool(inner.explores)
        self._perf = perf if isinstance(perf, GuardedModel) else None
        self._out = ""
        """Why it is not asked any more."""

    @property
    def warmup_tasks(self) -> int:
        """The other's, or none if it fails to say."""
        return max(self._number("warmup_tasks", 0), 0)

    @property
    def learn_batch(self) -> int:
        """The other's, or one if it fails to say."""
        return max(self._number("learn_batch", 1), 1)

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The other's pick if it is one."""
        wrong = self._out
        if not wrong:
            try:
                pick = _checked(self.inner.choose(request, pool, view), pool)
            except STRANGE_IN_A_RUN as error:  # a router that fails must never stop the run
                wrong = self._said(error)
            else:
                _mend_scores(pool)
                return pick if self._perf is None or not self._perf.fault else (pick[0], self._told(pick[1]))
        _mend_scores(pool)
        if not pool.open:
            return ALL_AWAY
        lowest = pool.lowest()
        return lowest if lowest in pool.open else pool.open[0], f"{INVALID}: {wrong}: lowest score instead"

    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        """Tell the other."""
        if self._out:
            return
        try:
            self.inner.dispatched(request, pool, column)
        except STRANGE_IN_A_RUN as error:
            self._out = f"{self._said(error)} in dispatched"

    def _number(self, name: str, default: int) -> int:
        try:
            return index(getattr(self.inner, name))
        except STRANGE_IN_A_RUN:
            return default

    def _said(self, error: BaseException) -> str:
        if isinstance(error, _WrongPick):
            return f"router {type(self.inner).__name__} {error}"
        return f"router {type(self.inner).__name__} raised {told_of(error)}"

    def _told(self, reason: str) -> str:
        assert self._perf is not None
        return f"{INVALID}: {self._perf.fault}: the profile instead: {reason}"


class _WrongPick(Exception):
    """What a router returned that is no pick of this pool."""


def _checked(picked: Any, pool: Pool) -> Pick:
    if not (isinstance(picked, tuple) and len(picked) == 2):
        raise _WrongPick(f"returned {told_value(picked)}, not a column and a reason")
    column, reason = picked
    try:
        column = index(column)
    except TypeError:
        raise _WrongPick(f"returned {told_value(column)} as a column, not a whole number") from None
    if not NO_HOST <= column < len(pool.names):
        raise _WrongPick(f"returned column {column} of a pool of {len(pool.names)}")
    if column >= 0 and pool.tier[column] == AWAY_S:
        raise _WrongPick(f"picked {pool.names[column]}, whose node is away")
    if not isinstance(reason, str) or not reason:
        raise _WrongPick(f"gave {told_value(reason)} as its reason, not a word")
    return column, one_line(reason)


def _mend_scores(pool: Pool) -> None:
    """No decision lists a score that is no number."""
    for column in range(len(pool.names)):
        if pool.score[column] != pool.score[column]:
            pool.rescore(column, pool.wait[column] + pool.service[column] + pool.tier[column])
