"""The walk of one request behind HTTP: route in-process, one call to the replica, feedback, record.

Stall-proof by construction: the fast path needs no other actor to decide, every call has a limit, and records leave in
batches. A request that is given back is routed again; one that is held waits for something to change. Knows no Ray:
actors are reached through `Calls`, replicas through `Replicas`. One attempt is told in `attempt_calls.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from math import inf
from typing import Any

from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.holds import Holds
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion, FastPath
from emulation.domain.request import Outcome, Request
from emulation.executor import Changed
from serve_apps.gateway.attempt_calls import AttemptCalls
from serve_apps.gateway.flight import Flight, Refused, Told, attempt_of, over
from serve_apps.gateway.links import Links
from serve_apps.gateway.names import Names
from serve_apps.gateway.replicas import Replicas
from serve_apps.gateway.shadows import Shadows
from serve_apps.observe.metrics import OTHER
from serve_apps.observe.requests import RequestCounts, Stream
from serve_apps.records.batch import RecordBatch
from serve_apps.replica.choice import class_of
from serve_apps.wire.ask import Ask
from serve_apps.wire.calls import Calls
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Answer, GatewayRun, Items, Served, Work

log = logging.getLogger("edgebed")

HELD_LOOK_S = 1.0
"""Wall seconds after which a held request is looked at again even if nothing was heard."""
REFUSALS: Mapping[str, Outcome] = {"reject": "rejected", "no_host": "no_host"}
"""What the fast path decided, to the end of a request that is not dispatched for it."""
AGAIN_LOOK_S = 0.05
"""Wall seconds to wait for news of a node that has just given the request back, before it is tried there again."""


class Dispatcher:
    """One run in one gateway process: its fast path, its flights, its calls to nodes and replicas."""

    def __init__(
        self,
        run: GatewayRun,
        fast_path: FastPath,
        clock: LiveClock,
        batch: RecordBatch,
        replicas: Replicas,
        calls: Calls,
        follow_anew: Callable[[str], None] = lambda node_id: None,
    ) -> None:
        """`follow_anew` is told of a node that was lost: the state of its executors must be heard again."""
        self.run = run
        self.clock = clock
        self.fast_path = fast_path
        self.names = Names()
        self.flights: dict[str, Flight] = {}
        self.counts = RequestCounts(run.scheme, (m.id for m in run.testbed.models))
        self.heard_s: dict[str, float] = {}
        """`plan` and `guide` to when the one in force was heard."""
        self.links: Links | None = None
        """Ways to nodes on other machines; None: all are on this one."""
        self.shadows = Shadows(calls)
        self.records = batch
        """On their way to the recorder."""
        self._holds = Holds()
        self._follow_anew = follow_anew
        self._node_of = {e.id: e.node for e in run.testbed.executors()}
        self._attempts = AttemptCalls(
            run, clock, replicas, calls, self._node_of, self.node_lost, self._give_up
        )
        self._away: set[str] = set()
        self._sealed = False
        """Whether nobody is answered any more."""
        self._news = asyncio.Event()
        self._readers = {
            (node.id, model)
            for node in run.testbed.nodes
            for model in run.testbed.hosted(node.id)
            if class_of(run.testbed, node.id, model, run.backend).reads_inputs
        }
        """(node, model) whose backends want the prompts themselves."""

    # -- what is heard from elsewhere --------------------------------------------------------------------

    def executor_changed(self, news: Changed) -> None:
        """Lifecycle of an executor; whoever is held looks again."""
        (self._away.add if news.state == "away" else self._away.discard)(news.executor)
        now_s = self.clock.now_s()
        said = (news.executor, news.state, news.mode, news.ready_at_s, now_s)
        self.fast_path.executor_changed(*said)
        self.shadows.hear(lambda path: path.executor_changed(*said))
        self.wake()

    def commanded(self, command: MacroPolicy | RouteGuide) -> None:
        """The planner's policy or the scheduler's guide is in force from now on."""
        if isinstance(command, MacroPolicy):
            self.heard_s["plan"] = self.clock.now_s()
            self.fast_path.policy(command)
        else:
            self.heard_s["guide"] = self.clock.now_s()
            self.fast_path.guide(command)
        self.wake()

    def switch(self, run: GatewayRun, fast_path: FastPath) -> None:
        """Another scheme decides from now on; what is in flight goes on where it is."""
        fast_path.take_over(self.fast_path)
        self.run, self.fast_path = run, fast_path
        self.counts = self.counts.under(run.scheme)
        self.heard_s.clear()
        self.wake()

    def node_lost(self, node_id: str) -> None:
        """A node does not answer: nothing is sent there until it is heard of, and what is there is dispatched again."""
        self._follow_anew(node_id)
        for executor, node in self._node_of.items():
            if node == node_id and executor not in self._away:
                self.executor_changed(Changed(self.clock.now_s(), executor, "away", "off", inf))
        for flight in self.flights.values():
            if flight.work is not None and self._node_of[flight.work.executor] == node_id:
                flight.hurry()  # a call to a node that is gone would hang

    def wake(self) -> None:
        """Something changed: held requests are routed again."""
        self._news.set()
        self._news = asyncio.Event()

    def seal(self) -> None:
        """The books of this run are about to be closed: whoever is still in flight is refused, and unfinished there.

        What was answered before is among the records; nothing is answered after.
        """
        self._sealed = True
        for flight in self.flights.values():
            flight.dismiss()
        self.wake()
        self.records.seal()

    def restore(self, checkpoint: tuple[Any, list[tuple[Request, str]], int]) -> None:
        """Take over the learned state of a predecessor; what it had in flight is lost, and forgotten.

        It may be of a scheme that went out since (its switch is another one).
        """
        fast_path, in_flight, switch = checkpoint
        if switch == self.run.switch:
            self.fast_path = fast_path
        else:
            self.fast_path.take_over(fast_path)
        for request, executor in in_flight:
            self._feed_back(request, executor, "error", Measured())

    def checkpoint(self) -> tuple[Any, list[tuple[Request, str]], int]:
        """Learned state, what is in flight in its books, and the number of the switch that brought its scheme in."""
        in_flight = [(f.request, f.work.executor) for f in self.flights.values() if f.work]
        return self.fast_path, in_flight, self.run.switch

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """A request was sent, by this gateway or another."""
        self.fast_path.dispatched(request, decision, now_s)
        self.shadows.dispatched(request, decision, now_s)

    def completed(self, completion: Completion) -> None:
        """A request that was sent, by this gateway or another, is over."""
        self.fast_path.completed(completion)
        self.shadows.hear(lambda path: path.completed(completion))

    # -- one request -----------------------------------------------------------------------------------

    async def answer(self, request: Request, ask: Ask, shadow: str | None = None) -> Answer:
        """Serve a request to its end. `shadow`: scheme whose decision is recorded too. Raises `Refused` if it does not
        end well."""
        with self._flight(request, ask, shadow) as flight:
            work: Work | None = await self._choose(flight)
            while work is not None:
                answer = await self._attempts.whole(flight, work)
                work = await self._next(flight, work, answer)
            return answer

    async def stream(self, request: Request, ask: Ask, shadow: str | None = None) -> AsyncGenerator[Items]:
        """Like `answer`, its text on the way, the `Answer` last. A second attempt goes on where the first stopped."""
        with self._flight(request, ask, shadow) as flight:
            work: Work | None = await self._choose(flight)
            while work is not None:
                told = Told(flight)
                async with aclosing(self._attempts.stream(flight, work)) as parts:
                    async for items in parts:
                        if isinstance(items[-1], Answer):
                            answer = items[-1]
                        if deltas := told.new_of(items):
                            if flight.first_s is None:
                                flight.first_s = self.clock.now_s()
                            yield deltas
                work = await self._next(flight, work, answer)
            yield (answer,)

    @contextmanager
    def _flight(self, request: Request, ask: Ask, shadow: str | None) -> Iterator[Flight]:
        """A request is here; one that leaves without an end was given up by its client."""
        if self._sealed:
            raise over()
        flight = self.flights[request.id] = Flight(request, ask, self.clock.now_s(), shadow=shadow)
        self.records.add("arrive", request)
        try:
            yield flight
        finally:
            if self.flights.get(request.id) is flight:
                self._end(flight, "aborted", "the client gave up")

    async def _choose(self, flight: Flight) -> Work:
        """Route, holding while the fast path says so. Raises `Refused`."""
        request = flight.request
        while True:
            if self._sealed:
                raise over()
            now_s = self.clock.now_s()
            if now_s >= request.deadline_s:
                raise self._end(flight, "expired", "deadline passed while held")
            decision = self.fast_path.route(request, now_s)
            if flight.shadow is not None:
                self.records.add("audit", self.shadows.decide(flight.shadow, request, now_s))
                flight.shadow = None
            again_s = None if decision.again_s is None else decision.again_s / self.run.speedup
            executor, node = decision.executor, self._node_of.get(decision.executor or "")
            if decision.action in REFUSALS:
                self.records.add("route", request, decision, now_s)
                refused = self._end(flight, REFUSALS[decision.action], decision.reason)
                raise refused.after(HELD_LOOK_S if decision.action == "no_host" else again_s)
            if executor is None or node is None or executor in self._away:
                await self._hold(
                    request, decision, HELD_LOOK_S if again_s is None else min(again_s, HELD_LOOK_S)
                )
            elif node == flight.avoided:
                flight.avoided = None
                await self._hold(request, decision, AGAIN_LOOK_S)
            else:
                break
        self._holds.over(request.id)
        self.records.add("route", request, decision, now_s)
        self.dispatched(request, decision, now_s)
        reads = (node, request.model) in self._readers
        flight.decision, flight.avoided = decision, None
        flight.work = Work(
            request=request,
            ask=flight.ask if reads else flight.ask.slim(),
            executor=executor,
            attempt=flight.attempt,
            sent_s=flight.sent_s,
            dispatched_s=now_s,
            earlier=flight.measured or Measured(),
            kept=flight.kept if reads else (),
            gateway=self.names.gateway,
        )
        return flight.work

    async def _hold(self, request: Request, decision: RoutingDecision, limit_s: float) -> None:
        if self._holds.is_new(request.id, decision):
            self.records.add("route", request, decision, self.clock.now_s())
        if request.deadline_s != inf:
            limit_s = min(limit_s, self.clock.wall_until_s(request.deadline_s))
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            return

    async def _next(self, flight: Flight, work: Work, answer: Answer) -> Work | None:
        """What follows an attempt: None if its request is done, else the next one. Raises `Refused`."""
        flight.take(answer)
        served = self._seen_from_here(work, answer.served)
        if served.outcome == "detached":
            return replace(work, kept=flight.kept)
        measured = attempt_of(work, served.measured)
        flight.over(measured)
        if served.outcome == "returned":
            self._feed_back(flight.request, work.executor, "node_lost", measured)
            flight.attempt, flight.avoided = flight.attempt + 1, self._node_of[work.executor]
            return await self._choose(flight)
        self._feed_back(flight.request, work.executor, served.outcome, measured)
        refused = self._end(flight, served.outcome, served.reason, served.ended_s)
        if served.outcome != "done" or self._sealed:
            raise refused
        return None

    def _seen_from_here(self, work: Work, served: Served) -> Served:
        """What a node said of an attempt, with the way there and back; what this gateway knows by itself stays."""
        if self.links is None or served.measured.enqueued_s is None:
            return served
        return self.links.travelled(self._node_of[work.executor], served)

    # -- the end ---------------------------------------------------------------------------------------

    def _give_up(self, flight: Flight, work: Work) -> None:
        self._feed_back(flight.request, work.executor, "aborted", attempt_of(work))

    def _feed_back(self, request: Request, executor: str, outcome: Outcome, measured: Measured) -> None:
        self.completed(Completion(request, executor, outcome, self.clock.now_s(), measured))

    def _end(self, flight: Flight, outcome: Outcome, reason: str, ended_s: float | None = None) -> Refused:
        """Close the flight and record it; `ended_s`: by its node. Returns the `Refused` to raise unless it is done.

        Once nobody is answered any more nothing is recorded, and that is to be raised whatever the outcome.
        """
        now_s = self.clock.now_s()
        request, measured = flight.request, flight.last_attempt()
        self.flights.pop(request.id, None)
        self._holds.over(request.id)
        if self._sealed:
            self.counts.ended(request, "aborted")
            return over()
        self.counts.ended(request, outcome)
        side: dict[str, Any] = {"wall": time.time(), "request_id": request.id, "sent_s": flight.sent_s}
        side["heard_s"] = side["answered_s"] = now_s
        when_s = now_s if ended_s is None else ended_s
        if outcome == "done" and measured is not None and measured.attempt == 1:
            before_s = max(0.0, (measured.dispatched_s or 0.0) - flight.sent_s)
            side["platform_overhead_s"] = (before_s + max(0.0, now_s - when_s)) / self.run.speedup
        if outcome == "done" and measured is not None:
            if self.links is not None and measured.executor in self._node_of:
                side["network_s"] = self.links.network_s(self._node_of[measured.executor])
            self._count(flight, measured, when_s, side.get("platform_overhead_s"))
        if (trace := flight.ask.trace) is not None:
            side |= {"trace_id": trace.trace_id, "span_id": trace.span_id, "parent_id": trace.parent_id}
        if flight.timing is not None:
            side["prefill_s"], side["decode_s"] = flight.timing.prefill_s, flight.timing.decode_s
        self.records.add("end", request, outcome, when_s, measured, flight.decision, reason, side)
        return Refused(outcome, reason or outcome, fault=flight.fault)

    def _count(self, flight: Flight, measured: Measured, ended_s: float, overhead_s: float | None) -> None:
        """For whoever scrapes: a request was served."""
        node = self._node_of.get(measured.executor or "", OTHER)
        predicted_s = None if flight.decision is None else flight.decision.predicted_s
        stream = None
        if flight.first_s is not None:
            stream = Stream(flight.first_s, self.clock.now_s(), flight.told_tokens)
        self.counts.done(
            flight.request, node, measured, ended_s, flight.finish, predicted_s, overhead_s, stream
        )
