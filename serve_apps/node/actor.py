"""One edge node on wall time: the shared state machines, a timer, and a future for every request.

`NodeState` owns queue, service, sharing, lifecycle and condition; it processes what is due at its exact
virtual
time, so a timer that fires late shifts no state. This class only keeps the appointment and tells those who
wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from math import inf
from types import MappingProxyType
from typing import Any

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.snapshot import NodeView
from emulation.domain.truth import RequestTruth
from emulation.executor import Changed, Ended, Job, NodeState, Returned, Started
from emulation.faults import Step, apply
from serve_apps.node.cold import change_process
from serve_apps.node.real_work import RealWork
from serve_apps.node.waiters import Waiter, produced
from serve_apps.records.batch import RecordBatch
from serve_apps.records.progress import ProgressReport
from serve_apps.replica.choice import real_models
from serve_apps.wire.calls import RayCalls
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Configured, Finished, Hinted, Kept, NodeRun, Served, Work
from serve_apps.wire.names import LAUNCHER, RECORDER, Phonebook, find, runtime_name
from serve_apps.wire.restart import kept_of, part_of, resume_if_restarted, where
from workloads.truth_table import TruthTable

TAKE_UP_S = 10.0
"""Wall seconds a call waits for a restarted process to take up the run."""
STREAM_FIRST_S = 0.03
"""Wall seconds between looks at a streamed request's progress."""
STREAM_GROWTH, STREAM_MAX_S = 1.25, 0.4
"""Chunks of a stream come in ever longer intervals: a long answer costs few messages."""


