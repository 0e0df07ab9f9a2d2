"""Predictive admission: whether a request would end in time where it is sent, and what becomes of it if not.

In time: before its deadline and within the limit that the planner set for its model, at a stated quantile of what the
performance model itself does not know. A request that would be late goes where it would not be, if there is such an
executor; else it is held, if it may be and a later moment is predicted to suit it, or refused with the seconds after
which another one like it would be taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, sqrt
from statistics import NormalDist
from typing import Final

from controller.fast_view import FastView, Pool
from emulation.domain.actions import RoutingDecision
from emulation.domain.native import Native
from emulation.domain.request import Request

LEAST_LOOK_S = 0.5
"""Virtual seconds after which a held request is looked at again, at least: a head that overruns moves no prediction."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class Prospect(Native):
    """What is predicted of one request on one column, virtual seconds from now."""

    column: Final[int]
    ends_in_s: Final[float]
    """Latency at the quantile."""
    idle_s: Final[float]
    """The same without the wait: what no later moment can better."""

    def __init__(self, column: int, ends_in_s: float, idle_s: float) -> None:
        self.column = column
        self.ends_in_s = ends_in_s
        self.idle_s = idle_s


def limit(pools: Iterable[Pool], limits_s: Mapping[str, float], instead: Mapping[str, float | None]) -> None:
    """Put the limits of a policy in force, but those in whose place a guide has another one or none."""
    for pool in pools:
        limit_s = instead.get(pool.model, limits_s.get(pool.model))
        pool.limit_s = inf if limit_s is None or pool.model not in limits_s else limit_s


def admitted(
    request: Request,
    pool: Pool,
    view: FastView,
    chosen: tuple[int, RoutingDecision],
    terms: tuple[float, float],
    now_s: float,
) -> RoutingDecision:
    """The decision of the router if the request would be in time there; else another executor, a hold or a refusal.

    Holds and refusals are not for models of which nothing may be refused.
    `chosen`: the router's column and decision; the pool holds what was evaluated of this request. `terms`: quantile,
    and seconds since its arrival for which a request may be held. Changes nothing.
    """
    (column, decision), (in_time, defer_s) = chosen, terms
    z, limit_s = _z(in_time), pool.limit_s
    room_s = min(limit_s, request.deadline_s - now_s)
    first = prospect(request, pool, view, column, z)
    if first.ends_in_s <= room_s:
        return decision
    tier_s = pool.tier[column]
    others = [prospect(request, pool, view, c, z) for c in pool.open if pool.tier[c] <= tier_s]
    best = first
    for other in others:
        if other.ends_in_s < best.ends_in_s:
            best = other
    if best.ends_in_s <= room_s:
        name, service_s = pool.names[best.column], float(pool.service[best.column])
        reason = f"in time there, but not at {decision.executor}"
        sigma_s = pool.sigma_s(best.column)
        return RoutingDecision(
            name, decision.action, reason, decision.candidates, service_s, sigma_s, decision.again_s
        )
    if pool.unrefused:
        return decision
    return _late(request, decision, [first, *others], best, (limit_s, in_time, defer_s), now_s)


def _late(
    request: Request,
    decision: RoutingDecision,
    prospects: Sequence[Prospect],
    best: Prospect,
    terms: tuple[float, float, float],
    now_s: float,
) -> RoutingDecision:
    """A hold or a refusal of a request that would be late wherever it went."""
    limit_s, in_time, defer_s = terms
    left_s = request.deadline_s - now_s
    what = f"limit {limit_s:g} s" if limit_s < left_s else f"{left_s:.3g} s to its deadline"
    reason = f"predicted {best.ends_in_s:.3g} s at {in_time:g} > {what}"
    span_s = min(limit_s, request.deadline_s - request.arrival_s)
    fit = [one for one in prospects if one.idle_s <= span_s]
    again_s = min([max(one.ends_in_s - span_s, LEAST_LOOK_S) for one in fit], default=None)
    waits = again_s is not None and _may_wait(request, limit_s, again_s, defer_s, now_s)
    return RoutingDecision(
        None,
        "hold" if waits else "reject",
        f"held: it would be late now, but not in at most {defer_s:g} s" if waits else reason,
        decision.candidates,
        decision.predicted_s,
        decision.sigma_s,
        again_s,
    )


def _may_wait(request: Request, limit_s: float, again_s: float, defer_s: float, now_s: float) -> bool:
    """Whether it may be held so much longer, and is predicted to be in time if it is sent then."""
    held_s = now_s + again_s - request.arrival_s
    return held_s <= defer_s and now_s + again_s + limit_s <= request.deadline_s


def prospect(request: Request, pool: Pool, view: FastView, column: int, z: float) -> Prospect:
    """Latency of the request last evaluated on one column, `z` standard deviations above the mean."""
    site, moved_bytes = view.site_of(request.origin), request.up_bytes + request.down_bytes
    queued = len(view.beliefs[pool.names[column]].backlog.entries)
    latency_s = pool.latency_s(column, site, moved_bytes)
    idle_s = latency_s - float(pool.wait[column]) + z * pool.sigma_s(column)
    return Prospect(column, latency_s + z * latency_sd_s(pool, column, queued), idle_s)


def latency_sd_s(pool: Pool, column: int, queued: int) -> float:
    """Standard deviation of wait and service of the request last evaluated, seconds.

    What is not known of the law is common to all that waits there; noise and lengths are each request's own, so those
    of the `queued` requests that make up the wait partly cancel.
    """
    service_s, sigma_s, common_s = float(pool.service[column]), pool.sigma_s(column), pool.epistemic_s(column)
    if service_s <= 0.0:
        return sigma_s
    ahead = float(pool.wait[column]) / service_s
    own = max(sigma_s * sigma_s - common_s * common_s, 0.0)
    return sqrt(own * (1.0 + ahead * ahead / max(queued, 1)) + (common_s * (1.0 + ahead)) ** 2)


@cache
def _z(quantile: float) -> float:
    return NormalDist().inv_cdf(quantile)
