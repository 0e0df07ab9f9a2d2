"""The parts of a run that depend on who decides: those of gateways, planner, scheduler and deployment agents."""

from __future__ import annotations

import pickle
from math import inf
from typing import Any

from controller.loop import ControlLoop
from emulation.domain.scenario import Scenario
from serve_apps.deciders.control_run import ControlRun
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import GatewayRun
from serve_apps.wire.names import GATEWAY_APP, PLANNER, SCHEDULER, deployer_name
from serve_apps.wire.switching import Cast, Stage


def deciding_parts(run_id: str, scenario: Scenario, cast: Cast, stage: Stage) -> dict[str, Any]:
    """Actor name to its part."""

    def control(loop: ControlLoop[Any, Any, Any] | None, follows_planner: bool = True) -> ControlRun:
        return ControlRun(
            run_id=run_id,
            loop=None if loop is None else pickle.dumps(loop),
            clock=LiveClock(scenario.live.speedup),
            nodes=tuple(n.id for n in scenario.testbed.nodes),
            slot_s=scenario.slot_s,
            epoch_slots=scenario.epoch_slots,
            end_s=inf if stage.endless else scenario.give_up_s,
            dispatch_lag_s=scenario.dispatch_lag_s,
            follows_planner=follows_planner and cast.planner is not None,
            scheme=cast.scheme,
        )

    deployers = {deployer_name(n.id): control(cast.deployers.get(n.id)) for n in scenario.testbed.nodes}
    return {
        GATEWAY_APP: _gateway(run_id, scenario, cast, stage),
        PLANNER: control(cast.planner, follows_planner=False),
        SCHEDULER: control(cast.scheduler),
        **deployers,
    }


def _gateway(run_id: str, scenario: Scenario, cast: Cast, stage: Stage) -> GatewayRun:
    return GatewayRun(
        run_id=run_id, scheme=cast.scheme, testbed=scenario.testbed, speedup=scenario.live.speedup,
        slot_s=scenario.slot_s, deadline_s=scenario.deadline_s, length_knowledge=scenario.length_knowledge,
        fast_path=pickle.dumps(cast.fast_path), cold=stage.cold, backend=stage.backend,
        planned=cast.planner is not None, scheduled=cast.scheduler is not None,
        news_s=scenario.live.gateway_news_s,
    )  # fmt: skip
