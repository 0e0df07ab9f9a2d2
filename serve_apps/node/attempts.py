"""The attempts at requests on one node in one run: the shared state machines on wall time, and a future for each.

`NodeState` owns queue, service, sharing, lifecycle and condition; it processes what is due at its exact virtual
time, so a timer that fires late shifts no state. What is here keeps the appointment and tells those who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from math import inf
from typing import Any

from emulation.domain.cluster import Mode
from emulation.domain.request import Outcome
from emulation.domain.truth import RequestTruth
from emulation.executor import Changed, Ended, Job, NodeState, Returned
from serve_apps.node.waiters import Waiter, produced
from serve_apps.records.progress import ProgressReport
from serve_apps.replica.choice import real_models
from serve_apps.replica.content import kept_tokens
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Came, Finished, Left, NodeRun, Served, Work
from workloads.truth_table import TruthTable


class Attempts:
    """Everybody who waits for something at one node, and what they wait for."""

    def __init__(
        self,
        run: NodeRun,
        node_id: str,
        clock: LiveClock,
        report: ProgressReport,
        changed: Callable[[Changed], None],
        traffic: Callable[[Came | Left], None] = lambda item: None,
    ) -> None:
        """`report`: where finished prompts go. `changed`: hears of every change of an executor; `traffic`: of every
        attempt that comes and goes."""
        self.clock = clock
        self.begun = asyncio.Event()
        """Set once virtual time has begun."""
        self.models = {e.id: e.models[0] for e in run.scenario.testbed.executors_of(node_id)}
        """Executor to the model it is configured by."""
        self._real = real_models(run.scenario.testbed, node_id, run.backend)
        self.state = NodeState(run.scenario.testbed, node_id, run.truth, run.cold, self._real)
        self._truth = TruthTable(run.scenario, run.seed)
        self._cold, self._report, self._changed, self._traffic = run.cold, report, changed, traffic
        self._waiters: dict[str, Waiter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = self._next_prompt_s = inf

    def start(self, t0_wall: float) -> None:
        """Virtual time begins at this wall time."""
        self.clock.start(t0_wall)
        self.begun.set()
        self._armed_s = inf
        self.settle()

    def close(self) -> None:
        """The run is over: whoever waits is told, and nothing happens here any more."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        for waiter in self._waiters.values():
            waiter.answer(Served(outcome="aborted", ended_s=self.clock.now_s(), reason="the run ended"))
        self._waiters.clear()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have this done beside everything else, until the run is over."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- work ---------------------------------------------------------------------------------------------

    def waiter(self, work: Work) -> Waiter:
        """The waiter of this attempt, queued now if it is new. An earlier attempt at the request ends as aborted."""
        request = work.request
        known = self._waiters.get(request.id)
        if known is not None and known.work.attempt == work.attempt:
            return known
        if known is not None:
            self.cancel(request.id, "dispatched again")
            known.answer(Served(outcome="aborted", ended_s=self.clock.now_s(), reason="dispatched again"))
        now_s = self.advance()
        ask = work.ask
        truth = self._truth.truth(request, ask.max_tokens, ask.ignore_eos, ask.min_tokens)
        if request.model in self._real:  # nobody knows it yet
            truth = RequestTruth.unknown(len(truth.noise))
        elif ask.sampling.stop:
            truth = replace(truth, output_tokens=kept_tokens(work, truth.output_tokens))
        job = Job(request, truth, work.attempt, sent_s=work.sent_s)
        job.resume(work.earlier)
        ended: asyncio.Future[Served] = asyncio.get_running_loop().create_future()
        waiter = Waiter(job, work, ended, reported=job.prompts_done)
        self._waiters[request.id] = waiter
        self._traffic(_came(waiter))
        self.state.submit(work.executor, job, now_s)
        self.settle()
        return waiter

    def standing(self) -> list[Came]:
        """Every attempt that is here."""
        return [_came(waiter) for waiter in self._waiters.values()]

    def present(self, request_id: str, attempt: int) -> Waiter | None:
        """Whoever waits for this attempt; None if it is over, or another one has taken its place."""
        waiter = self._waiters.get(request_id)
        return waiter if waiter is not None and waiter.work.attempt == attempt else None

    def cancel(
        self, request_id: str, reason: str, attempt: int | None = None, outcome: Outcome = "aborted"
    ) -> bool:
        """End a request wherever it is on this node; False if it is not here, or this attempt (None: any) is over."""
        if attempt is not None and self.present(request_id, attempt) is None:
            return False
        found = self.state.cancel(request_id, self.advance(), outcome, reason)
        self.settle()
        return found

    def produced(self, waiter: Waiter) -> tuple[int, int]:
        """Tokens of an emulated answer so far and in all."""
        done = self.state.progress(waiter.job.request.id, self.advance())
        return produced(self.state.testbed, self.state.id, waiter, done)

    def detach(self, executor: str) -> None:
        """Its process is about to stop: whoever waits through it must ask again."""
        for waiter in self._waiters.values():
            if waiter.job.executor == executor:
                waiter.detach(self.clock.now_s())

    def told(self) -> dict[str, Mode]:
        """What the models of this node were last told to be."""
        return {self.models[executor]: mode for executor, mode in self.state.targets().items()}

    # -- the state machine's appointments -----------------------------------------------------------------

    def advance(self) -> float:
        """Let everything due happen, and take down which prompts are finished; returns the time.

        Called before anything that may take a job out of service, which would forget when they were.
        """
        now_s = self.clock.now_s()
        found = self.state.milestones(now_s)
        self._next_prompt_s = min((m.next_s for m in found), default=inf)
        for m in found:
            self._note(m.job, m.prompts_done, m.finished_s, m.service_s)
        return now_s

    def settle(self) -> None:
        """Let everything due happen, pass on what did, and make the next appointment."""
        now_s = self.advance()
        for notice in self.state.take_notices():
            if isinstance(notice, Changed):
                self._changed(notice)
            elif isinstance(notice, Ended):
                self._on_ended(notice)
            elif isinstance(notice, Returned):
                self.spawn(self._give_back(notice))
            elif (waiter := self._waiters.get(notice.job.request.id)) is not None:
                waiter.started.set()
        if self._cold or self._real:
            self._tell_replicas(now_s)
        self._arm()

    def _tell_replicas(self, now_s: float) -> None:
        """Something happened: pace may have changed, and what was interrupted may be in service again."""
        for request_id, waiter in self._waiters.items():
            waiter.repaced.set()
            if self._cold and self.state.progress(request_id, now_s) is not None:
                waiter.started.set()

    def _arm(self) -> None:
        next_s = min(self.state.next_s(), self._next_prompt_s)
        if next_s == self._armed_s or not self.clock.started:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = next_s
        self._timer = None if next_s == inf else self.clock.call_at(next_s, self._fire)

    def _fire(self) -> None:
        self._timer, self._armed_s = None, inf
        self.settle()

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
        """The next attempt must not be heard of before this one's progress is written, nor before it is known to be
        lost."""
        served = Served(outcome="returned", ended_s=notice.t_s, measured=notice.job.measured(done=False))
        await self._report.try_flush()
        await asyncio.sleep(self.clock.wall_until_s(notice.t_s))
        self._finish(notice.job, served)

    def _on_ended(self, notice: Ended) -> None:
        job, done = notice.job, notice.outcome == "done"
        if done:
            self._note(job, job.request.prompts, notice.t_s, job.service_s)
        served = Served(
            outcome=notice.outcome, ended_s=notice.deliver_s, reason=notice.reason, measured=job.measured(done)
        )  # fmt: skip
        if notice.deliver_s > self.clock.now_s():
            self.clock.call_at(notice.deliver_s, self._finish, job, served)
        else:
            self._finish(job, served)

    def _finish(self, job: Job, served: Served) -> None:
        waiter = self._waiters.get(job.request.id)
        if waiter is not None and waiter.job is job:
            del self._waiters[job.request.id]
            self._traffic(Left(request_id=job.request.id, gateway=waiter.work.gateway, served=served))
            waiter.answer(served)


def _came(waiter: Waiter) -> Came:
    work = waiter.work
    return Came(request=work.request, executor=work.executor, gateway=work.gateway)
