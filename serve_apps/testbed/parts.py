"""What each process of a live testbed is handed at the begin of a run, and again if it is restarted."""

from __future__ import annotations

import pickle
from typing import Any

from serve_apps.deciders.cast import deciding_parts
from serve_apps.wire.messages import NodeRun, RunPlan
from serve_apps.wire.names import EVENTS, runtime_name
from serve_apps.wire.switching import Cast, Stage


def parts_of(plan: RunPlan, cold: bool, backend: str) -> dict[str, Any]:
    """Actor name to its part. Only a node's part holds the truth, or what it could be drawn from.

    `backend`: of models the testbed names none for.
    """
    node = NodeRun(
        run_id=plan.run_id, scenario=plan.scenario, seed=plan.seed, truth=plan.truth,
        speedup=plan.scenario.live.speedup, cold=cold, backend=backend,
    )  # fmt: skip
    schemes = None if plan.schemes is None else pickle.dumps(plan.schemes)
    stage = Stage(own=plan.header.scheme, schemes=schemes, cold=cold, backend=backend, endless=plan.endless)
    cast = Cast(
        scheme=plan.header.scheme, reasoner=plan.header.reasoner, fast_path=plan.fast_path,
        planner=plan.planner, scheduler=plan.scheduler, deployers=plan.deployers,
    )  # fmt: skip
    return {
        EVENTS: (plan.run_id, plan.scenario, stage, plan.folder),
        **deciding_parts(plan.run_id, plan.scenario, cast, stage),
        **{runtime_name(n.id): node for n in plan.scenario.testbed.nodes},
    }
