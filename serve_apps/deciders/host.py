"""One controller on wall time: it ticks itself, sees, decides, lands what it decided, and records it.

It ticks on its own clock at slot or epoch boundaries, asks for the telemetry it is entitled to, decides in a thread
of its own process, and lands the decision itself. Nobody waits for anybody: a controller that is blocked or dead stops
only its own decisions.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from controller.agents.llm import ReasonerError
from controller.loop import ControlLoop
from emulation.domain.actions import Decision, MacroPolicy, RouteGuide
from emulation.domain.scenario import PLANNER_GRACE_SHARE
from emulation.domain.slots import slot_of, slot_start_s
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from serve_apps.deciders.control_run import ControlRun
from serve_apps.deciders.telemetry import Telemetry
from serve_apps.observe.actors import unsent_samples
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.messages import Configured
from serve_apps.wire.names import EVENTS, PLANNER
from serve_apps.wire.news import Follower, News
from serve_apps.wire.restart import part_of

log = logging.getLogger("edgebed")

FIRST_S = 20.0
"""Wall seconds the begin of a run waits for the first decision; a slower one lands when it is there."""

Loop = ControlLoop[Any, Any, Any]
Command = MacroPolicy | RouteGuide
"""What is published for others to follow."""


class Host(ABC):
    """What every controller does; subclasses say what is seen and where a decision lands."""

    def __init__(self, name: str, calls: Calls, where: Callable[[], dict[str, Any]]) -> None:
        """`where`: what a decision's side data say of the process that made it."""
        self._name = name
        self._calls = calls
        self._where = where
        self._telemetry = Telemetry(name, calls)
        self._batch = RecordBatch(calls, name)
        self._news: News[Command] = News()
        self._run: ControlRun | None = None
        self._loop: Loop | None = None
        self._policies: Follower[MacroPolicy] | None = None
        """Of the planner; None if there is none above."""
        self._policy_came = asyncio.Event()
        self._slot_0_open = False
        """Whether the first decision is to be made once the clock runs."""
        self._tasks: list[asyncio.Task[None]] = []
        self._first: asyncio.Task[None] | None = None
        """The decision for time 0, while it is out."""
        self._broken = ""

    # -- a run --------------------------------------------------------------------------------------------

    async def begin_run(self, run: ControlRun) -> str:
        """Forget the last run and decide for the first time, at virtual time 0, before the clock starts.

        Returns without that decision if it takes too long; else why nothing is ever decided, empty if that is not so.
        Who looks only once a slot's requests are dispatched decides for slot 0 after the clock has started.
        """
        self._stop()
        self._take(run)
        if self._loop is None:
            return ""
        if self._policies is not None:
            await self._policies.poll(0.0)
        if self._lag_s(run) > 0:
            self._slot_0_open = True
            return ""
        self._first = first = asyncio.ensure_future(self._decide(run, self._loop, 0))
        done, _ = await asyncio.wait({first}, timeout=FIRST_S)
        if done:
            await self._made(first, 0)
        return self._broken

    async def start(self, t0_wall: float) -> None:
        """Virtual time begins (or began) at this wall time: tick from the next boundary on."""
        run, loop = self._run, self._loop
        if run is None or loop is None:
            return
        run.clock.start(t0_wall)
        followed: list[Follower[Any]] = [] if self._policies is None else [self._policies]
        if loop.asks_reasoner:
            followed.append(Follower(self._calls, EVENTS, run.run_id, loop.outage))
        self._tasks = [asyncio.ensure_future(self._tick(run, loop))]
        self._tasks += [asyncio.ensure_future(follower.run()) for follower in followed]

    async def resume(self) -> None:
        """After a restart: take up the present run at its next boundary; what was decided stays in force."""
        found = await part_of(self._calls, self._name)
        if found is None or self._run is not None:
            return
        run, t0_wall = found
        self._take(run)
        if t0_wall is not None:
            await self.start(t0_wall)

    async def end_run(self) -> str:
        """Decide nothing more. Returns why it had stopped deciding before; empty if it had not."""
        self._stop()
        await self._batch.try_flush()
        return self._broken

    async def flush(self) -> None:
        """Send every record so far. Raises `Unreached`, and `ValueError` where there is no room."""
        await self._batch.flush()

    async def watch(self, run_id: str, version: int, limit_s: float) -> tuple[int, tuple[Command, ...]]:
        """The latest command, if it is newer than `version`; see `News.watch`."""
        return await self._news.watch(run_id, version, limit_s)

    def counted(self) -> list[Sample]:
        """What a scraper is to read of this controller."""
        return unsent_samples(self._name, self._batch)

    def _take(self, run: ControlRun) -> None:
        self._run, self._broken, self._slot_0_open = run, "", False
        log.info("took up run %s%s", run.run_id, "" if run.loop is not None else "; nothing is decided here")
        self._loop = None if run.loop is None else pickle.loads(run.loop)
        self._policies = (
            Follower(self._calls, PLANNER, run.run_id, self._accept) if run.follows_planner else None
        )
        self._telemetry.begin()
        self._batch.begin(run.run_id)
        self._news.begin(run.run_id)

    def _stop(self) -> None:
        for task in [*self._tasks, *([] if self._first is None else [self._first])]:
            task.cancel()
        self._tasks, self._first = [], None

    # -- deciding -----------------------------------------------------------------------------------------

    async def _tick(self, run: ControlRun, loop: Loop) -> None:
        slots = self._period_slots(run)
        if self._first is not None and not await self._made(self._first, 0):
            return
        if self._slot_0_open:
            await asyncio.sleep(run.clock.wall_until_s(self._lag_s(run)))
            if not await self._made(self._decide(run, loop, 0), 0):
                return
        number = 0
        while True:
            # A clock may be read a moment before the boundary that was slept for: it is not slept for again.
            slot = slot_of(run.clock.now_s(), run.slot_s)
            number = max(slot // slots, number) + 1
            begin_s = slot_start_s(number * slots, run.slot_s)
            if begin_s >= run.end_s:
                return
            await asyncio.sleep(run.clock.wall_until_s(begin_s))
            if self._policies is not None and number % run.epoch_slots == 0:
                await self._await_policy(run)
            await asyncio.sleep(run.clock.wall_until_s(begin_s + self._lag_s(run)))
            if not await self._made(self._decide(run, loop, number), number):
                return

    async def _made(self, deciding: Awaitable[None], number: int) -> bool:
        """Whether there is any use in deciding again, now that this decision is made or was not."""
        try:
            await deciding
        except ReasonerError as error:  # a script that ended, a replay that was asked something else
            log.error("%s decides nothing more: %s", self._name, error)
            self._broken = str(error)
            return False
        except (Unreached, ValueError) as error:
            log.warning("%s: decision %d not made: %s", self._name, number, error)
        return True

    async def _decide(self, run: ControlRun, loop: Loop, number: int) -> None:
        """Observe, decide, think at least `thinking_s`, land, record. `number` counts its periods."""
        clock = run.clock
        seen = await self._see(run, number)
        if seen is None:
            return
        asked_at_s = clock.now_s()
        decision: Decision = await asyncio.to_thread(loop.observe, seen, self._cause(number), asked_at_s)
        if clock.started:  # before a run begins there is time to think
            await asyncio.sleep(clock.wall_until_s(asked_at_s + decision.thinking_s))
        done = await self._land(run, decision)
        outcome = "voided" if done.violations else "applied"
        log.info("%s: %s", self._cause(number), outcome)
        side = {"name": self._name, "wall": time.time(), **self._where()}
        self._batch.add("decide", decision, done.landed_s, outcome, done.violations, done.changes, side)
        await self._batch.try_flush()

    def _period_slots(self, run: ControlRun) -> int:
        return 1

    def _lag_s(self, run: ControlRun) -> float:
        """Virtual seconds after the begin of its period at which it looks."""
        return 0.0

    def _cause(self, number: int) -> str:
        return f"slot {number}"

    @abstractmethod
    async def _see(self, run: ControlRun, number: int) -> ClusterSnapshot | NodeView | None:
        """What this controller may know now; None: nothing to decide on."""

    async def _land(self, run: ControlRun, decision: Decision) -> Configured:
        """Carry a decision out; what became of it. Here: whoever follows this controller hears of it."""
        assert isinstance(decision.command, Command)
        self._news.publish(decision.command)
        return Configured(landed_s=run.clock.now_s(), violations=(), changes=0)

    # -- the planner's policy -----------------------------------------------------------------------------

    def _accept(self, policy: MacroPolicy) -> None:
        if self._loop is not None:
            self._loop.accept(policy)
            self._policy_came.set()

    async def _await_policy(self, run: ControlRun) -> None:
        """The planner decides at this very instant too: give it a moment, not more."""
        self._policy_came.clear()
        grace_s = run.clock.wall_until_s(run.clock.now_s() + PLANNER_GRACE_SHARE * run.slot_s)
        try:
            async with asyncio.timeout(grace_s):
                await self._policy_came.wait()
        except TimeoutError:
            log.info("%s: goes on under the policy it has", self._name)
