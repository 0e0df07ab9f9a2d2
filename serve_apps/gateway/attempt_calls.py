"""One attempt at a request: its call to the replica, and what becomes of it if that, its node or its client is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from math import inf

from emulation.domain.measured import Measured
from emulation.domain.request import Request
from serve_apps.gateway.flight import Flight, attempt_of, over
from serve_apps.gateway.replicas import Replicas
from serve_apps.wire.calls import LONGEST_S, Calls, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Answer, GatewayRun, Items, Served, Work
from serve_apps.wire.names import RECORDER, app_name, runtime_name

log = logging.getLogger("edgebed")

ATTEMPTS = 8
"""Dispatches of one request before it is given up as an error."""
CALL_MARGIN_S = 10.0
"""Wall seconds beyond a request's deadline before a replica's silence counts as an error."""
NODE_LIMIT_S = 2.0
"""Wall seconds a node, or the recorder, has to say what became of an attempt that broke."""
RETRY_S = 0.2
"""Wall seconds between attempts when replicas are lost, times the attempt; a second at most."""


class AttemptCalls:
    """Makes the attempts of one run in one gateway process. Routes nothing, and records nothing."""

    def __init__(
        self,
        run: GatewayRun,
        clock: LiveClock,
        replicas: Replicas,
        calls: Calls,
        node_of: Mapping[str, str],
        node_lost: Callable[[str], None],
        given_up: Callable[[Flight, Work], None],
    ) -> None:
        """`node_of`: executor to its node. `node_lost` hears of a node that does not answer, `given_up` of an attempt
        whose client is gone."""
        self._run_id, self._cold = run.run_id, run.cold
        self._clock, self._replicas, self._calls = clock, replicas, calls
        self._node_of, self._node_lost, self._given_up = node_of, node_lost, given_up

    async def whole(self, flight: Flight, work: Work) -> Answer:
        """An attempt, whole; one that broke is given back, or an error once there were enough of them.

        Raises `Refused` if the run is over before it is.
        """
        flight.until = _patience_until(flight.request, self._clock)
        try:
            async with flight.patience():
                early = await self._turn(work)
                return early or await self._replicas.serve(
                    app_name(self._node_of[work.executor], work.request.model), work
                )
        except asyncio.CancelledError:
            self._give_up(flight, work)
            raise
        except (Unreached, TimeoutError) as error:
            if flight.dismissed:
                self._give_up(flight, work)
                raise over() from error
            return await self._lost(work, error)

    async def stream(self, flight: Flight, work: Work) -> AsyncGenerator[Items]:
        """Ends with an `Answer`, unless the client goes away first. Raises `Refused` if the run is over before."""
        flight.until = _patience_until(flight.request, self._clock)
        ended = False
        try:
            async with flight.patience():
                early = await self._turn(work)
            if early is not None:
                ended = True
                yield (early,)
                return
            parts = self._replicas.stream(app_name(self._node_of[work.executor], work.request.model), work)
            while not ended:
                async with flight.patience():  # never while the client reads
                    items = await anext(parts, None)
                if items is None:
                    raise Unreached("the stream ended without its answer")
                ended = isinstance(items[-1], Answer)
                yield items
        except (Unreached, TimeoutError) as error:
            if flight.dismissed:
                raise over() from error
            ended = True
            yield (await self._lost(work, error),)
        finally:
            if not ended:
                self._give_up(flight, work)

    async def _turn(self, work: Work) -> Answer | None:
        """Lifecycle cold: wait in the node's queue first, so that a replica is only called when it is up."""
        if not self._cold:
            return None
        runtime = self._runtime(work.executor)
        early: Served | None = await self._calls.call(runtime, "turn", work.slim(), limit_s=LONGEST_S)
        return None if early is None else Answer(served=early)

    async def _lost(self, work: Work, error: Exception) -> Answer:
        """A replica that broke: its node forgets the attempt, another one is made."""
        about = {"request_id": work.request.id}
        log.warning("attempt %d at %s: %s", work.attempt, work.executor, error, extra=about)
        forget = (work.request.id, "its replica was lost", work.attempt)
        try:
            await self._calls.call(self._runtime(work.executor), "cancel", *forget, limit_s=NODE_LIMIT_S)
        except Unreached as silent:
            log.warning("node runtime: %s", silent, extra=about)
            self._node_lost(self._node_of[work.executor])
        await asyncio.sleep(min(RETRY_S * work.attempt, 1.0))
        measured = attempt_of(work, await self._finished_of(work))
        return Answer(
            served=Served(
                outcome="returned" if work.attempt < ATTEMPTS else "error",
                ended_s=self._clock.now_s(),
                reason=f"replica lost: {type(error).__name__}",
                measured=measured,
            )
        )

    async def _finished_of(self, work: Work) -> Measured:
        """What is known to be finished of a request whose attempt broke; reports of that attempt end here."""
        asked = (self._run_id, work.request.id, work.attempt + 1)
        try:
            written: Measured = await self._calls.call(RECORDER, "take_over", *asked, limit_s=NODE_LIMIT_S)
        except Unreached as error:
            about = {"request_id": work.request.id}
            log.warning("its progress record is not reached: %s", error, extra=about)
            return work.earlier
        return max(written, work.earlier, key=lambda m: m.prompts_done)

    def _give_up(self, flight: Flight, work: Work) -> None:
        """The client is gone, or sent away: so is the work."""
        gone = (work.request.id, "nobody waits for it", work.attempt)
        self._calls.tell(self._runtime(work.executor), "cancel", *gone)
        self._given_up(flight, work)

    def _runtime(self, executor: str) -> str:
        return runtime_name(self._node_of[executor])


def _patience_until(request: Request, clock: LiveClock) -> float:
    """When an attempt that began now is given up as lost, by the event loop's clock."""
    patience_s = LONGEST_S
    if request.deadline_s != inf:
        patience_s = clock.wall_until_s(request.deadline_s) + CALL_MARGIN_S
    return asyncio.get_running_loop().time() + patience_s
