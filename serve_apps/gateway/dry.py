"""What would be decided about a request: by the scheme in force (a dry route, nothing is served), by another one."""

from __future__ import annotations

from math import inf
from typing import Any, cast

from controller.fast_path import SupervisedPath
from controller.scoring import AVOID_S, OFF_S, UNROUTED_S
from emulation.domain.actions import RoutingDecision
from emulation.domain.request import Request
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.http import Exchange
from serve_apps.gateway.shadows import HEADER as SHADOW
from serve_apps.gateway.shadows import hypothetical
from serve_apps.wire.ask import BadAsk

HEADER = "X-Edge-Dry-Route"
_SAYS = {"true": True, "1": True, "false": False, "0": False}
LONGEST = 64
"""Characters of the name of a scheme."""
_TIERS = ((UNROUTED_S, "not routed to"), (OFF_S, "off"), (AVOID_S, "avoided"))
"""Scores from which an executor is in no order of time, and why, the last resort first."""


def is_dry(exchange: Exchange) -> bool:
    """Whether its client wants the decision and no answer. Raises `BadAsk` for a word that says neither."""
    given = exchange.header(HEADER.lower().encode())
    if given is None:
        return False
    try:
        return _SAYS[given.strip().lower()]
    except KeyError:
        raise BadAsk(f"{HEADER} must be true or false, not {given[:80]!r}", HEADER) from None


def shadow_of(exchange: Exchange) -> str | None:
    """The scheme that is to decide in the shadow; None: none is. Raises `BadAsk` for what is no name."""
    given = exchange.header(SHADOW.lower().encode())
    if given is None:
        return None
    if not 0 < len(given) <= LONGEST or not given.isprintable():
        raise BadAsk(f"{SHADOW} must name a scheme, in 1 to {LONGEST} characters", SHADOW)
    return given


def would_be_decided(dispatcher: Dispatcher, request: Request, shadow: str | None) -> dict[str, Any]:
    """What would be decided about a request that comes now, as the client reads it; virtual seconds.

    Asking changes no state of a fast path (port `FastPath`): nothing is sent or learned. The decision is recorded, that
    of a shadow too.
    """
    now_s = dispatcher.clock.now_s()
    decision: RoutingDecision = dispatcher.fast_path.route(request, now_s)
    dispatcher.records.add("audit", hypothetical("dry", request, decision, now_s))
    node_of = {e.id: e.node for e in dispatcher.run.testbed.executors()}
    return {
        "id": request.id,
        "object": "edgebed.decision",
        "model": request.model,
        "origin": request.origin,
        "scheme": dispatcher.run.scheme,
        "t_s": now_s,
        "action": decision.action,
        "executor": decision.executor,
        "node": node_of.get(decision.executor or ""),
        "reason": decision.reason,
        "predicted_s": decision.predicted_s,
        "predicted_sd_s": decision.sigma_s,
        "again_s": decision.again_s,
        "candidates": [
            {"executor": executor, "node": node_of.get(executor), **_scored(score_s)}
            for executor, score_s in _scores(dispatcher, request.model)
        ],
        "shadow": None if shadow is None else _in_shadow(dispatcher, shadow, request, now_s),
    }


def _in_shadow(dispatcher: Dispatcher, scheme: str, request: Request, now_s: float) -> dict[str, Any]:
    told = dispatcher.shadows.decide(scheme, request, now_s)
    dispatcher.records.add("audit", told)
    candidates = [{"executor": executor, **_scored(score_s)} for executor, score_s in told.candidates]
    return {"scheme": scheme, "choice": told.choice, "reason": told.reason, "candidates": candidates}


def _scores(dispatcher: Dispatcher, model: str) -> list[tuple[str, float]]:
    """Every executor that could ever serve a model, with its score for the request decided last, best first.

    A decision itself keeps the best of them only.
    """
    pool = cast(SupervisedPath, dispatcher.fast_path).innermost.view.pools.get(model)
    if pool is None:
        return []
    scores = [float(pool.score[column]) for column in range(len(pool.names))]
    order = sorted(range(len(scores)), key=scores.__getitem__)
    return [(pool.names[i], scores[i]) for i in order if scores[i] < inf]


def _scored(score_s: float) -> dict[str, Any]:
    """A score in seconds; of an executor that a mask keeps back, the mask: its tier is no time."""
    for least_s, why in _TIERS:
        if score_s >= least_s:
            return {"score_s": None, "masked": why}
    return {"score_s": score_s, "masked": None}
