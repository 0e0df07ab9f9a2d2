"""One edge node on wall time, as everybody else sees it: runs, attempts, control and news. Knows no Ray."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from math import inf

from emulation.domain.actions import NodeConfig
from emulation.domain.request import Outcome
from emulation.domain.snapshot import NodeView
from emulation.executor import Changed
from emulation.faults import FAULTS, Step, apply
from serve_apps.node.attempts import Attempts
from serve_apps.node.cold import Processes
from serve_apps.node.real_work import RealWork
from serve_apps.observe.actors import node_samples, power_samples, unsent_samples
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import RecordBatch
from serve_apps.records.progress import ProgressReport
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.log import Heard, Log
from serve_apps.wire.messages import (
    Came,
    Configured,
    Hinted,
    Left,
    NodeCheckpoint,
    NodeRun,
    Pace,
    Served,
    Work,
)
from serve_apps.wire.names import RECORDER, runtime_name
from serve_apps.wire.news import News
from serve_apps.wire.restart import kept_of, part_of

log = logging.getLogger("edgebed")

TAKE_UP_S = 10.0
"""Wall seconds a call waits for a restarted process to take up the run."""
STREAM_FIRST_S = 0.03
"""Wall seconds between looks at a streamed request's progress."""
STREAM_GROWTH, STREAM_MAX_S = 1.25, 0.4
"""Chunks of a stream come in ever longer intervals: a long answer costs few messages."""


