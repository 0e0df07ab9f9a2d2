"""The walk of one request behind HTTP: route in-process, one call to the replica, feedback, record.

Stall-proof by construction: the fast path needs no other actor to decide, every call has a timeout, and
records
leave in batches. A request that is given back is routed again; one that is held waits for something to
change.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from emulation.domain.actions import RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion, FastPath
from emulation.domain.request import Outcome, Request
from emulation.executor import Changed
from serve_apps.gateway.replicas import Replicas
from serve_apps.records.batch import RecordBatch
from serve_apps.replica.choice import class_of
from serve_apps.wire.ask import Ask
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Answer, Delta, GatewayRun, Piece, Served, Timing, Work
from serve_apps.wire.names import RECORDER, Phonebook, app_name, runtime_name

log = logging.getLogger("edgebed")

ATTEMPTS = 8
"""Dispatches of one request before it is given up as an error."""
CALL_MARGIN_S = 10.0
"""Wall seconds beyond a request's deadline before a replica's silence counts as an error."""
LONGEST_CALL_S = 3600.0
HELD_LOOK_S = 1.0
"""Wall seconds after which a held request is looked at again even if nothing was heard."""
AGAIN_LOOK_S = 0.05
"""Wall seconds to wait for news of a node that has just given the request back, before it is tried there
again."""


class Refused(Exception):
    """A request that ended otherwise than done; `outcome` says how."""

    def __init__(
        self, outcome: Outcome, reason: str, retry_after_s: float = 1.0, fault: str | None = None
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.retry_after_s = retry_after_s
        self.fault = fault
        """Field of the request that no model could serve: the client's mistake."""


@dataclass(slots=True)
class Flight:
    """A request in the gateway, from arrival to end."""

    request: Request
    ask: Ask
    sent_s: float
    attempt: int = 1
    earlier: Measured = Measured()
    decision: RoutingDecision | None = None
    work: Work | None = None
    served: Served | None = None
    kept: tuple[Piece, ...] = ()
    """Choices that real models have finished."""
    timing: Timing | None = None
    fault: str | None = None
    sent_tokens: int = 0
    patience: asyncio.Timeout | None = None
    """How long the present call may take; cut short when its node is lost."""

    def take(self, answer: Answer) -> None:
        """What a real model says beside its answer: choices to keep for another attempt, times, a client's mistake."""
        self.kept = answer.kept or self.kept
        self.timing, self.fault = answer.timing, answer.fault


