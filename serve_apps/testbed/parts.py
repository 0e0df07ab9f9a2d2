"""What each process of a live testbed is handed at the begin of a run, and again if it is restarted."""

from __future__ import annotations

import pickle
from math import inf
from typing import Any

from controller.loop import ControlLoop
from serve_apps.deciders.control_run import ControlRun
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import GatewayRun, NodeRun, RunPlan
from serve_apps.wire.names import EVENTS, GATEWAY_APP, PLANNER, SCHEDULER, deployer_name, runtime_name


def parts_of(plan: RunPlan, cold: bool, backend: str) -> dict[str, Any]:
    """Actor name to its part. Only a node's part holds the truth, or what it could be drawn from.

    `backend`: of models the testbed names none for.
    """
    nodes = [n.id for n in plan.scenario.testbed.nodes]
    node = NodeRun(
        run_id=plan.run_id, scenario=plan.scenario, seed=plan.seed, truth=plan.truth,
        speedup=plan.scenario.live.speedup, cold=cold, backend=backend,
    )  # fmt: skip
    return {
        GATEWAY_APP: _gateway(plan, cold, backend),
        EVENTS: (plan.run_id, plan.scenario, plan.folder),
        PLANNER: _control(plan, plan.planner, follows_planner=False),
        SCHEDULER: _control(plan, plan.scheduler),
        **{deployer_name(n): _control(plan, plan.deployers.get(n)) for n in nodes},
        **{runtime_name(n): node for n in nodes},
    }


def _gateway(plan: RunPlan, cold: bool, backend: str) -> GatewayRun:
    scenario = plan.scenario
    return GatewayRun(
        run_id=plan.run_id, scheme=plan.header.scheme, testbed=scenario.testbed, speedup=scenario.live.speedup,
        deadline_s=scenario.deadline_s, length_knowledge=scenario.length_knowledge,
        fast_path=pickle.dumps(plan.fast_path), cold=cold, backend=backend, planned=plan.planner is not None,
        scheduled=plan.scheduler is not None, news_s=scenario.live.gateway_news_s,
    )  # fmt: skip


def _control(
    plan: RunPlan, loop: ControlLoop[Any, Any, Any] | None, follows_planner: bool = True
) -> ControlRun:
    scenario = plan.scenario
    return ControlRun(
        run_id=plan.run_id,
        loop=None if loop is None else pickle.dumps(loop),
        clock=LiveClock(scenario.live.speedup),
        nodes=tuple(n.id for n in scenario.testbed.nodes),
        slot_s=scenario.slot_s,
        epoch_slots=scenario.epoch_slots,
        end_s=inf if plan.endless else scenario.end_s,
        awaits_dispatch=scenario.agents_await_dispatch,
        follows_planner=follows_planner and plan.planner is not None,
    )
