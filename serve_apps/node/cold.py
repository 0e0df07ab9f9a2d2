"""Lifecycle `cold`, the node's side: asks the launcher for processes, and records what Serve said of them."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from ray.exceptions import RayError

from emulation.domain.cluster import Mode
from emulation.domain.records import DecisionRecord
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import ProcessChange
from serve_apps.wire.names import LAUNCHER, NotThere, find

LONGEST_CALL_S = 600.0
"""Wall seconds after which the launcher's silence counts as a failure; it has a shorter limit of its own."""


async def change_process(
    what: Literal["start", "stop"], node_id: str, model: str, mode: Mode, clock: LiveClock, batch: RecordBatch
) -> ProcessChange:
    """Start or stop the process behind an executor, and record it. A failure is returned, never raised.

    The record: an entry of actor `launcher`, from when it was asked to when it was done, with Serve's status; its
    wall seconds are side data.
    """
    asked_s, began = clock.now_s(), time.monotonic()
    try:
        launcher: Any = find(LAUNCHER)
        args = (node_id, model, mode) if what == "start" else (node_id, model)
        call = (launcher.launch if what == "start" else launcher.halt).remote(*args)
        change: ProcessChange = await asyncio.wait_for(asyncio.ensure_future(call), LONGEST_CALL_S)
    except (RayError, NotThere, TimeoutError) as error:
        reason = f"the launcher did not answer: {type(error).__name__}"
        change = ProcessChange(status="UNKNOWN", reason=reason, wall_s=time.monotonic() - began)
    record = DecisionRecord(
        t_s=asked_s,
        actor="launcher",
        cause=what,
        inputs_age_s=0.0,
        choice={"executor": f"{node_id}/{model}", "mode": mode, "serve_status": change.status},
        reason=change.reason,
        reasoner="none",
        landed_s=clock.now_s() if change.ok else None,
        outcome="applied" if change.ok else "voided" if change.given_up else "rejected",
        violations=() if change.ok else (f"{node_id}/{model} did not {what}: {change.reason}",),
    )
    batch.add("audit", record, {"wall": time.time(), "wall_s": round(change.wall_s, 4)})
    return change
