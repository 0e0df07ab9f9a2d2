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

from controller.agents.llm import ReasonerError
from emulation.domain.ports import MetaController, Thought
from emulation.domain.records import ENDED, SWITCHED
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Hinted

log = logging.getLogger("edgebed")

LONGEST_S = 120.0
"""Wall seconds after which a thought is given up; the thread it is in may go on, its answer is not heard."""


class LiveMetaLink:
    """Carries one meta-controller through one run. `landed` is called after its tools have run."""

    def __init__(
        self, meta: MetaController, clock: LiveClock, batch: RecordBatch, landed: Callable[[], None]
    ) -> None:
        self.broken = ""
        """Why its reasoner is asked nothing more; empty: it is."""
        self._meta, self._clock, self._batch, self._landed = meta, clock, batch, landed
        self._task: asyncio.Task[None] | None = None
        self._out: Any = None
        """The question that is out."""
        self._thought: Thought | None = None
        """What comes of it, once that is known."""
        meta.attach(self._wanted)

    def hinted(self, hinted: Hinted) -> None:
        """News of a node: the hints that are now exposed."""
        self._meta.hinted(hinted.node, hinted.hints, self._clock.now_s())
        self._landed()

    def outage(self, failure: str | None) -> None:
        """The event plan breaks the reasoner in this way, or mends it."""
        self._meta.outage(failure, self._clock.now_s())

    def end(self) -> str:
        """The run is about to end: ask nothing more, and have what was asked in the records. Returns `broken`."""
        self._ask_nothing_more(ENDED)
        return self.broken

    def retire(self) -> None:
        """Another scheme decides from now on."""
        self._ask_nothing_more(SWITCHED)

    def stop(self) -> None:
        """The run is over: whoever still thinks is not waited for, and nothing more is recorded."""
        self._meta.attach(_nobody)
        if self._task is not None:
            self._task.cancel()

    def _ask_nothing_more(self, why: str) -> None:
        """Rules go on, and their records are passed on; whoever still thinks is not waited for."""
        if self._task is not None:
            self._task.cancel()
        self._close(why)

    def _close(self, why: str) -> None:
        """What is out comes to nothing, for that reason, and nothing more is asked."""
        if self._out is not None:
            self._meta.voided(self._out, self._thought, why, self._clock.now_s())
            self._out = self._thought = None
        self._meta.attach(self._pass_records)
        self._pass_records()

    def _wanted(self) -> None:
        self._pass_records()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._attend())

    def _pass_records(self) -> None:
        for record in self._meta.take_records():
            self._batch.add("audit", record, {"wall": time.time(), "name": "meta", "pid": os.getpid()})

    async def _attend(self) -> None:
        """Carry questions until there is none, or none will ever be answered. What else breaks on the way is logged,
        and closed as a failed question."""
        while (question := self._meta.take_question()) is not None:
            try:
                await self._carry(question)
            except ReasonerError as error:  # a key that is refused, a script that ended, a replay that missed
                log.error("meta asks nothing more: %s", error)
                self.broken = str(error)
                self._close(self.broken)
                return
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                log.exception("meta: %s", said)
                if not isinstance(error, TimeoutError):
                    self._meta.voided(question, None, said, self._clock.now_s())
                self._out = self._thought = None
                self._meta.attach(self._wanted)
            self._pass_records()
            self._landed()

    async def _carry(self, question: Any) -> None:
        self._out, asked_s = question, self._clock.now_s()
        async with asyncio.timeout(LONGEST_S):
            self._thought = thought = await asyncio.to_thread(self._meta.think, question)
        rest_s = self._clock.wall_until_s(asked_s + thought.thinking_s)
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        self._out = self._thought = None
        self._meta.answered(question, thought, self._clock.now_s())


def _nobody() -> None:
    """Nobody listens any more."""
