"""What a controller sees: every node and the recorder are asked, each with a time limit."""

from __future__ import annotations

import asyncio
import logging

from emulation.domain.snapshot import ClusterSnapshot, NodeView, Window
from serve_apps.deciders.control_run import ControlRun
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.names import RECORDER, runtime_name

log = logging.getLogger("edgebed")

PULL_LIMIT_S = 1.0
"""Wall seconds telemetry may take."""


class Telemetry:
    """What does not answer in time stays as it was: its last view says when it was taken."""

    def __init__(self, name: str, calls: Calls) -> None:
        self._name = name
        self._calls = calls
        self._views: dict[str, NodeView] = {}

    def begin(self) -> None:
        """Nothing has been seen of this run yet."""
        self._views = {}

    async def node(self, node_id: str) -> NodeView | None:
        """The node's view now, or the last one it gave; None if it gave none in this run."""
        try:
            view: NodeView = await self._calls.call(runtime_name(node_id), "telemetry", limit_s=PULL_LIMIT_S)
        except (Unreached, ValueError) as error:
            log.warning("%s: no telemetry from %s: %s", self._name, node_id, error)
            return self._views.get(node_id)
        self._views[node_id] = view
        return view

    async def cluster(self, run: ControlRun, slot: int, reset: bool) -> ClusterSnapshot:
        """Every node of which anything is known. `reset`: what is counted is counted anew from now on."""
        window = Window()
        try:  # first: the recorder waits for who has yet to tell, and views would grow old meanwhile
            window = await self._calls.call(RECORDER, "window", reset, slot, limit_s=PULL_LIMIT_S)
        except (Unreached, ValueError) as error:
            log.warning("%s: no statistics: %s", self._name, error)
        views = await asyncio.gather(*(self.node(n) for n in run.nodes))
        return ClusterSnapshot(run.clock.now_s(), slot, tuple(v for v in views if v is not None), window)
