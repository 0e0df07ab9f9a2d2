"""The meta-controller in a gateway: its records to the batch, its questions to a thread, its answers on the loop.

No request waits for any of it: the fast path routes on, with the masks its rules set at once, however long the reasoner
takes or whether it answers at all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from emulation.domain.ports import MetaController, Thought
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Hinted

log = logging.getLogger("edgebed")

LONGEST_S = 120.0
"""Wall seconds after which a thought is given up; the thread it is in may go on, its answer is not heard."""


class MetaLink:
    """Carries one meta-controller through one run. `landed` is called after its tools have run."""

    def __init__(
        self, meta: MetaController, clock: LiveClock, batch: RecordBatch, landed: Callable[[], None]
    ) -> None:
        self._meta, self._clock, self._batch, self._landed = meta, clock, batch, landed
        self._task: asyncio.Task[None] | None = None
        meta.attach(self._wanted)

    def hinted(self, hinted: Hinted) -> None:
        """News of a node: the hints that are now exposed."""
        self._meta.hinted(hinted.node, hinted.hints, self._clock.now_s())
        self._landed()

    def outage(self, failure: str | None) -> None:
        """The event plan breaks the reasoner in this way, or mends it."""
        self._meta.outage(failure, self._clock.now_s())

    def stop(self) -> None:
        """The run is over: whoever still thinks is not waited for."""
        self._meta.attach(_nobody)
        if self._task is not None:
            self._task.cancel()

    def retire(self) -> None:
        """Another scheme decides from now on."""
        self.stop()
        self._pass_records()

    def _wanted(self) -> None:
        self._pass_records()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._attend())

    def _pass_records(self) -> None:
        for record in self._meta.take_records():
            self._batch.add("audit", record, {"wall": time.time(), "name": "meta", "pid": os.getpid()})

    async def _attend(self) -> None:
        """Carry questions until there is none. What breaks on the way is logged, and closed as a failed question."""
        while (question := self._meta.take_question()) is not None:
            try:
                await self._carry(question)
            except Exception as error:
                log.exception("meta: %s: %s", type(error).__name__, error)
                self._meta.attach(self._wanted)
            self._pass_records()
            self._landed()

    async def _carry(self, question: Any) -> None:
        asked_s = self._clock.now_s()
        async with asyncio.timeout(LONGEST_S):
            thought: Thought = await asyncio.to_thread(self._meta.think, question)
        rest_s = self._clock.wall_until_s(asked_s + thought.thinking_s)
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        self._meta.answered(question, thought, self._clock.now_s())


def _nobody() -> None:
    """Nobody listens any more."""