class Dispatcher:
    """One run in one gateway process: its fast path, its flights, its handles to the replicas."""

    def __init__(
        self,
        run: GatewayRun,
        fast_path: FastPath,
        clock: LiveClock,
        batch: RecordBatch,
        replicas: Replicas,
        actors: Phonebook,
    ) -> None:
        self.run = run
        self.clock = clock
        self.fast_path = fast_path
        self.flights: dict[str, Flight] = {}
        self.ends: dict[tuple[str, str], int] = {}
        """(model, outcome) to requests ended here."""
        self.latency_sum_s: dict[str, float] = {}
        self._batch = batch
        self._replicas = replicas
        self._actors = actors
        self._node_of = {e.id: e.node for e in run.testbed.executors()}
        self._away: set[str] = set()
        self.lost: set[str] = set()
        """Nodes that did not answer, until they are heard of again."""
        self._news = asyncio.Event()
        self._readers = {
            (node.id, model)
            for node in run.testbed.nodes
            for model in run.testbed.hosted(node.id)
            if class_of(run.testbed, node.id, model, run.backend).reads_inputs
        }
        """(node, model) whose backends want the prompts themselves."""

    # -- what the fast path is told --------------------------------------------------------------------

    def executor_changed(self, news: Changed) -> None:
        """Lifecycle of an executor; whoever is held looks again."""
        (self._away.add if news.state == "away" else self._away.discard)(news.executor)
        self.fast_path.executor_changed(news.executor, news.state, news.mode, news.ready_at_s)
        self.wake()

    def node_lost(self, node_id: str) -> None:
        """A node does not answer: nothing is sent there until it does, and what is there is dispatched again."""
        self.lost.add(node_id)
        for executor, node in self._node_of.items():
            if node == node_id and executor not in self._away:
                self.executor_changed(Changed(self.clock.now_s(), executor, "away", "off", inf))
        now = asyncio.get_running_loop().time()
        for flight in self.flights.values():
            patience, work = flight.patience, flight.work if flight.served is None else None
            if work is None or patience is None or self._node_of[work.executor] != node_id:
                continue
            if not patience.expired():
                patience.reschedule(now)  # a call to a node that is gone would hang

    def wake(self) -> None:
        """Something changed: held requests are routed again."""
        self._news.set()
        self._news = asyncio.Event()

    def restore(self, checkpoint: tuple[Any, list[tuple[Request, str]]]) -> None:
        """Take over the learned state of a predecessor; what it had in flight is lost, and forgotten."""
        self.fast_path, in_flight = checkpoint
        for request, executor in in_flight:
            self._feed_back(request, executor, "error", Measured())

    def checkpoint(self) -> tuple[Any, list[tuple[Request, str]]]:
        """Learned state, and what is in flight in its books."""
        flying = [(f.request, f.work.executor) for f in self.flights.values() if f.work and f.served is None]
        return self.fast_path, flying

    # -- one request -----------------------------------------------------------------------------------

    async def answer(self, request: Request, ask: Ask) -> Answer:
        """Serve a request to its end. Raises `Refused` if it does not end well."""
        flight = self._arrive(request, ask)
        try:
            work = await self._choose(flight)
            while True:
                answer = await self._call(flight, work)
                flight.take(answer)
                if answer.served.outcome == "detached":
                    work = replace(work, kept=flight.kept)
                    continue
                if self._over(flight, answer.served):
                    return answer
                work = await self._choose(flight)
        finally:
            self._leave(flight)

    async def stream(self, request: Request, ask: Ask) -> AsyncIterator[Delta | Answer]:
        """Like `answer`, its text on the way, the `Answer` last. A second attempt goes on where the first
        stopped."""
        flight = self._arrive(request, ask)
        try:
            work = await self._choose(flight)
            while True:
                skip, answer = flight.sent_tokens, None
                async for item in self._call_stream(flight, work):
                    if isinstance(item, Answer):
                        answer = item
                    elif skip >= item.tokens:
                        skip -= item.tokens
                    else:
                        yield replace(item, text=after(item.text, skip), tokens=item.tokens - skip)
                        flight.sent_tokens += item.tokens - skip
                        skip = 0
                if answer is not None:
                    flight.take(answer)
                if answer is None or answer.served.outcome == "detached":
                    work = replace(work, kept=flight.kept)
                    continue
                if self._over(flight, answer.served):
                    yield answer
                    return
                work = await self._choose(flight)
        finally:
            self._leave(flight)

    def _arrive(self, request: Request, ask: Ask) -> Flight:
        flight = Flight(request, ask, self.clock.now_s())
        self.flights[request.id] = flight
        self._batch.add("arrive", request)
        return flight

    async def _choose(self, flight: Flight) -> Work:
        """Route, holding while the fast path says so. Raises `Refused`."""
        request = flight.request
        while True:
            now_s = self.clock.now_s()
            if now_s >= request.deadline_s:
                raise self._end(flight, "expired", "deadline passed while held")
            decision = self.fast_path.route(request, now_s)
            self._batch.add("route", request, decision, now_s)
            if decision.action == "reject":
                raise self._end(flight, "rejected", decision.reason)
            if decision.action == "no_host":
                raise self._end(flight, "no_host", decision.reason)
            executor = decision.executor
            if executor is None or executor not in self._node_of or executor in self._away:
                await self._hold(request, HELD_LOOK_S)
            elif (
                flight.attempt > 1
                and flight.served is not None
                and flight.work is not None
                and self._node_of[executor] == self._node_of[flight.work.executor]
            ):
                flight.served = None
                await self._hold(request, AGAIN_LOOK_S)
            else:
                break
        self.fast_path.dispatched(request, decision, now_s)
        flight.decision, flight.served = decision, None
        work = Work(
            request=request, ask=flight.ask, executor=executor, attempt=flight.attempt, sent_s=flight.sent_s,
            dispatched_s=now_s, earlier=flight.earlier, kept=flight.kept,
        )  # fmt: skip
        reads = (self._node_of[executor], request.model) in self._readers
        flight.work = work if reads else work.slim()
        return flight.work

    async def _hold(self, request: Request, limit_s: float) -> None:
        if request.deadline_s != inf:
            limit_s = min(limit_s, self.clock.wall_until_s(request.deadline_s))
        try:
            await asyncio.wait_for(self._news.wait(), limit_s)
        except TimeoutError:
            return

    async def _call(self, flight: Flight, work: Work) -> Answer:
        try:
            async with self._patiently(flight):
                if self.run.cold and (early := await self._turn(work)) is not None:
                    return Answer(served=early)
                answer: Answer = await self._handle(work, "serve").remote(work)
                return answer
        except asyncio.CancelledError:
            self._give_up(flight, work)
            raise
        except (RayError, RayServeException, TimeoutError) as error:
            return await self._lost(work, error)

    async def _call_stream(self, flight: Flight, work: Work) -> AsyncIterator[Delta | Answer]:
        finished = False
        try:
            async with self._patiently(flight):
                early = await self._turn(work) if self.run.cold else None
                if early is None:
                    async for item in self._handle(work, "stream").remote(work):
                        finished = isinstance(item, Answer)
                        yield item
                else:
                    finished = True
                    yield Answer(served=early)
        except (RayError, RayServeException, TimeoutError) as error:
            finished = True
            yield await self._lost(work, error)
        finally:
            if not finished:
                self._give_up(flight, work)

    async def _turn(self, work: Work) -> Served | None:
        """Lifecycle cold: wait in the node's queue first, so that a replica is only called when it is up."""
        early: Served | None = await self._runtime(work.executor).turn.remote(work.slim())
        return early

    async def _lost(self, work: Work, error: Exception) -> Answer:
        """A replica that broke: its node forgets the attempt, another one is made."""
        log.warning("%s: attempt %d at %s: %s", work.request.id, work.attempt, work.executor, error)
        forget = self._runtime(work.executor).cancel.remote(work.request.id, "its replica was lost")
        if not await self._answers(forget):
            self.node_lost(self._node_of[work.executor])
        await asyncio.sleep(min(0.2 * work.attempt, 1.0))
        outcome: Any = "returned" if work.attempt < ATTEMPTS else "error"
        reason, now_s = f"replica lost: {type(error).__name__}", self.clock.now_s()
        measured = _attempt(work, await self._finished_of(work))
        return Answer(served=Served(outcome=outcome, ended_s=now_s, reason=reason, measured=measured))

    async def _finished_of(self, work: Work) -> Measured:
        """What is known to be finished of a request whose attempt broke; reports of that attempt end here."""
        call = self._actors.find(RECORDER).take_over.remote(
            self.run.run_id, work.request.id, work.attempt + 1
        )
        try:
            found: Measured = await asyncio.wait_for(asyncio.ensure_future(call), 2.0)
        except (RayError, TimeoutError) as error:
            log.warning("%s: its progress record is not reached: %s", work.request.id, error)
            return work.earlier
        return max(found, work.earlier, key=lambda m: m.prompts_done)

    def _over(self, flight: Flight, served: Served) -> bool:
        """Feed back and record an attempt; False if another one must follow. Raises `Refused`."""
        work = flight.work
        assert work is not None
        flight.served = served
        assert served.outcome != "detached"
        outcome: Outcome = "node_lost" if served.outcome == "returned" else served.outcome
        self._feed_back(flight.request, work.executor, outcome, served.measured)
        if served.outcome == "returned":
            flight.attempt += 1
            flight.earlier = served.measured
            return False
        refused = self._end(flight, served.outcome, served.reason)
        if served.outcome != "done":
            raise refused
        return True

    def _feed_back(self, request: Request, executor: str, outcome: Outcome, measured: Measured) -> None:
        self.fast_path.completed(Completion(request, executor, outcome, self.clock.now_s(), measured))

    # -- the end ---------------------------------------------------------------------------------------

    def _give_up(self, flight: Flight, work: Work) -> None:
        """The client is gone: so is the work."""
        self._runtime(work.executor).cancel.remote(work.request.id)
        self._feed_back(flight.request, work.executor, "aborted", Measured())

    def _leave(self, flight: Flight) -> None:
        """Whatever happened: a flight that did not end any other way was given up by its client."""
        if self.flights.get(flight.request.id) is flight:
            self._end(flight, "aborted", "the client gave up")

    def _end(self, flight: Flight, outcome: Outcome, reason: str) -> Refused:
        """Close the flight and record it. Returns the `Refused` to raise unless it is done."""
        now_s = self.clock.now_s()
        request, served = flight.request, flight.served
        self.flights.pop(request.id, None)
        key = (request.model, outcome)
        self.ends[key] = self.ends.get(key, 0) + 1
        if outcome == "done":
            total_s = self.latency_sum_s.get(request.model, 0.0)
            self.latency_sum_s[request.model] = total_s + now_s - request.arrival_s
        at_node = served is not None and served.outcome == outcome
        ended_s = served.ended_s if served is not None and at_node else now_s
        measured = (
            None
            if flight.work is None
            else _attempt(flight.work, None if served is None else served.measured)
        )
        side: dict[str, Any] = {"wall": time.time(), "request_id": request.id, "sent_s": flight.sent_s}
        side["heard_s"] = side["answered_s"] = now_s
        if measured is not None and outcome == "done":
            before_s = max(0.0, (measured.dispatched_s or 0.0) - flight.sent_s)
            side["platform_overhead_s"] = (before_s + max(0.0, now_s - ended_s)) / self.run.speedup
        if flight.timing is not None:
            side["prefill_s"], side["decode_s"] = flight.timing.prefill_s, flight.timing.decode_s
        self._batch.add("end", request, outcome, ended_s, measured, flight.decision, reason, side)
        return Refused(outcome, reason or outcome, fault=flight.fault)

    # -- handles ---------------------------------------------------------------------------------------

    def _handle(self, work: Work, method: Literal["serve", "stream"]) -> Any:
        return self._replicas.handle(app_name(self._node_of[work.executor], work.request.model), method)

    def _runtime(self, executor: str) -> Any:
        return self._actors.find(runtime_name(self._node_of[executor]))

    @asynccontextmanager
    async def _patiently(self, flight: Flight) -> AsyncIterator[None]:
        """Raises `TimeoutError` when the request's patience ends; `node_lost` may end it early, but only in here."""
        async with asyncio.timeout(self._patience_s(flight.request)) as flight.patience:
            try:
                yield
            finally:
                flight.patience = None

    def _patience_s(self, request: Request) -> float:
        if request.deadline_s == inf:
            return LONGEST_CALL_S
        return self.clock.wall_until_s(request.deadline_s) + CALL_MARGIN_S

    async def _answers(self, call: Awaitable[Any]) -> bool:
        """Whether a call to a node runtime comes back soon."""
        try:
            await asyncio.wait_for(asyncio.ensure_future(call), 2.0)
        except (RayError, TimeoutError) as error:
            log.warning("node runtime: %s", error)
            return False
        return True


def _attempt(work: Work, measured: Measured | None) -> Measured:
    """What is known of an attempt: by its node if that said anything of it, else by its gateway."""
    if measured is not None and measured.executor is not None:
        return measured
    return replace(
        measured or work.earlier, attempt=work.attempt, executor=work.executor, sent_s=work.sent_s,
        dispatched_s=work.dispatched_s,
    )  # fmt: skip


def after(text: str, tokens: int) -> str:
    """What follows the first `tokens` words, the blank before it included."""
    for _ in range(tokens):
        start = len(text) - len(text.lstrip())
        blank = text.find(" ", start)
        text = "" if blank < 0 else text[blank:]
    return text
