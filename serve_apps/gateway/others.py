"""What other gateways have at the nodes, as the nodes tell it: this gateway's view of their share of every backlog.

The fast path hears of a foreign request as of one of its own, only later: dispatched when its node says that it came,
completed, with what it took, when its node says that it is over. What a gateway that died left at the nodes stays in
view until they are done with it.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Protocol

from emulation.domain.actions import RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Outcome, Request
from serve_apps.observe.samples import Sample
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.log import Heard
from serve_apps.wire.messages import Came, Left


class Listener(Protocol):
    """Who hears of requests that others sent, as of its own."""

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None: ...

    def completed(self, completion: Completion) -> None: ...


class Others:
    """Requests of other gateways in one run, by what this one has heard so far."""

    def __init__(self, own: int, listener: Listener, clock: LiveClock) -> None:
        """`own`: the number of this gateway process."""
        self._own = own
        self._listener, self._clock = listener, clock
        self._there: dict[str, tuple[str, Came]] = {}
        """Request id to the node it is at."""
        self.heard_at: dict[str, float] = {}
        """Node to when it was last heard of, by the wall clock."""

    def hear(self, node: str, heard: Heard[Came | Left]) -> None:
        """What came to a node and left it."""
        self.heard_at[node] = time.time()
        if heard.whole:
            here = {item.request.id for item in heard.items if isinstance(item, Came)}
            for request_id in [r for r, (where, _) in self._there.items() if where == node and r not in here]:
                self._over(request_id, "aborted", Measured())
        for item in heard.items:
            if item.gateway == self._own:
                continue
            if isinstance(item, Came):
                self._came(node, item)
            elif self._there.get(item.request_id, ("",))[0] == node:  # else it is elsewhere by now
                ended = item.served.outcome
                outcome: Outcome = "node_lost" if ended == "returned" or ended == "detached" else ended
                self._over(item.request_id, outcome, item.served.measured)

    def present(self) -> list[tuple[Request, str]]:
        """(request, executor) of all that is in view."""
        return [(came.request, came.executor) for _, came in self._there.values()]

    def age_s(self) -> float:
        """Wall seconds since the node was heard of that has been silent longest; 0 before any was."""
        return max((time.time() - at for at in self.heard_at.values()), default=0.0)

    def samples(self) -> list[Sample]:
        """For whoever scrapes: foreign requests at every node, and how long ago it was last heard of."""
        now, requests = time.time(), self.per_node()
        return [
            sample
            for node, at in self.heard_at.items()
            for sample in (
                Sample("edgebed_requests_of_others", (node,), requests[node]),
                Sample("edgebed_node_news_age_seconds", (node,), max(0.0, now - at)),
            )
        ]

    def per_node(self) -> Counter[str]:
        """Node to foreign requests there."""
        return Counter(node for node, _ in self._there.values())

    def _came(self, node: str, came: Came) -> None:
        known = self._there.get(came.request.id)
        if known is not None and known[1].executor == came.executor:
            return
        self._there[came.request.id] = (node, came)
        decision = RoutingDecision(came.executor, "route", "by another gateway")
        self._listener.dispatched(came.request, decision, self._clock.now_s())

    def _over(self, request_id: str, outcome: Outcome, measured: Measured) -> None:
        _, came = self._there.pop(request_id)
        completion = Completion(came.request, came.executor, outcome, self._clock.now_s(), measured)
        self._listener.completed(completion)
