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
from emulation.domain.records import ENDED, SWITCHED
from emulation.domain.scenario import PLANNER_GRACE_SHARE
from emulation.domain.slots import slot_of, slot_start_s
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from serve_apps.deciders.approving import approved
from serve_apps.deciders.control_run import ControlRun
from serve_apps.deciders.last_word import last_word
from serve_apps.deciders.telemetry import Telemetry
from serve_apps.observe.actors import unsent_samples
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.messages import ANY_RUN, Configured, RunState
from serve_apps.wire.names import EVENTS, PLANNER, RECORDER
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
        self._looking = False
        """Whether a decision is being made of what was seen."""
        self._meanwhile: MacroPolicy | None = None
        """A policy that came while it was."""
        self._policy_s: float | None = None
        """When a policy was last heard, virtual seconds; None: none was, of this scheme."""
        self._untold_s: float | None = None
        """The same, until it stands beside a decision."""
        self._slot_0_open = False
        """Whether the first decision is to be made once the clock runs."""
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: list[asyncio.Task[None]] = []
        """Of the loop in force: to its planner, and to what breaks its reasoner."""
        self._first: asyncio.Task[None] | None = None
        """The decision for time 0, while it is out."""
        self._broken = ""
        self._landing = asyncio.Lock()
        """A decision is being carried out: the scheme is not switched meanwhile."""

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
        run = self._run
        if run is None:
            return
        run.clock.start(t0_wall)
        states = Follower(self._calls, RECORDER, ANY_RUN, self._hear_of_run)
        self._tasks = [asyncio.ensure_future(states.run())]
        self._go(run)

    def _go(self, run: ControlRun, came_in: bool = False) -> None:
        """Decide from now on, if there is anything to decide; `came_in`: for the first time at once."""
        loop = self._loop
        if loop is None:
            return
        followed: list[Follower[Any]] = [] if self._policies is None else [self._policies]
        if loop.asks_reasoner:
            followed.append(Follower(self._calls, EVENTS, run.run_id, loop.outage))
        self._listening = [asyncio.ensure_future(follower.run()) for follower in followed]
        self._tasks.append(asyncio.ensure_future(self._tick(run, loop, came_in)))

    # -- a switch of the scheme -----------------------------------------------------------------------------

    async def _hear_of_run(self, state: RunState) -> None:
        """Where the scheme was switched, take our part again, as after a restart. Raises `Unreached`."""
        run = self._run
        if run is None or state.run_id != run.run_id or state.switch <= run.switch:
            return
        found = await self._calls.call(RECORDER, "part", self._name)
        if found is None or self._run is not run:
            return
        new, t0_wall = found
        async with self._landing:
            for task in self._listening:
                task.cancel()
            self._take(new)  # what is being decided by the loop before is voided when it would land
        if t0_wall is not None:
            new.clock.start(t0_wall)
        self._go(new, came_in=True)
        took = (new.run_id, new.switch, self._name, new.clock.now_s())
        await self._calls.call(RECORDER, "took_up", *took)

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
        tasks = self._stop()
        await asyncio.gather(*tasks, return_exceptions=True)  # they record what was still out
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
        same = self._run is not None and self._run.run_id == run.run_id
        self._run, self._slot_0_open = run, False
        nothing = "" if run.loop is not None else "; nothing is decided here"
        log.info("took up run %s, scheme %s%s", run.run_id, run.scheme, nothing)
        self._loop = None if run.loop is None else pickle.loads(run.loop)
        self._policies = (
            Follower(self._calls, PLANNER, run.news_id, self._accept) if run.follows_planner else None
        )
        self._policy_s = self._untold_s = None
        self._meanwhile, self._looking = None, False
        self._telemetry.begin()
        self._news.begin(run.news_id)
        if not same:
            self._broken = ""
            self._batch.begin(run.run_id)

    def _stop(self) -> list[asyncio.Task[None]]:
        """Decide nothing more; the tasks that are coming to their end."""
        tasks = [*self._tasks, *self._listening, *([] if self._first is None else [self._first])]
        for task in tasks:
            task.cancel()
        self._tasks, self._listening, self._first, self._run = [], [], None, None
        return tasks

    # -- deciding -----------------------------------------------------------------------------------------

    async def _tick(self, run: ControlRun, loop: Loop, came_in: bool) -> None:
        slots = self._period_slots(run)
        if came_in and not await self._made(self._come_in(run, loop), 0):
            return
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
            if begin_s >= run.end_s or self._run is not run:
                return
            await asyncio.sleep(run.clock.wall_until_s(begin_s))
            if self._policies is not None and number % run.epoch_slots == 0:
                await self._await_policy(run, begin_s, begin_s)
            await asyncio.sleep(run.clock.wall_until_s(begin_s + self._lag_s(run)))
            if not await self._made(self._decide(run, loop, number), number):
                return

    async def _come_in(self, run: ControlRun, loop: Loop) -> None:
        """Decide for the first time by a scheme that was switched to, under its planner's policy if that comes."""
        slot = slot_of(run.clock.now_s(), run.slot_s)
        if self._policies is not None:
            await self._await_policy(run, run.clock.now_s(), 0.0)
        await self._decide(run, loop, slot, f"switch to {run.scheme}")

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

    async def _decide(self, run: ControlRun, loop: Loop, number: int, came_in: str = "") -> None:
        """Observe, decide, think at least `thinking_s`, land, record.

        `number` counts its periods; with `came_in`, the cause of its first look after a switch, that of the slot.
        """
        if self._run is not run:
            return
        clock, cause = run.clock, came_in or self._cause(number)
        slot = number if came_in else number * self._period_slots(run)
        seen, self._looking = None, True
        try:
            seen = await self._see(run, slot, boundary=not came_in)
        finally:
            if seen is None:
                self._looked()
        if seen is None:
            return
        asked_at_s = clock.now_s()
        thinking = asyncio.ensure_future(asyncio.to_thread(loop.observe, seen, cause, asked_at_s, True))
        thinking.add_done_callback(lambda _: self._looked())
        thinking.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may end unheard
        decision: Decision | None = None
        try:
            decision = await asyncio.shield(thinking)
            if loop.held(decision):
                decision = await approved(self._calls, clock, loop, decision, seen)
            if clock.started:  # before a run begins there is time to think
                await asyncio.sleep(clock.wall_until_s(asked_at_s + decision.thinking_s))
            async with self._landing:
                done = Configured(landed_s=None, violations=(SWITCHED,), changes=0)
                if self._run is run:
                    done = await self._land(run, decision)
        except asyncio.CancelledError:
            if self._run is None:
                if decision is None:
                    decision, why = await last_word(loop, clock, cause, thinking, seen, asked_at_s)
                    self._broken = self._broken or (why if self._run is None else "")
                elif loop.held(decision):
                    waited_s = clock.now_s() - decision.decided_at_s - decision.thinking_s
                    decision = loop.given_up(decision, max(waited_s, 0.0), ENDED)
                if decision is not None and decision.exchanges and self._run is None:
                    self._record(cause, decision, Configured(landed_s=None, violations=(ENDED,), changes=0))
            raise
        self._record(cause, decision, done)
        await self._batch.try_flush()

    def _record(self, cause: str, decision: Decision, done: Configured) -> None:
        outcome = "voided" if done.violations else "applied"
        log.info("%s: %s", cause, outcome)
        side: dict[str, Any] = {"name": self._name, "wall": time.time(), **self._where()}
        if self._untold_s is not None:
            side["policy_heard_s"], self._untold_s = self._untold_s, None
        self._batch.add("decide", decision, done.landed_s, outcome, done.violations, done.changes, side)

    def _period_slots(self, run: ControlRun) -> int:
        return 1

    def _lag_s(self, run: ControlRun) -> float:
        """Virtual seconds after the begin of its period at which it looks."""
        return 0.0

    def _cause(self, number: int) -> str:
        return f"slot {number}"

    @abstractmethod
    async def _see(self, run: ControlRun, slot: int, boundary: bool) -> ClusterSnapshot | NodeView | None:
        """What this controller may know now; None: nothing to decide on. `boundary`: a period of its begins now."""

    async def _land(self, run: ControlRun, decision: Decision) -> Configured:
        """Carry a decision out; what became of it. Here: whoever follows this controller hears of it."""
        assert isinstance(decision.command, Command)
        self._news.publish(decision.command)
        return Configured(landed_s=run.clock.now_s(), violations=(), changes=0)

    # -- the planner's policy -----------------------------------------------------------------------------

    def _accept(self, policy: MacroPolicy) -> None:
        if self._loop is not None:
            self._meanwhile = policy
            if not self._looking:
                self._looked()
            if self._run is not None:
                self._policy_s = self._untold_s = self._run.clock.now_s()
            self._policy_came.set()

    def _looked(self) -> None:
        """Nothing is being decided: a policy that came meanwhile counts from the next look on, as in virtual time."""
        self._looking = False
        if self._meanwhile is not None and self._loop is not None:
            self._loop.accept(self._meanwhile)
        self._meanwhile = None

    async def _await_policy(self, run: ControlRun, begin_s: float, since_s: float) -> None:
        """The planner decides at `begin_s` too: give it a moment from then on, not more, unless a policy was heard
        since `since_s`."""
        grace_s = run.clock.wall_until_s(begin_s + PLANNER_GRACE_SHARE * run.slot_s)
        try:
            async with asyncio.timeout(grace_s):
                while self._policy_s is None or self._policy_s < since_s:
                    self._policy_came.clear()
                    await self._policy_came.wait()
        except TimeoutError:
            log.info("%s: goes on under the policy it has", self._name)
