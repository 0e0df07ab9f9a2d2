"""Who decides what, when, from what: the global planner, the prompt scheduler, the deployment agent of a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulation.domain.actions import Decision
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from serve_apps.deciders.control_run import ControlRun
from serve_apps.deciders.host import Host
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.messages import Configured
from serve_apps.wire.names import runtime_name


class PlannerHost(Host):
    """Global planner: once per epoch; scheduler, deployment agents and gateways follow its policy."""

    def _period_slots(self, run: ControlRun) -> int:
        return run.epoch_slots

    def _cause(self, number: int) -> str:
        return f"epoch {number}"

    async def _see(self, run: ControlRun, slot: int, boundary: bool) -> ClusterSnapshot:
        return await self._telemetry.cluster(run, slot, reset=boundary)


class SchedulerHost(Host):
    """Prompt scheduler: once per slot; gateways follow its guide."""

    async def _see(self, run: ControlRun, slot: int, boundary: bool) -> ClusterSnapshot:
        return await self._telemetry.cluster(run, slot, reset=False)


class DeployerHost(Host):
    """Deployment agent of one node: once per slot, from its own node only; carried out by its node runtime."""

    def __init__(self, name: str, calls: Calls, where: Callable[[], dict[str, Any]], node_id: str) -> None:
        super().__init__(name, calls, where)
        self._node_id = node_id

    def _lag_s(self, run: ControlRun) -> float:
        """Until the requests of the slot's begin are queued, where it is to see them."""
        return run.dispatch_lag_s

    async def _see(self, run: ControlRun, slot: int, boundary: bool) -> NodeView | None:
        view = await self._telemetry.node(self._node_id)
        return view if view is not None and view.available else None

    async def _land(self, run: ControlRun, decision: Decision) -> Configured:
        runtime = runtime_name(self._node_id)
        try:
            done: Configured = await self._calls.call(runtime, "configure", decision.command)
        except (Unreached, ValueError) as error:
            refused = f"{runtime} did not answer: {error}"
            return Configured(landed_s=None, violations=(refused,), changes=0)
        return done
