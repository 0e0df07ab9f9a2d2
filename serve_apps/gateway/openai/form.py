"""A form of asking: one endpoint of the OpenAI API as data, and how any of them is served."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError

from emulation.domain.request import Request
from serve_apps.gateway.admission import Admission
from serve_apps.gateway.dry import is_dry, shadow_of, would_be_decided
from serve_apps.gateway.flight import Refused
from serve_apps.gateway.http import ONCE, Exchange, HttpError
from serve_apps.gateway.openai.bodies import Body
from serve_apps.gateway.openai.fields import (
    Complaint,
    complaint,
    may_hold_no_number,
    misplaced,
    names,
    not_json,
)
from serve_apps.wire.ask import Ask, BadAsk, Fault
from serve_apps.wire.messages import Answer, Delta, Items

BodyT = TypeVar("BodyT", bound=Body)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is written for."""

    request: Request
    ask: Ask
    again: dict[str, Any]
    """What of the body is said again; the rest is not kept while the request is served."""


class Events(Protocol):
    """A streamed answer on its way to its client, as server-sent events."""

    def of(self, item: Delta | Answer) -> bytes:
        """The events that tell of it, and of what comes before it."""
        ...

    def refused(self, refused: Refused) -> bytes | None:
        """Those that tell that there will be no answer; None: it is said as it is of any other."""
        ...


async def _told(parts: AsyncIterator[Items], events: Events) -> AsyncGenerator[bytes]:
    """What came together goes together."""
    try:
        async for items in parts:
            yield b"".join([events.of(item) for item in items])
    except Refused as refused:
        said = events.refused(refused)
        if said is None:
            raise
        yield said


def _nothing(_body: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[BodyT]):
    """`POST` to one path of the API."""

    path: str
    summary: str
    body: type[BodyT]
    whole: Callable[[Asked, Answer], dict[str, Any]]
    """The answer in one piece."""
    events: Callable[[Asked], Events] | None = None
    """The answer as server-sent events; None: never streamed."""
    again: Callable[[BodyT], dict[str, Any]] = _nothing
    """What of the body its answer depends on, beside what is asked of the model."""

    async def serve(self, admission: Admission, exchange: Exchange) -> None:
        """From the client's body to its answer."""
        admission.authorise(exchange)
        try:
            with admission.quotas.counted(exchange):
                await self._answer(admission, exchange)
        except BadAsk as error:
            raise _bad(str(error), error.fault) from error
        except Refused as refused:
            raise refusal(refused) from refused

    async def _answer(self, admission: Admission, exchange: Exchange) -> None:
        ask, again = await exchange.parsed(self._read)
        if exchange.trace.parent_id:
            ask = replace(ask, trace=exchange.trace)
        shadow = shadow_of(exchange)
        if shadow is not None:
            await admission.let_into_the_shadow(shadow)
        if is_dry(exchange):
            await exchange.json(would_be_decided(*admission.charged(exchange, ask), shadow))
            return
        with admission.admitted(exchange, ask) as (dispatcher, request):
            asked = Asked(request, ask, again)
            if ask.stream and self.events is not None:
                async with (
                    aclosing(dispatcher.stream(request, ask, shadow)) as parts,
                    aclosing(_told(parts, self.events(asked))) as events,
                ):
                    await exchange.unless_left(exchange.stream(events))
                return
            answer = await exchange.unless_left(dispatcher.answer(request, ask, shadow))
        await exchange.json(self.whole(asked, answer))

    def _read(self, raw: bytes) -> tuple[Ask, dict[str, Any]]:
        """What a body asks for, and what of it is said again."""
        try:
            body = self.body.model_validate_json(raw)
        except ValidationError as error:
            raise _refused(complaint(error, raw)) from error
        wrong = (not_json(raw) if may_hold_no_number(raw) else None) or misplaced(body, _known_somewhere())
        if wrong is not None:
            raise _refused(wrong)
        return body.ask(), self.again(body)


@cache
def _known_somewhere() -> frozenset[str]:
    """Fields that an answer of some endpoint depends on."""
    return frozenset(name for kind in Body.kinds() for name in names(kind, ignored=False))


def _refused(wrong: Complaint) -> HttpError:
    return HttpError(400, wrong.message, param=wrong.param, code=wrong.code)


def _bad(message: str, fault: Fault) -> HttpError:
    return HttpError(400, message, param=fault.param, code=fault.code)


def refusal(refused: Refused) -> HttpError:
    """How a request that did not end well is answered: the client's mistake, too late, or try again.

    Clients send again by themselves what is answered 408, 409, 429 or 5xx; one that came too late, or that no moment
    suits, must not come thrice.
    """
    if refused.fault is not None:
        return _bad(str(refused), refused.fault)
    if refused.outcome == "expired":
        return HttpError(422, str(refused), "server_error", code="expired", headers=ONCE)
    again_s = refused.retry_after_s
    retry = ONCE if again_s is None else ((b"retry-after", b"%d" % max(1, ceil(again_s))),)
    return HttpError(503, str(refused), "server_error", code=refused.outcome, headers=retry)