class NodeRuntime(RealWork):
    """The actor of one node. Every method is short and asynchronous; nothing in it waits for another
    actor."""

    def __init__(self, testbed: TestbedConfig, node_id: str) -> None:
        self._testbed = testbed
        self._node_id = node_id
        self._clock, self._begun = LiveClock(1.0), asyncio.Event()
        self._taken_up = asyncio.Event()
        """Set once a run has begun: a restarted process answers calls before it has taken up the run."""
        self._run: NodeRun | None = None
        self._truth: TruthTable | None = None
        self._state = NodeState(testbed, node_id)
        self._real: tuple[str, ...] = ()
        self._waiters: dict[str, Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = inf
        self._news: dict[str, tuple[int, Changed | Hinted]] = {}
        self._hints: tuple[str, ...] = ()
        self._version = 0
        self._changed = asyncio.Event()
        self._batch = RecordBatch(RayCalls(), runtime_name(node_id), period_s=0.5)
        self._report = ProgressReport(RayCalls())
        self._actors = Phonebook()
        self._next_prompt_s = inf
        self._asked: Counter[str] = Counter()
        """Lifecycle cold: executor to how often its process was told to start or stop."""
        self._kept = Kept(run_id="")
        self._tasks: set[asyncio.Task[Any]] = set()
        resume_if_restarted()

    # -- a run --------------------------------------------------------------------------------------------

    async def begin_run(self, run: NodeRun) -> None:
        """Forget the last run and stand ready for this one, its clock at 0 until `start`."""
        for waiter in self._waiters.values():
            waiter.answer(Served(outcome="aborted", ended_s=self._clock.now_s(), reason="the run ended"))
        self._waiters.clear()
        self._run = run
        self._truth = TruthTable(run.scenario, run.seed)
        self._clock, self._begun = LiveClock(run.speedup), asyncio.Event()
        self._taken_up.set()
        self._testbed = run.scenario.testbed
        self._real = real_models(self._testbed, self._node_id, run.backend)
        self._state = NodeState(self._testbed, self._node_id, run.truth, run.cold, self._real)
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_s = None, inf
        self._batch.begin(run.run_id)
        self._report.begin(run.run_id)
        self._kept = Kept(run_id=run.run_id)
        if not self._tasks:
            self._spawn(self._batch.run())
            self._spawn(self._report.run())
        self._news.clear()
        self._hints = ()
        for view in self._state.view(0.0).executors:
            ready_at_s = 0.0 if view.state == "ready" else inf
            self._tell(Changed(0.0, view.id, view.state, view.mode, ready_at_s))
        self._tell(Hinted(t_s=0.0, node=self._node_id, hints=()))

    async def start(self, t0_wall: float) -> None:
        """Virtual time begins at this wall time."""
        self._clock.start(t0_wall)
        self._begun.set()
        self._armed_s = inf
        self._settle()

    async def resume(self) -> None:
        """After a restart: take up the present run again, configured as before and with the faults in force.

        Queues are empty: whoever waited is told by Ray that we died, and asks again with what was finished.
        """
        found = await part_of(RayCalls(), runtime_name(self._node_id))
        if found is None or self._run is not None:
            return
        kept = await kept_of(RayCalls(), runtime_name(self._node_id))
        await self.begin_run(found[0])
        if found[1] is not None:
            await self.start(found[1])
        now_s = self._clock.now_s()
        for view in self._state.view(now_s).executors:
            self._batch.add("executor", Changed(now_s, view.id, view.state, view.mode, inf))
        if isinstance(kept, Kept) and kept.run_id == found[0].run_id:
            self._kept = kept
            if kept.config is not None:
                self._state.configure(kept.config, now_s)
            for step in kept.steps:
                apply(step, self._state, now_s)
        if found[0].cold:
            await find(LAUNCHER).halt_others.remote(self._node_id, self._state.targets())
        self._settle()

    async def flush(self) -> None:
        """Send every record of the run so far."""
        await self._batch.flush()
        await self._report.flush()

    # -- work ---------------------------------------------------------------------------------------------

    async def serve(self, work: Work) -> Served:
        """Queue and serve one attempt; returns when it is over, in whatever way."""
        waiter = await self._waiter(work)
        waiter.attached = True
        return await asyncio.shield(waiter.ended)

    async def turn(self, work: Work) -> Served | None:
        """Queue one attempt and return once it is in service (None) or over; `serve` then waits for its
        end."""
        waiter = await self._waiter(work)
        await waiter.in_service()
        return waiter.ended.result() if waiter.ended.done() else None

    async def stream(self, work: Work) -> AsyncIterator[tuple[int, int] | Served]:
        """Like `serve`, with (tokens produced, tokens in all) on the way: at once for the first, then
        coalesced."""
        waiter = await self._waiter(work)
        waiter.attached = True
        ended = waiter.ended
        if waiter.job.started_s is None:
            await waiter.in_service()
        sent, pause_s = 0, STREAM_FIRST_S
        while not ended.done():
            done = self._state.progress(work.request.id, self._clock.now_s())
            ready, total = produced(self._testbed, self._node_id, waiter, done)
            if ready > sent:
                yield ready, total
                pause_s = STREAM_FIRST_S if sent == 0 else min(pause_s * STREAM_GROWTH, STREAM_MAX_S)
                sent = ready
            await asyncio.wait((ended,), timeout=pause_s)
        yield ended.result()

    async def cancel(self, request_id: str, reason: str = "the client gave up") -> bool:
        """End a request wherever it is on this node; False if it is not here.

        What it had finished is in the progress record when this returns.
        """
        found = self._state.cancel(request_id, self._advance(), "aborted", reason)
        self._settle()
        await self._report.try_flush()
        return found

    async def _waiter(self, work: Work) -> Waiter:
        """The waiter of this attempt, queued now if it is new. Raises `RuntimeError` if no run has begun."""
        if not self._taken_up.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._taken_up.wait(), TAKE_UP_S)
        if self._truth is None:
            raise RuntimeError(f"node {self._node_id}: no run has begun")
        request = work.request
        known = self._waiters.get(request.id)
        if known is not None and known.work.attempt == work.attempt:
            return known
        now_s = self._advance()
        if known is not None:
            self._state.cancel(request.id, now_s, "aborted", "dispatched again")
            self._settle()
        truth = self._truth.truth(request, work.ask.max_tokens, work.ask.ignore_eos)
        if request.model in self._real:  # nobody knows it yet
            truth = RequestTruth.unknown(len(truth.noise))
        job = Job(request, truth, work.attempt, sent_s=work.sent_s)
        job.resume(work.earlier)
        ended: asyncio.Future[Served] = asyncio.get_running_loop().create_future()
        waiter = Waiter(job, work, ended, reported=job.prompts_done)
        self._waiters[request.id] = waiter
        self._state.submit(work.executor, job, now_s)
        self._settle()
        return waiter

    # -- control ------------------------------------------------------------------------------------------

    async def configure(self, config: NodeConfig) -> Configured:
        """Apply an activation pattern now; what is infeasible or voided is said in the answer."""
        now_s = self._advance()
        before = self._state.targets()
        refused = self._state.configure(config, now_s)
        changes = sum(mode != before[e] for e, mode in self._state.targets().items())
        if changes:
            self._keep(replace(self._kept, config=self._targets()))
        self._settle()
        return Configured(landed_s=now_s, violations=tuple(refused), changes=changes)

    async def inject(self, step: Step) -> float:
        """Apply one step of the event plan in place, while requests run; returns when, in virtual seconds."""
        now_s = self._advance()
        apply(step, self._state, now_s)
        self._keep(replace(self._kept, steps=(*self._kept.steps, step)))
        hints = self._state.view(now_s).hints
        if hints != self._hints:
            self._hints = hints
            self._tell(Hinted(t_s=now_s, node=self._node_id, hints=hints))
        self._settle()
        return now_s

    async def telemetry(self) -> NodeView:
        """What may be known of this node now."""
        view = self._state.view(self._advance())
        self._settle()
        return view

    async def watch(self, run_id: str, version: int, timeout_s: float) -> tuple[int, list[Changed | Hinted]]:
        """News of lifecycle and hints after `version` (0: the state of every executor), waiting up to `timeout_s`
        for some.

        Of another run than the present one there is no news.
        """
        if version > self._version:  # told by the process before this one
            version = 0
        if self._run is not None and self._run.run_id == run_id and version == self._version:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout_s)
            except TimeoutError:
                return version, []
        if self._run is None or self._run.run_id != run_id:
            await asyncio.sleep(min(timeout_s, 0.1))
            return 0, []
        return self._version, [c for v, c in sorted(self._news.values(), key=lambda n: n[0]) if v > version]

    async def block(self, seconds: float) -> None:
        """Stall this actor's event loop (tests)."""
        time.sleep(seconds)

    async def where(self) -> dict[str, Any]:
        """Process and Ray node this actor runs in."""
        return where()

    # -- the state machine's appointments -----------------------------------------------------------------

    def _settle(self) -> None:
        """Let everything due happen, pass on what did, and make the next appointment."""
        self._advance()
        for notice in self._state.take_notices():
            if isinstance(notice, Changed):
                self._on_changed(notice)
            elif isinstance(notice, Started):
                waiter = self._waiters.get(notice.job.request.id)
                if waiter is not None:
                    waiter.started.set()
            elif isinstance(notice, Ended):
                self._on_ended(notice)
            elif isinstance(notice, Returned):
                self._spawn(self._give_back(notice))
        if self._run is not None and self._run.cold:
            self._call_turns()
        if self._real:
            self._repace()
        self._arm()

    def _call_turns(self) -> None:
        """Lifecycle cold: whoever is in service (again) is called, also after an interruption."""
        now_s = self._clock.now_s()
        for request_id, waiter in self._waiters.items():
            if not waiter.started.is_set() and self._state.progress(request_id, now_s) is not None:
                waiter.started.set()

    def _advance(self) -> float:
        """Let everything due happen, and take down which prompts are finished; returns the time.

        Called before anything that may take a job out of service, which would forget when they were.
        """
        now_s = self._clock.now_s()
        found = self._state.milestones(now_s)
        self._next_prompt_s = min((m.next_s for m in found), default=inf)
        for m in found:
            self._note(m.job, m.prompts_done, m.finished_s, m.service_s)
        return now_s

    def _note(self, job: Job, done: int, t_s: float, service_s: float) -> None:
        waiter = self._waiters.get(job.request.id)
        if waiter is None or waiter.job is not job or done <= waiter.reported:
            return
        self._report.note(
            Finished(
                request_id=job.request.id, attempt=job.attempt, executor=waiter.work.executor,
                after=waiter.reported, done=done, t_s=t_s, service_s=service_s, started_s=job.started_s,
                stutter=job.stutter,
            )
        )  # fmt: skip
        waiter.reported = done

    async def _give_back(self, notice: Returned) -> None:
        """The next attempt must not be heard of before this one's progress is written."""
        served = Served(outcome="returned", ended_s=notice.t_s, measured=notice.job.measured(done=False))
        await self._report.try_flush()
        self._finish(notice.job, served)

    def _keep(self, kept: Kept) -> None:
        """Leave with the recorder what a restarted process of this node needs."""
        self._kept = kept
        self._actors.find(RECORDER).checkpoint.remote(runtime_name(self._node_id), kept)

    def _arm(self) -> None:
        next_s = min(self._state.next_s(), self._next_prompt_s)
        if next_s == self._armed_s or not self._clock.started:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_s = None, next_s
        if next_s != inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._clock.wall_until_s(next_s), self._fire)

    def _fire(self) -> None:
        self._timer, self._armed_s = None, inf
        self._settle()

    def _on_ended(self, notice: Ended) -> None:
        job = notice.job
        if notice.outcome == "done":
            self._note(job, job.request.prompts, notice.t_s, job.service_s)
        served = Served(
            outcome=notice.outcome,
            ended_s=notice.deliver_s,
            reason=notice.reason,
            measured=job.measured(notice.outcome == "done"),
        )
        delay_s = self._clock.wall_until_s(notice.deliver_s)
        if delay_s > 0 and notice.deliver_s > notice.t_s:
            asyncio.get_running_loop().call_later(delay_s, self._finish, job, served)
        else:
            self._finish(job, served)

    def _finish(self, job: Job, served: Served) -> None:
        waiter = self._waiters.get(job.request.id)
        if waiter is not None and waiter.job is job:
            del self._waiters[job.request.id]
            waiter.answer(served)

    def _on_changed(self, notice: Changed) -> None:
        self._tell(notice)
        self._batch.add("executor", notice)
        if self._run is None or not self._run.cold or notice.ready_at_s != inf:
            return
        if notice.state in ("starting", "draining", "away"):
            self._asked[notice.executor] += 1
        if notice.state == "starting":
            self._spawn(self._launch(notice.executor, notice.mode))
        elif notice.state in ("draining", "away"):
            self._detach(notice.executor)
            self._spawn(self._halt(notice.executor, notice.mode))

    def _tell(self, notice: Changed | Hinted) -> None:
        self._version += 1
        about = notice.executor if isinstance(notice, Changed) else f"hints of {notice.node}"
        self._news[about] = (self._version, notice)
        self._changed.set()

    # -- lifecycle cold: processes really start and stop ----------------------------------------------------

    async def _launch(self, executor: str, mode: Mode) -> None:
        """Start the process behind an executor; one that does not start is off again, until told otherwise."""
        asked = self._asked[executor]
        await self._begun.wait()
        await asyncio.sleep(self._clock.wall_until_s(0.0))
        if asked != self._asked[executor]:
            return  # told otherwise while it waited
        model = self._model_of(executor)
        change = await change_process("start", self._node_id, model, mode, self._clock, self._batch)
        if asked == self._asked[executor]:
            if change.ok:
                self._state.mark_ready(executor, self._advance())
            else:
                self._state.configure(self._targets({executor: "off"}), self._advance())
            self._settle()

    async def _halt(self, executor: str, mode: Mode) -> None:
        """Stop it. Also if that fails, the executor goes on: the next start replaces what is left."""
        model = self._model_of(executor)
        await change_process("stop", self._node_id, model, mode, self._clock, self._batch)
        self._state.mark_stopped(executor, self._advance())
        self._settle()

    def _targets(self, changed: Mapping[str, Mode] = MappingProxyType({})) -> NodeConfig:
        """What the executors were last told to be, but for those changed."""
        told = self._state.targets() | dict(changed)
        return NodeConfig(self._node_id, {self._model_of(e): mode for e, mode in told.items()})

    def _detach(self, executor: str) -> None:
        """Its process is about to stop: whoever waits through it must ask again."""
        for waiter in self._waiters.values():
            if waiter.job.executor != executor:
                continue
            waiter.started.clear()
            if waiter.attached:
                waiter.answer(Served(outcome="detached", ended_s=self._clock.now_s()))
                waiter.ended, waiter.attached = asyncio.get_running_loop().create_future(), False

    def _model_of(self, executor: str) -> str:
        return next(e.models[0] for e in self._testbed.executors() if e.id == executor)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
