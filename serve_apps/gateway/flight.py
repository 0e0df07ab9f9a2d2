"""A request in the gateway, from its arrival to its end: what is known of it, and how it can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import inf

from emulation.domain.actions import RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.request import Outcome, Request
from serve_apps.wire.ask import Ask, Fault
from serve_apps.wire.messages import Answer, Delta, Items, Piece, Timing, Work


class Refused(Exception):
    """A request that ended otherwise than done; `outcome` says how.

    `retry_after_s`: wall seconds after which one like it may come again; None: no moment is predicted to suit it.
    """

    def __init__(
        self, outcome: Outcome, reason: str, retry_after_s: float | None = 1.0, fault: Fault | None = None
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.retry_after_s = retry_after_s
        self.fault = fault

    def after(self, retry_after_s: float | None) -> Refused:
        """The same, with another `retry_after_s`."""
        self.retry_after_s = retry_after_s
        return self


@dataclass(slots=True)
class Flight:
    """One request on its way through the gateway. Times in virtual seconds, but for `until`."""

    request: Request
    ask: Ask
    sent_s: float
    attempt: int = 1
    shadow: str | None = None
    """Scheme that is yet to decide about it in the shadow."""
    decision: RoutingDecision | None = None
    work: Work | None = None
    """The attempt that is out; None while the request is held."""
    measured: Measured | None = None
    """What the last attempt took that is over; None if none is."""
    avoided: str | None = None
    """Node that has just given the request back: before it is tried there again, its news are waited for."""
    kept: tuple[Piece, ...] = ()
    """Choices that real models have finished."""
    timing: Timing | None = None
    finish: str = ""
    """Why its answer ended, as clients are told; empty while there is none."""
    fault: Fault | None = None
    told_tokens: int = 0
    """Tokens of a stream that the client has."""
    first_s: float | None = None
    """When the first text of a stream left."""
    dismissed: bool = False
    """Its run is over: it is not to be answered."""
    until: float = inf
    """When the present attempt is given up as lost, by the event loop's clock."""
    _patience: asyncio.Timeout | None = None

    def take(self, answer: Answer) -> None:
        """What a real model says beside its answer: choices to keep for another attempt, times, a client's mistake."""
        self.kept = answer.kept or self.kept
        self.timing, self.fault = answer.timing, answer.fault
        self.finish = finish_reason(answer, self.ask)

    def over(self, measured: Measured) -> None:
        """The attempt that was out is over, and took this much."""
        self.measured, self.work = measured, None

    def last_attempt(self) -> Measured | None:
        """The attempt a record tells of: the one that is out, else the last one that was."""
        return self.measured if self.work is None else attempt_of(self.work)

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """Waiting in here raises `TimeoutError` at `until`, and at once after `hurry`."""
        async with asyncio.timeout_at(None if self.until == inf else self.until) as self._patience:
            try:
                yield
            finally:
                self._patience = None

    def dismiss(self) -> None:
        """The run is over: whatever it waits for, it waits no more."""
        self.dismissed = True
        self.hurry()

    def hurry(self) -> None:
        """What the present attempt waits for will not come."""
        self.until = asyncio.get_running_loop().time()
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(self.until)


def over() -> Refused:
    """Of a request that was in flight when its run was closed; in the record it is unfinished."""
    return Refused("aborted", "the run is over, and this request was not done in time")


class Told:
    """What a stream tells its client, whichever attempt says it: nothing twice, nothing missing."""

    def __init__(self, flight: Flight) -> None:
        """An attempt begins, and says everything from the first token on."""
        self._flight = flight
        self._known_tokens = flight.told_tokens

    def new_of(self, items: Items) -> list[Delta]:
        """The texts of what came together, as far as the client does not have them yet."""
        told = (self.new(item) for item in items if isinstance(item, Delta))
        return [delta for delta in told if delta is not None]

    def new(self, delta: Delta) -> Delta | None:
        """The part of this text that the client does not have yet; None if it has all of it."""
        skip = min(self._known_tokens, delta.tokens)
        self._known_tokens -= skip
        if skip == delta.tokens:
            return None
        self._flight.told_tokens += delta.tokens - skip
        if not skip:
            return delta
        return replace(delta, text=text_after(delta.text, skip), tokens=delta.tokens - skip)


def attempt_of(work: Work, measured: Measured | None = None) -> Measured:
    """What is known of an attempt: by its node, if that said anything of it, else by its gateway."""
    if measured is not None and measured.executor is not None:
        return measured
    return replace(
        measured or work.earlier, attempt=work.attempt, executor=work.executor, sent_s=work.sent_s,
        dispatched_s=work.dispatched_s,
    )  # fmt: skip


def finish_reason(answer: Answer, ask: Ask, choice: int = 0) -> str:
    """What a real model said of this choice; else `length` if it is as long as the client's limit allows."""
    if ask.images:
        return "length" if "length" in answer.finish else "stop"
    if answer.finish:
        return answer.finish[min(choice, len(answer.finish) - 1)]
    each = answer.completion_tokens // max(len(answer.texts), 1)
    return "length" if ask.max_tokens is not None and each >= ask.max_tokens else "stop"


def text_after(text: str, tokens: int) -> str:
    """What follows the first `tokens` words, the blank before it included."""
    for _ in range(tokens):
        start = len(text) - len(text.lstrip())
        blank = text.find(" ", start)
        text = "" if blank < 0 else text[blank:]
    return text
