"""How long messages take between this gateway and nodes on other machines: probed while a run goes on.

A probe is a call that its node answers at once, with the time on its own clock. The quickest of the last few tells of
the way alone: the others waited for something too. Its two halves are the ways there and back *by the two clocks*; how
far these are apart cancels in their sum, the round trip, and whoever moves a node's times by the halves has them on the
gateway's clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from emulation.domain.measured import Measured
from emulation.domain.records import LinkRecord
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Served
from serve_apps.wire.names import runtime_name

log = logging.getLogger("edgebed")

PERIOD_S = 1.0
"""Wall seconds between two probes of a node."""
WINDOW = 10
"""Probes of which the quickest counts."""
FIRST = 5
"""Probes one after the other before a run begins."""
LIMIT_S = 2.0
"""Wall seconds a probe may take."""
NEWS_S, NEWS_SHARE = 0.0005, 0.1
"""A round trip that differs by more than this from what was recorded last is recorded."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One message there and one back, wall seconds, by two clocks that need not agree."""

    up_s: float
    down_s: float

    @property
    def rtt_s(self) -> float:
        """The round trip."""
        return self.up_s + self.down_s


@dataclass(slots=True)
class _Link:
    """What is known of the way to one node."""

    probes: deque[Probe]
    recorded_s: float | None = None

    @property
    def best(self) -> Probe | None:
        """The quickest of the last probes."""
        return min(self.probes, key=lambda probe: probe.rtt_s, default=None)


class Links:
    """The ways from one gateway to the nodes of a run. To nodes on its own machine messages take no time."""

    def __init__(
        self, calls: Calls, batch: RecordBatch, clock: LiveClock, here: str, gateway: int = 0
    ) -> None:
        """`here`: this machine, as `where` names that of a node."""
        self._calls, self._batch, self._clock = calls, batch, clock
        self._here, self._gateway = here, gateway
        self._links: dict[str, _Link] = {}
        self._unknown: set[str] = set()
        """Nodes of which it is not known, or not known any more, where they are."""

    async def begin(self, nodes: Iterable[str]) -> None:
        """Find out which nodes are elsewhere, and how far away."""
        self._unknown.update(nodes)
        await self.look()

    async def run(self) -> None:
        """Look for ever; nothing to do where all nodes are here."""
        while self._links or self._unknown:
            await asyncio.sleep(PERIOD_S)
            await self.look()

    async def look(self) -> None:
        """Probe every node that is elsewhere, and ask where those are that were silent: they may be back elsewhere."""
        known = self._links.keys() - self._unknown
        await asyncio.gather(*(self.probe(n) for n in known), *(self._find(n) for n in sorted(self._unknown)))

    async def probe(self, node: str) -> None:
        """Send one probe. What does not come back tells nothing of the way."""
        sent_s = self._clock.wall_s()
        try:
            there_s: float = await self._calls.call(runtime_name(node), "echo", limit_s=LIMIT_S)
        except (Unreached, ValueError) as error:
            log.info("no probe of %s: %s", node, error)
            self._unknown.add(node)
            return
        link = self._links[node]
        link.probes.append(Probe(there_s - sent_s, self._clock.wall_s() - there_s))
        self._record(node, link)

    def network_s(self, node: str) -> float:
        """The round trip to a node, wall seconds."""
        best = self._best(node)
        return 0.0 if best is None else best.rtt_s

    def samples(self) -> list[Sample]:
        """For whoever scrapes: the round trip to every node on another machine."""
        known = ((node, link.best) for node, link in self._links.items())
        return [
            Sample("edgebed_link_round_trip_seconds", (node,), best.rtt_s)
            for node, best in known
            if best is not None
        ]

    def travelled(self, node: str, served: Served) -> Served:
        """An attempt at a node as it looks from here: its times on our clock, and the way there and back in its
        transfer times instead of nowhere."""
        best = self._best(node)
        if best is None:
            return served
        up_s, down_s = best.up_s * self._clock.speedup, best.down_s * self._clock.speedup
        return replace(
            served, ended_s=served.ended_s + down_s, measured=_moved(served.measured, up_s, down_s)
        )

    def _best(self, node: str) -> Probe | None:
        link = self._links.get(node)
        return None if link is None else link.best

    async def _find(self, node: str) -> None:
        try:
            where: dict[str, Any] = await self._calls.call(runtime_name(node), "where", limit_s=LIMIT_S)
        except (Unreached, ValueError) as error:
            log.warning("nobody knows on which machine %s is: %s", node, error)
            return
        self._unknown.discard(node)
        if where["machine"] == self._here:
            self._links.pop(node, None)
            return
        self._links[node] = _Link(deque(maxlen=WINDOW))
        for _ in range(FIRST):
            await self.probe(node)

    def _record(self, node: str, link: _Link) -> None:
        """A row of the record when a round trip is first known, and when it has changed."""
        best, known_s = link.best, link.recorded_s
        if best is None or (len(link.probes) < FIRST and known_s is None):
            return
        if known_s is not None and abs(best.rtt_s - known_s) <= max(NEWS_S, NEWS_SHARE * known_s):
            return
        link.recorded_s = best.rtt_s
        record = LinkRecord(
            t_s=self._clock.now_s(), node=node, gateway=self._gateway,
            rtt_s=best.rtt_s * self._clock.speedup,
        )  # fmt: skip
        side = {"rtt_wall_s": best.rtt_s, "clock_ahead_s": (best.up_s - best.down_s) / 2}
        self._batch.add("link", record, side)


def _moved(measured: Measured, up_s: float, down_s: float) -> Measured:
    """Times of a node's clock on ours, the ways in its transfer times; `up_s` and `down_s` by the two clocks."""
    half_s, ahead_s = (up_s + down_s) / 2, (up_s - down_s) / 2

    def on_ours(t_s: float | None) -> float | None:
        return None if t_s is None else t_s - ahead_s

    return replace(
        measured,
        dispatched_s=None if measured.dispatched_s is None else measured.dispatched_s - up_s,
        enqueued_s=on_ours(measured.enqueued_s),
        started_s=on_ours(measured.started_s),
        uplink_s=measured.uplink_s + half_s,
        downlink_s=measured.downlink_s + half_s,
    )
