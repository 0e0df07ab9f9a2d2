"""How one fast path goes on in the place of another: what is known of the world goes over, what was decided does not.

Over go the states of executors, the requests in flight there, and what answers taught: their lengths, and service times
where both schemes learn them with the same model. The guide, masks, admission limits, risks, weights, calibrations and
the router's own state are decisions of the scheme that goes out: they end with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.fast_view import Belief, Pool

if TYPE_CHECKING:
    from controller.fast_path import FastPath


def succeed(new: FastPath, old: FastPath) -> None:
    """Let `new`, which has heard of nothing yet, go on in the place of `old`, which must not be used any more."""
    for belief in old.view.beliefs.values():
        old.set_risky(belief.name, False)
    keeps = type(new.perf.ordinary) is type(old.perf.ordinary)
    if keeps:
        new.perf = new.perf.over(old.perf.ordinary)
    new.lengths = old.lengths
    new.view.now_s = old.view.now_s
    for belief in new.view.beliefs.values():
        _take_in(new, belief, old.view.beliefs[belief.name])
    for pool in new.view.pools.values():
        before = old.view.pools[pool.model]
        if keeps:
            pool.sent, pool.heard[:] = before.sent, before.heard


def _take_in(new: FastPath, belief: Belief, was: Belief) -> None:
    """The state of one executor and what is queued there, predicted anew in proportion."""
    belief.state = was.state
    new.view.reread(belief, new.perf, mode=was.mode)
    backlog, batch = was.backlog, belief.backlog.batch
    for entry in backlog.entries.values():
        before_s = _service_s(was, entry.model, entry.x)
        entry.predicted_s *= _service_s(belief, entry.model, entry.x) / before_s if before_s > 0 else 1.0
    backlog.serves_by(batch)
    backlog.recount()
    belief.backlog = backlog
    belief.publish()


def _service_s(belief: Belief, model: str, x: tuple[float, float]) -> float:
    pool, column = _place(belief, model)
    return pool.service_s(column, x)


def _place(belief: Belief, model: str) -> tuple[Pool, int]:
    return next(place for place in belief.places if place[0].model == model)
