"""The hierarchy as named Ray actors: thin hosts of the pure control loops. The one file here that knows Ray.

Each actor ticks itself on its own clock at slot or epoch boundaries, pulls the telemetry it is entitled to
(with timeouts: what does not answer stays as it was, with its age), decides in its own process, and lands the
decision itself. Nobody waits for anybody: an actor that is blocked or dead stops only its own decisions.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any

import ray
from ray.exceptions import RayError

from controller.agents.llm import ReasonerError
from emulation.domain.actions import Decision, MacroPolicy, RouteGuide
from emulation.domain.scenario import PLANNER_GRACE_SHARE
from emulation.domain.snapshot import ClusterSnapshot, NodeView, Window
from serve_apps.deciders.control_run import ControlRun, Peers
from serve_apps.wire.news import News
from serve_apps.wire.restart import resume_if_restarted, where

log = logging.getLogger("edgebed")

PULL_TIMEOUT_S = 1.0
"""Wall seconds telemetry may take."""
CALL_TIMEOUT_S = 10.0
WATCH_S = 5.0
FIRST_S = 20.0
"""Wall seconds the begin of a run waits for the first decision; a slower one lands when it is there."""
_UNREACHED = (RayError, ValueError, TimeoutError)


class Host(ABC):
    """What every controller actor does; subclasses say what is seen and where a decision lands."""

    def __init__(self, name: str, peers: Peers) -> None:
        self.name = name
        self.run: ControlRun | None = None
        self.loop: Any = None
        self._peers = peers
        self._tasks: list[asyncio.Task[None]] = []
        self._first: asyncio.Task[None] | None = None
        """The decision for time 0, while it is out."""
        self._broken = ""
        """Why nothing is decided any more: a script that ended, a replay that was asked something else."""
        self._news: News[MacroPolicy | RouteGuide] = News()
        self._policy_version = 0
        self._policy_news = asyncio.Event()
        self._views: dict[str, NodeView] = {}
        self._sent = 0
        self._known: dict[str, Any] = {}
        resume_if_restarted()

    # -- a run --------------------------------------------------------------------------------------------

    async def begin_run(self, run: ControlRun) -> None:
        """Forget the last run and decide for the first time, at virtual time 0, before the clock starts.

        Returns without that decision if it takes too long.
        """
        self._stop()
        self._take(run)
        self._policy_version = 0
        self._sent, self._broken = 0, ""
        if self.loop is None:
            return
        if self._follows_policy():
            await self._poll_policy(0.0)
        self._first = asyncio.ensure_future(self._decide(0))
        done, _ = await asyncio.wait({self._first}, timeout=FIRST_S)
        if done:
            self._first.result()

    async def start(self, t0_wall: float) -> None:
        """Virtual time begins (or began) at this wall time: tick from the next boundary on."""
        if self.run is None or self.loop is None:
            return
        self.run.clock.start(t0_wall)
        self._tasks = [asyncio.ensure_future(self._tick())]
        if self._follows_policy():
            self._tasks.append(asyncio.ensure_future(self._follow_policy()))
        if self.loop.asks_reasoner:
            self._tasks.append(asyncio.ensure_future(self._follow_outages()))

    async def resume(self) -> None:
        """After a restart: take up the present run at its next boundary; what was decided stays in force."""
        while True:
            try:
                found = await self._call(self._peers.recorder, "part", self.name)
                break
            except _UNREACHED as error:
                log.warning("%s: recorder not reached, asking again: %s", self.name, error)
                await asyncio.sleep(1.0)
        if found is None or self.run is not None:
            return
        run, t0_wall = found
        self._take(run)
        self._sent = time.time_ns()  # beyond whatever the process before this one said
        if t0_wall is not None:
            await self.start(t0_wall)

    async def end_run(self) -> str:
        """Decide nothing more. Returns why it had stopped deciding before; empty if it had not."""
        self._stop()
        return self._broken

    def _take(self, run: ControlRun) -> None:
        self.run = run
        self.loop = None if run.loop is None else pickle.loads(run.loop)
        self._views = {}
        self._news.begin(run.run_id)

    def _stop(self) -> None:
        for task in [*self._tasks, *([] if self._first is None else [self._first])]:
            task.cancel()
        self._tasks, self._first = [], None

    # -- for others ---------------------------------------------------------------------------------------

    async def watch(
        self, run_id: str, version: int, limit_s: float
    ) -> tuple[int, tuple[MacroPolicy | RouteGuide, ...]]:
        """The latest command, if it is newer than `version`; see `News.watch`."""
        return await self._news.watch(run_id, version, limit_s)

    async def block(self, seconds: float) -> None:
        """Stall this actor's event loop (tests)."""
        time.sleep(seconds)

    async def where(self) -> dict[str, Any]:
        """Process and Ray node this actor runs in."""
        return where()

    # -- deciding -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        run = self.run
        assert run is not None
        period_s = self._period_s(run)
        if self._first is not None and not await self._made(self._first, 0):
            return
        while True:
            number = int(run.clock.now_s() / period_s + 1e-9) + 1
            if number * period_s >= run.end_s:
                return
            await asyncio.sleep(run.clock.wall_until_s(number * period_s))
            if not await self._made(self._decide(number), number):
                return

    async def _made(self, deciding: Awaitable[None], number: int) -> bool:
        """Whether there is any use in deciding again, now that this decision is made or was not."""
        try:
            await deciding
        except ReasonerError as error:
            log.error("%s decides nothing more: %s", self.name, error)
            self._broken = str(error)
            return False
        except _UNREACHED as error:
            log.warning("%s: decision %d not made: %s", self.name, number, error)
        return True

    async def _decide(self, number: int) -> None:
        """Observe, decide, think at least `thinking_s`, land, record. `number` counts the periods of this
        actor."""
        run = self.run
        assert run is not None
        if number > 0 and self._follows_policy() and number % run.epoch_slots == 0:
            await self._await_policy(run)
        seen = await self._see(run, number)
        if seen is None:
            return
        asked_at_s = run.clock.now_s()
        decision: Decision = await asyncio.to_thread(self.loop.observe, seen, self._cause(number), asked_at_s)
        rest_s = decision.thinking_s - (run.clock.now_s() - asked_at_s)
        if rest_s > 0 and run.clock.started:  # before a run begins there is time to think
            await asyncio.sleep(run.clock.wall_until_s(run.clock.now_s() + rest_s))
        landed_s, refused, changes = await self._land(run, decision)
        outcome = "voided" if refused else "applied"
        side = {"name": self.name, "wall": time.time(), **where()}
        await self._record(run, decision, landed_s, outcome, refused, changes, side)

    async def _record(self, run: ControlRun, *decided: Any) -> None:
        self._sent += 1
        await self._call(
            self._peers.recorder,
            "append",
            run.run_id,
            self.name,
            self._sent,
            pickle.dumps([("decide", decided)]),
        )

    def _period_s(self, run: ControlRun) -> float:
        return run.slot_s

    def _cause(self, number: int) -> str:
        return f"slot {number}"

    def _follows_policy(self) -> bool:
        return self.run is not None and self.run.planned

    @abstractmethod
    async def _see(self, run: ControlRun, number: int) -> Any:
        """What this actor may know now; None: nothing to decide on."""

    @abstractmethod
    async def _land(self, run: ControlRun, decision: Decision) -> tuple[float | None, tuple[str, ...], int]:
        """Apply a decision: when it landed (None: it did not), what was refused, modes changed."""

    # -- the planner's policy -----------------------------------------------------------------------------

    async def _follow_policy(self) -> None:
        while True:
            try:
                await self._poll_policy(WATCH_S)
            except _UNREACHED as error:
                log.info("%s: planner not reached: %s", self.name, error)
                await asyncio.sleep(0.5)

    async def _poll_policy(self, timeout_s: float) -> None:
        run = self.run
        assert run is not None
        version, policies = await self._call(
            self._peers.planner, "watch", run.run_id, self._policy_version, timeout_s
        )
        for policy in policies:
            self.loop.accept(policy)
            self._policy_news.set()
        self._policy_version = version

    async def _await_policy(self, run: ControlRun) -> None:
        """The planner decides at this very instant too: give it a moment, not more."""
        self._policy_news.clear()
        grace_s = run.clock.wall_until_s(run.clock.now_s() + PLANNER_GRACE_SHARE * run.slot_s)
        try:
            await asyncio.wait_for(self._policy_news.wait(), grace_s)
        except TimeoutError:
            log.info("%s: goes on under the policy it has", self.name)

    async def _follow_outages(self) -> None:
        """Break and mend the reasoner as the event plan says."""
        run, version = self.run, 0
        assert run is not None
        while True:
            try:
                found, failures = await self._call(self._peers.events, "watch", run.run_id, version, WATCH_S)
            except _UNREACHED as error:
                log.info("%s: event plan not reached: %s", self.name, error)
                await asyncio.sleep(0.5)
                continue
            for failure in failures:
                self.loop.outage(failure)
            version = found

    # -- telemetry ----------------------------------------------------------------------------------------

    async def _pull(self, node_id: str) -> NodeView | None:
        """The node's view now; the last one it gave if it does not answer in time."""
        try:
            view = await self._call(
                f"{self._peers.runtime_prefix}{node_id}", "telemetry", timeout_s=PULL_TIMEOUT_S
            )
        except _UNREACHED as error:
            log.warning("%s: no telemetry from %s: %s", self.name, node_id, error)
            return self._views.get(node_id)
        self._views[node_id] = view
        found: NodeView = view
        return found

    async def _snapshot(self, run: ControlRun, slot: int, reset: bool) -> ClusterSnapshot:
        views = await asyncio.gather(*(self._pull(n) for n in run.nodes))
        window = Window()
        try:
            window = await self._call(self._peers.recorder, "window", reset, timeout_s=PULL_TIMEOUT_S)
        except _UNREACHED as error:
            log.warning("%s: no statistics: %s", self.name, error)
        return ClusterSnapshot(run.clock.now_s(), slot, tuple(v for v in views if v is not None), window)

    async def _call(self, name: str, method: str, *args: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        if name not in self._known:  # a look-up blocks for a round trip; a handle outlives restarts
            self._known[name] = ray.get_actor(name, namespace=self._peers.namespace)
        call: Awaitable[Any] = getattr(self._known[name], method).remote(*args)
        return await asyncio.wait_for(asyncio.ensure_future(call), timeout_s)


class PlannerHost(Host):
    """Global planner: once per epoch; its policy is published to scheduler, deployers and gateway."""

    def _period_s(self, run: ControlRun) -> float:
        return run.slot_s * run.epoch_slots

    def _cause(self, number: int) -> str:
        return f"epoch {number}"

    def _follows_policy(self) -> bool:
        return False

    async def _see(self, run: ControlRun, number: int) -> ClusterSnapshot:
        return await self._snapshot(run, number * run.epoch_slots, reset=True)

    async def _land(self, run: ControlRun, decision: Decision) -> tuple[float | None, tuple[str, ...], int]:
        assert isinstance(decision.command, MacroPolicy)
        self._news.publish(decision.command)
        return run.clock.now_s(), (), 0


class SchedulerHost(Host):
    """Prompt scheduler: once per slot; its guide is published to the gateway."""

    async def _see(self, run: ControlRun, number: int) -> ClusterSnapshot:
        return await self._snapshot(run, number, reset=False)

    async def _land(self, run: ControlRun, decision: Decision) -> tuple[float | None, tuple[str, ...], int]:
        assert isinstance(decision.command, RouteGuide)
        self._news.publish(decision.command)
        return run.clock.now_s(), (), 0


class DeployerHost(Host):
    """Deployment agent of one node: once per slot, from its own node only; applied at its node runtime."""

    def __init__(self, name: str, peers: Peers, node_id: str) -> None:
        super().__init__(name, peers)
        self._node_id = node_id

    async def _see(self, run: ControlRun, number: int) -> NodeView | None:
        view = await self._pull(self._node_id)
        return view if view is not None and view.available else None

    async def _land(self, run: ControlRun, decision: Decision) -> tuple[float | None, tuple[str, ...], int]:
        runtime = f"{self._peers.runtime_prefix}{self._node_id}"
        try:
            done = await self._call(runtime, "configure", decision.command)
        except _UNREACHED as error:
            return None, (f"{runtime} did not answer: {error}",), 0
        return done.landed_s, done.violations, done.changes