class NodeCore:
    """The node between runs and in them. Its methods are short, and only a restart waits for another actor.

    What needs a run waits up to `TAKE_UP_S` for one to be taken up, and raises `RuntimeError` if none is.
    """

    def __init__(self, node_id: str, calls: Calls, clock: Callable[[float], LiveClock] = LiveClock) -> None:
        """`clock`: makes the clock of a run, given its speedup."""
        self._node_id, self._name = node_id, runtime_name(node_id)
        self._calls, self._clock = calls, clock
        self._taken_up = asyncio.Event()
        """Set once a run has begun: a restarted process answers calls before it has taken up the run."""
        self._attempts: Attempts | None = None
        self._processes: Processes | None = None
        """Where processes really start and stop (lifecycle cold)."""
        self._news: News[Changed | Hinted] = News()
        self._log: Log[Came | Left] = Log()
        self._hints: tuple[str, ...] | None = None
        """As they were last told."""
        self._kept = NodeCheckpoint(run_id="")
        self._batch = RecordBatch(calls, self._name, period_s=0.5)
        self._report = ProgressReport(calls)
        self._senders: list[asyncio.Task[None]] = []

    # -- a run --------------------------------------------------------------------------------------------

    async def begin_run(self, run: NodeRun) -> None:
        """Forget the last run and stand ready for this one, its clock at 0 until `start`."""
        if self._attempts is not None:
            self._attempts.close()
        clock = self._clock(run.speedup)
        self._attempts = Attempts(run, self._node_id, clock, self._report, self._on_changed, self._log.add)
        self._log.begin(run.run_id, self._attempts.standing)
        self._processes = Processes(self._calls, self._attempts, self._batch) if run.cold else None
        self._batch.begin(run.run_id)
        self._report.begin(run.run_id)
        self._kept, self._hints = NodeCheckpoint(run_id=run.run_id), None
        if not self._senders:
            self._senders = [asyncio.ensure_future(sender.run()) for sender in (self._batch, self._report)]
        self._news.begin(run.run_id)
        for view in self._attempts.state.view(0.0).executors:
            ready_at_s = 0.0 if view.state == "ready" else inf
            self._news.publish(Changed(0.0, view.id, view.state, view.mode, ready_at_s), view.id)
        self._look_at_hints(self._attempts, 0.0)
        self._taken_up.set()
        log.info("took up run %s", run.run_id)

    async def start(self, t0_wall: float) -> None:
        """Virtual time begins at this wall time."""
        (await self._present()).start(t0_wall)

    async def resume(self) -> None:
        """After a restart: take up the present run again, configured as before and with the faults in force.

        Queues are empty: whoever waited hears that this process died, and asks again with what was finished.
        """
        found = await part_of(self._calls, self._name)
        kept = await kept_of(self._calls, self._name)
        if found is None or self._attempts is not None:
            return
        run, t0_wall = found
        await self.begin_run(run)
        if t0_wall is not None:
            await self.start(t0_wall)
        attempts = await self._present()
        state, now_s = attempts.state, attempts.clock.now_s()
        for view in state.view(now_s).executors:
            self._batch.add("executor", Changed(now_s, view.id, view.state, view.mode, inf))
        if isinstance(kept, NodeCheckpoint) and kept.run_id == run.run_id:
            self._kept = kept
            if kept.config is not None:
                state.configure(kept.config, now_s)
            for step in kept.steps:
                apply(step, state, now_s)
            self._look_at_hints(attempts, now_s)
        if self._processes is not None:
            try:
                await self._processes.halt_others()
            except Unreached as error:
                log.warning("%s: what ran before may still run: %s", self._name, error)
        attempts.settle()

    async def flush(self) -> None:
        """Send every record of the run so far. Raises `Unreached`."""
        await self._batch.flush()
        await self._report.flush()

    async def watch(
        self, run_id: str, version: int, limit_s: float
    ) -> tuple[int, tuple[Changed | Hinted, ...]]:
        """News of lifecycle and hints: see `News.watch`."""
        return await self._news.watch(run_id, version, limit_s)

    async def traffic(self, run_id: str, number: int, limit_s: float) -> Heard[Came | Left]:
        """Which attempts came and left, for gateways that share this node: see `Log.read`."""
        return await self._log.read(run_id, number, limit_s)

    # -- work ---------------------------------------------------------------------------------------------

    async def serve(self, work: Work) -> Served:
        """Queue and serve one attempt; returns when it is over, in whatever way."""
        waiter = (await self._present()).waiter(work)
        waiter.attached = True
        return await asyncio.shield(waiter.ended)

    async def turn(self, work: Work) -> Served | None:
        """Queue one attempt and return once it is in service (None) or over; `serve` then waits for its end."""
        waiter = (await self._present()).waiter(work)
        await waiter.until(waiter.started)
        return waiter.ended.result() if waiter.ended.done() else None

    async def stream(self, work: Work) -> AsyncIterator[tuple[int, int] | Served]:
        """Like `serve`, with (tokens produced, tokens in all) on the way: at once for the first, then coalesced."""
        attempts = await self._present()
        waiter = attempts.waiter(work)
        waiter.attached = True
        ended = waiter.ended
        if waiter.job.started_s is None:
            await waiter.until(waiter.started)
        sent, pause_s = 0, STREAM_FIRST_S
        while not ended.done():
            ready, total = attempts.produced(waiter)
            if ready > sent:
                yield ready, total
                pause_s = STREAM_FIRST_S if sent == 0 else min(pause_s * STREAM_GROWTH, STREAM_MAX_S)
                sent = ready
            await asyncio.wait((ended,), timeout=pause_s)
        yield ended.result()

    async def cancel(
        self,
        request_id: str,
        reason: str = "the client gave up",
        attempt: int | None = None,
        outcome: Outcome = "aborted",
    ) -> bool:
        """End a request wherever it is on this node; False if it is not here, or this attempt (None: any) is over.

        What it had finished is in the progress record when this returns.
        """
        if self._attempts is None:
            return False
        found = self._attempts.cancel(request_id, reason, attempt, outcome)
        await self._report.try_flush()
        return found

    # -- work that is really computed: see `RealWork` -------------------------------------------------------

    async def follow(self, work: Work) -> AsyncIterator[Pace | Served]:
        """Queue one attempt; its turn, every change of pace, at last its end."""
        async for news in RealWork(await self._present()).follow(work):
            yield news

    async def advanced(self, request_id: str, attempt: int, prompts_done: int) -> None:
        """So many prompts of an attempt are finished."""
        RealWork(await self._present()).advanced(request_id, attempt, prompts_done)

    async def complete(
        self,
        request_id: str,
        attempt: int,
        service_s: float,
        output_tokens: int,
        input_tokens: int | None = None,
    ) -> bool:
        """An attempt is over, and took so long (wall seconds); False if it is not its turn any more.

        `input_tokens`: by the model's own tokenizer; None for one that reads no text.
        """
        work = RealWork(await self._present())
        return work.complete(request_id, attempt, service_s, output_tokens, input_tokens)

    # -- control ------------------------------------------------------------------------------------------

    async def configure(self, config: NodeConfig) -> Configured:
        """Apply an activation pattern now; what is infeasible or voided is said in the answer."""
        attempts = await self._present()
        now_s, before = attempts.advance(), attempts.state.targets()
        refused = attempts.state.configure(config, now_s)
        changes = sum(mode != before[e] for e, mode in attempts.state.targets().items())
        if refused:
            log.info("configuration refused in part: %s", "; ".join(refused))
        if changes:
            self._keep(replace(self._kept, config=NodeConfig(self._node_id, attempts.told())))
        attempts.settle()
        return Configured(landed_s=now_s, violations=tuple(refused), changes=changes)

    async def inject(self, step: Step) -> float:
        """Apply one step of the event plan in place, while requests run; returns when, in virtual seconds.

        One that kills this process is left to the process that takes its place.
        """
        attempts = await self._present()
        now_s = attempts.advance()
        self._kept = replace(self._kept, steps=(*self._kept.steps, step))
        if FAULTS[step.spec.kind].kills == "node" and step.phase == "onset":
            await self._calls.call(RECORDER, "checkpoint", self._name, self._kept)
            return now_s
        apply(step, attempts.state, now_s)
        log.info("event %d, %s: %s", step.event, step.spec.kind, step.phase)
        self._keep(self._kept)
        self._look_at_hints(attempts, now_s)
        attempts.settle()
        return now_s

    async def echo(self) -> float:
        """Wall time by this machine's clock, at once: for whoever measures how long messages take."""
        return (self._attempts.clock if self._attempts is not None else self._clock(1.0)).wall_s()

    async def telemetry(self) -> NodeView:
        """What may be known of this node now."""
        attempts = await self._present()
        view = attempts.state.view(attempts.advance())
        attempts.settle()
        return view

    def counted(self) -> list[Sample]:
        """What a scraper is to read of this node; between runs only of its records."""
        found = unsent_samples(self._name, self._batch)
        if self._attempts is None:
            return found
        state = self._attempts.state
        view = state.view(self._attempts.advance())
        self._attempts.settle()
        loads, watts = state.loads(), state.testbed.watts()[state.id]
        return [*found, *node_samples(view, loads), *power_samples(state.spec, watts, view, loads)]

    async def _present(self) -> Attempts:
        if self._attempts is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(TAKE_UP_S):
                    await self._taken_up.wait()
        if self._attempts is None:
            raise RuntimeError(f"node {self._node_id}: no run has begun")
        return self._attempts

    def _keep(self, kept: NodeCheckpoint) -> None:
        """Leave with the recorder what a restarted process of this node needs."""
        self._kept = kept
        self._calls.tell(RECORDER, "checkpoint", self._name, kept)

    def _on_changed(self, notice: Changed) -> None:
        self._news.publish(notice, notice.executor)
        self._batch.add("executor", notice)
        if self._processes is not None:
            self._processes.changed(notice)

    def _look_at_hints(self, attempts: Attempts, now_s: float) -> None:
        hints = attempts.state.view(now_s).hints
        if hints != self._hints:
            self._hints = hints
            topic = f"hints of {self._node_id}"  # topics of executors are their names
            self._news.publish(Hinted(t_s=now_s, node=self._node_id, hints=hints), topic)
