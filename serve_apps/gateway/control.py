"""Control over HTTP: inject events and undo them, stall the gateway, ask how it goes. Not for the network at large."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from emulation.domain.cluster import Strict
from emulation.domain.complaints import complaint
from emulation.domain.events import Event, OutsideFault, SchemeSwitch
from emulation.outside import is_path
from serve_apps.gateway.http import CHALLENGE, Exchange, HttpError
from serve_apps.wire.calls import CALL_LIMIT_S, Calls, Unreached
from serve_apps.wire.names import EVENTS, RECORDER
from serve_apps.wire.secret import Secret
from serve_apps.wire.steer import (
    Approve,
    EventList,
    InForce,
    Load,
    ProposalEntry,
    ProposalList,
    Rate,
    Reject,
    SchemeList,
    SwitchTo,
    Undo,
)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
Body = TypeVar("Body", bound=Strict)
MAX_BLOCK_S = 60.0
SWITCH_LIMIT_S = 60.0
"""Wall seconds a switch of the scheme may take: its controllers are built, and every process takes them up."""


class Block(Strict):
    """Stall the gateway's event loop."""

    seconds: float = Field(gt=0, le=MAX_BLOCK_S, strict=True)


class ControlFront:
    """Handlers under `/control`: for bearers of the token; without one, on loopback if the gateway listens there."""

    def __init__(self, host: str, token: Secret | None, calls: Calls) -> None:
        self._local = host in _LOOPBACK
        self._token = token
        self._calls = calls

    async def inject(self, exchange: Exchange) -> None:
        """An event of the plan's format, its times in virtual seconds of the run; answered with its number."""
        self._authorise(exchange)
        try:
            event: Event = await exchange.parsed(_EVENT.validate_json)
        except ValidationError as error:
            raise HttpError(400, complaint(Event, error, root="event"), param="event") from error
        if isinstance(event, SchemeSwitch):
            self._check_code(event.to, "to")
        elif isinstance(event, OutsideFault):
            self._check_code(event.fault, "fault")
        await exchange.json({"event": await self._ask(EVENTS, "inject", event)})

    async def undo(self, exchange: Exchange) -> None:
        """End an event that is in force; answered with the time from which on it is to be over."""
        self._authorise(exchange)
        number = (await self._body(exchange, Undo)).event
        await exchange.json({"event": number, "until_s": await self._ask(EVENTS, "undo", number)})

    async def events(self, exchange: Exchange) -> None:
        """Every event of the run so far, and how far it is."""
        self._authorise(exchange)
        found: EventList = await self._ask(EVENTS, "ledger")
        await exchange.json(found.model_dump(mode="json"))

    async def start_load(self, exchange: Exchange) -> None:
        """Have the testbed send itself a scenario's requests; answered with what is sent."""
        self._authorise(exchange)
        asked = await self._body(exchange, Load)
        await exchange.json((await self._ask(EVENTS, "start_load", asked, param="scenario")).model_dump())

    async def change_load(self, exchange: Exchange) -> None:
        """Send what is left of the load at another rate, or no more of it; answered with what is sent from then on."""
        self._authorise(exchange)
        asked = await self._body(exchange, Rate)
        await exchange.json((await self._ask(EVENTS, "change_load", asked, param="rate")).model_dump())

    async def load(self, exchange: Exchange) -> None:
        """Whether the testbed sends itself a load."""
        self._authorise(exchange)
        await exchange.json((await self._ask(EVENTS, "load")).model_dump())

    async def switch(self, exchange: Exchange) -> None:
        """Have another scheme decide; answered once it is in force, with the virtual second from which on it is."""
        self._authorise(exchange)
        to = (await self._body(exchange, SwitchTo)).to
        self._check_code(to, "to")
        done: InForce = await self._ask(EVENTS, "switch", to, param="to", limit_s=SWITCH_LIMIT_S)
        await exchange.json(done.model_dump(mode="json"))

    async def schemes(self, exchange: Exchange) -> None:
        """The scheme in force, and every other one with why it cannot be switched to, if it cannot."""
        self._authorise(exchange)
        found: SchemeList = await self._ask(EVENTS, "schemes", limit_s=SWITCH_LIMIT_S)
        await exchange.json(found.model_dump(mode="json"))

    async def proposals(self, exchange: Exchange) -> None:
        """The decisions of agents that wait for approval, and the latest that did."""
        self._authorise(exchange)
        found: ProposalList = await self._ask(EVENTS, "proposals")
        await exchange.json(found.model_dump(mode="json"))

    async def approve(self, exchange: Exchange) -> None:
        """Carry a proposal out, as it is or edited; answered with what it is now."""
        self._authorise(exchange)
        asked = await self._body(exchange, Approve)
        done: ProposalEntry = await self._ask(EVENTS, "approve", asked, param="proposal")
        await exchange.json(done.model_dump(mode="json"))

    async def reject(self, exchange: Exchange) -> None:
        """Have the rules decide instead; answered with what the proposal is now."""
        self._authorise(exchange)
        asked = await self._body(exchange, Reject)
        done: ProposalEntry = await self._ask(EVENTS, "reject", asked, param="proposal")
        await exchange.json(done.model_dump(mode="json"))

    async def block(self, exchange: Exchange) -> None:
        """Stall this gateway for some wall seconds: everything it does waits (tests)."""
        self._authorise(exchange)
        try:
            body = await exchange.parsed(Block.model_validate_json)
        except ValidationError as error:
            raise HttpError(400, f"seconds must be in (0, {MAX_BLOCK_S:g}]", param="seconds") from error
        time.sleep(body.seconds)
        await exchange.json({"blocked_s": body.seconds})

    async def progress(self, exchange: Exchange) -> None:
        """Arrived, ended, in the system."""
        self._authorise(exchange)
        await exchange.json(await self._ask(RECORDER, "progress"))

    async def gateways(self, exchange: Exchange) -> None:
        """Every gateway process of the run: its number, process, whether it lives, and the address of it alone."""
        self._authorise(exchange)
        await exchange.json({"gateways": await self._ask(RECORDER, "gateways")})

    async def _body(self, exchange: Exchange, kind: type[Body]) -> Body:
        """The body of a request. Raises `HttpError` 400 with the field at fault."""
        try:
            return await exchange.parsed(kind.model_validate_json)
        except ValidationError as error:
            where = error.errors(include_url=False)[0]["loc"]
            param = str(where[0]) if where else None
            raise HttpError(400, complaint(kind, error), param=param) from error

    def _authorise(self, exchange: Exchange) -> None:
        """Raises `HttpError` 401 or 403 for whom control is not, 404 for a path that hides what it is in `%..`."""
        scope = exchange.scope
        if scope.get("raw_path", scope["path"].encode()) != scope["path"].encode():
            raise HttpError(404, "no such path", code="not_found")
        if self._token is None:
            if not (self._local and (scope.get("client") or ("",))[0] in _LOOPBACK):
                message = "control is for this machine only unless EDGEBED_TOKEN is set"
                raise HttpError(403, message, "permission_error", code="forbidden")
        elif not exchange.bears(self._token):
            message = "control needs the token of EDGEBED_TOKEN"
            raise HttpError(401, message, "authentication_error", code="invalid_token", headers=CHALLENGE)

    def _check_code(self, name: str, param: str) -> None:
        """Raises `HttpError` 403 for what is named by its path, which is code, where control needs no token."""
        if is_path(name) and self._token is None:
            message = f"{name} names code: it may come in only where control needs a token; set EDGEBED_TOKEN"
            raise HttpError(403, message, "permission_error", param=param, code="forbidden")

    async def _ask(
        self, name: str, method: str, *args: Any, param: str = "event", limit_s: float = CALL_LIMIT_S
    ) -> Any:
        try:
            return await self._calls.call(name, method, *args, limit_s=limit_s)
        except ValueError as error:
            raise HttpError(400, str(error), param=param) from error
        except Unreached as error:
            raise HttpError(503, f"{name} does not answer", "server_error", code="not_ready") from error
