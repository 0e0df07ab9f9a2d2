"""Lifecycle `cold`, the node's side: has processes started and stopped, and records what Serve said of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from math import inf
from typing import Literal

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode
from emulation.domain.records import DecisionRecord
from emulation.executor import Changed
from serve_apps.node.attempts import Attempts
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.messages import ProcessChange
from serve_apps.wire.names import LAUNCHER

LONGEST_CALL_S = 600.0
"""Wall seconds after which the launcher's silence counts as a failure; it has a shorter limit of its own."""


class Processes:
    """What stands behind the executors of one node in one run."""

    def __init__(self, calls: Calls, attempts: Attempts, batch: RecordBatch) -> None:
        self._calls, self._attempts, self._batch = calls, attempts, batch
        self._node_id = attempts.state.id
        self._asked: Counter[str] = Counter()
        """Executor to how often its process was told to start or stop."""

    def changed(self, notice: Changed) -> None:
        """Have a process started or stopped if an executor waits for that."""
        stops = notice.state == "draining" or (notice.state == "away" and notice.mode == "off")
        if notice.ready_at_s != inf or not (stops or notice.state == "starting"):
            return
        self._asked[notice.executor] += 1
        if stops:
            self._attempts.detach(notice.executor)
        self._attempts.spawn((self._halt if stops else self._launch)(notice.executor, notice.mode))

    async def halt_others(self) -> None:
        """Stop what the process before this one left running in another mode than wanted now.

        Raises `Unreached`.
        """
        wanted = self._attempts.state.targets()
        await self._calls.call(LAUNCHER, "halt_others", self._node_id, wanted, limit_s=LONGEST_CALL_S)

    async def _launch(self, executor: str, mode: Mode) -> None:
        """Start the process behind an executor; one that does not start is off again, until told otherwise."""
        attempts, asked = self._attempts, self._asked[executor]
        await attempts.begun.wait()
        await asyncio.sleep(attempts.clock.wall_until_s(0.0))
        if asked != self._asked[executor]:
            return  # told otherwise while it waited
        change = await self._change("launch", executor, mode)
        if asked != self._asked[executor]:
            return
        now_s = attempts.advance()
        if change.ok:
            attempts.state.mark_ready(executor, now_s)
        else:
            modes: dict[str, Mode] = attempts.told() | {attempts.models[executor]: "off"}
            attempts.state.configure(NodeConfig(self._node_id, modes), now_s)
        attempts.settle()

    async def _halt(self, executor: str, mode: Mode) -> None:
        """Stop it. Also if that fails, the executor goes on: the next start replaces what is left."""
        await self._change("halt", executor, mode)
        self._attempts.state.mark_stopped(executor, self._attempts.advance())
        self._attempts.settle()

    async def _change(self, what: Literal["launch", "halt"], executor: str, mode: Mode) -> ProcessChange:
        """Ask the launcher, and record it. A failure is returned, never raised.

        The record: an entry of actor `launcher`, from when it was asked to when it was done, with Serve's status; its
        wall seconds are side data.
        """
        clock, model = self._attempts.clock, self._attempts.models[executor]
        asked_s, began = clock.now_s(), time.monotonic()
        args = (self._node_id, model, mode) if what == "launch" else (self._node_id, model)
        try:
            change: ProcessChange = await self._calls.call(LAUNCHER, what, *args, limit_s=LONGEST_CALL_S)
        except (Unreached, ValueError) as error:
            reason = f"the launcher did not answer: {error}"
            change = ProcessChange(status="UNKNOWN", reason=reason, wall_s=time.monotonic() - began)
        cause = "start" if what == "launch" else "stop"
        name = f"{self._node_id}/{model}"
        record = DecisionRecord(
            t_s=asked_s,
            actor="launcher",
            cause=cause,
            inputs_age_s=0.0,
            choice={"executor": name, "mode": mode, "serve_status": change.status},
            reason=change.reason,
            reasoner="none",
            landed_s=clock.now_s() if change.ok else None,
            outcome="applied" if change.ok else "voided" if change.given_up else "rejected",
            violations=() if change.ok else (f"{name} did not {cause}: {change.reason}",),
        )
        self._batch.add("audit", record, {"wall": time.time(), "wall_s": round(change.wall_s, 4)})
        return change
