"""Schemes in the shadow of the one in force: they hear what it hears, are asked what they would do, and do nothing.

A shadow is the fast path of its scheme alone. Its planner, scheduler and meta-controller do not act: guides, admission
limits and masks are decisions of the scheme in force, and a shadow is not told of them.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from controller.fast_path import SupervisedPath
from emulation.domain.actions import RoutingDecision
from emulation.domain.ports import FastPath
from emulation.domain.records import HYPOTHETICAL, DecisionRecord
from emulation.domain.request import Request
from emulation.record_lines import routing_record
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.calls import Calls
from serve_apps.wire.names import EVENTS

log = logging.getLogger("edgebed")

HEADER = "X-Edge-Shadow"
MOST = 4
"""Shadows at a time: each hears of every request, which costs what routing it costs."""
MAKING_S = 20.0
"""Wall seconds the controllers of a scheme may take to be built."""


class Shadows:
    """Those of one run in one gateway process. Whatever becomes of them, requests are served as without them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._paths: dict[str, FastPath] = {}
        self._making = asyncio.Lock()

    async def let_in(self, scheme: str, in_force: Callable[[], FastPath]) -> None:
        """Have a scheme decide in the shadow from now on, going on from what the one in force knows of the world.

        The first call builds it, which takes seconds; others wait. Raises `BadAsk` for a scheme that cannot be a
        shadow, or is one too many; `Unreached`.
        """
        if scheme in self._paths:
            return
        async with self._making:
            if scheme in self._paths:
                return
            if len(self._paths) >= MOST:
                raise BadAsk(
                    f"{HEADER}: {MOST} shadows are the most, and there are {', '.join(self._paths)}", HEADER
                )
            try:
                made: bytes = await self._calls.call(EVENTS, "shadow", scheme, limit_s=MAKING_S)
            except ValueError as error:
                raise BadAsk(f"{HEADER}: {error}", HEADER) from error
            path = await asyncio.to_thread(pickle.loads, made)
            path.take_over(pickle.loads(pickle.dumps(cast(SupervisedPath, in_force()).innermost)))
            self._paths[scheme] = path
            log.info("scheme %s decides in the shadow", scheme)

    def hear(self, tell: Callable[[FastPath], None]) -> None:
        """Tell every shadow something. One that fails is one no more."""
        for scheme in list(self._paths):
            try:
                tell(self._paths[scheme])
            except Exception as error:  # noqa: BLE001 (a shadow must not cost a request, whatever is wrong with it)
                self._drop(scheme, error)

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """A request was sent; each shadow predicts its time by itself."""
        if self._paths:
            sent = replace(decision, predicted_s=None)
            self.hear(lambda path: path.dispatched(request, sent, now_s))

    def decide(self, scheme: str, request: Request, now_s: float) -> DecisionRecord:
        """What a scheme would do with a request that comes now, as it stands in the record."""
        path = self._paths.get(scheme)
        failed = "it is no shadow any more"
        if path is not None:
            try:
                return hypothetical(f"shadow:{scheme}", request, path.route(request, now_s), now_s)
            except Exception as error:  # noqa: BLE001 (as above)
                self._drop(scheme, error)
                failed = f"{type(error).__name__}: {error}"[:200]
        none = RoutingDecision(None, "hold", "it failed")
        return replace(
            hypothetical(f"shadow:{scheme}", request, none, now_s), choice=None, violations=(failed,)
        )

    def _drop(self, scheme: str, error: Exception) -> None:
        del self._paths[scheme]
        log.error("scheme %s is no shadow any more: %s: %s", scheme, type(error).__name__, error)


def hypothetical(actor: str, request: Request, decision: RoutingDecision, now_s: float) -> DecisionRecord:
    """A decision about a request that nobody carries out."""
    return routing_record(request, decision, now_s, actor, outcome=HYPOTHETICAL)
