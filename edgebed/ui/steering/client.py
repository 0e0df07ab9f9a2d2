"""A client of `/control`: what it sends is checked by the gateway's own types, what is refused is told in its words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from math import isinf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from emulation.domain.cluster import Strict
from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError
from serve_apps.wire.steer import (
    Approve,
    EventList,
    InForce,
    Load,
    LoadEntry,
    LoadState,
    ProposalEntry,
    ProposalList,
    Rate,
    Reject,
    SchemeList,
    SwitchTo,
    Undo,
)

if TYPE_CHECKING:
    import httpx2

    from emulation.domain.events import Event

LIMIT_S = 10.0
"""Wall seconds within which a gateway must answer, ..."""
SWITCH_LIMIT_S = 70.0
"""... and where controllers must be built and taken up by every process first."""
Answered = TypeVar("Answered", bound=Strict)


class NotDone(ConfigError):
    """The testbed was asked and did not do it: it refused, or nothing of the kind answers there."""

    def __init__(self, message: str, sentence: str, status: int | None = None) -> None:
        super().__init__(message)
        self.sentence = sentence
        """The gateway's own, or what is wrong with the answer."""
        self.status = status
        """Of HTTP; None: no answer."""

    @property
    def wants_token(self) -> bool:
        """Whether it is for bearers of another token."""
        return self.status == 401


class Control:
    """A running testbed as whoever steers it sees it. Use as an asynchronous context manager, or call `close`.

    Every call raises `ConfigError` for what the gateway's types refuse, before anything is sent, and `NotDone`.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """`token`: None: that of EDGEBED_TOKEN, if it is set."""
        import httpx2

        self.url = url
        bearer = os.environ.get("EDGEBED_TOKEN") if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=LIMIT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def now_s(self) -> float:
        """Virtual seconds into the run."""
        return float(await self._value("GET", "progress", "t_s"))

    async def events(self) -> EventList:
        """Every event of the run so far."""
        return await self._read("GET", "events", EventList)

    async def inject(self, event: Mapping[str, object], for_s: float) -> int:
        """Play an event, without its times, from now on for `for_s` virtual seconds (infinite: until it is undone).

        Returns its number.
        """
        checked_event(event, for_s)
        now_s = await self.now_s()
        until: float | str = "inf" if isinf(for_s) else now_s + for_s
        return int(await self._value("POST", "inject", "event", {**event, "at_s": now_s, "until_s": until}))

    async def undo(self, number: int) -> float:
        """End an event that is in force; returns from when on it is to be over."""
        asked = checked(Undo, {"event": number})
        return float(await self._value("POST", "undo", "until_s", asked.model_dump()))

    async def load(self) -> LoadState:
        """Whether the testbed sends itself a load."""
        return await self._read("GET", "load", LoadState)

    async def send(
        self,
        scenario: str | None,
        seed: int | str = 0,
        rate: float | str = 1.0,
        demand: str | None = None,
    ) -> LoadEntry:
        """Have the testbed send itself a scenario's requests (None: those of its own), so many times as densely.

        `demand`: the digest of what is meant by its name; it is refused where another scenario stands there so.
        """
        asked = checked(Load, {"scenario": scenario, "seed": seed, "rate": rate, "demand": demand})
        return await self._read("POST", "send", LoadEntry, asked.model_dump())

    async def change_rate(self, rate: float | str) -> LoadEntry:
        """Send what is left of the load at another rate; 0: no more of it."""
        return await self._read("POST", "rate", LoadEntry, checked(Rate, {"rate": rate}).model_dump())

    async def schemes(self) -> SchemeList:
        """The scheme in force, and all that there are, each with why the run cannot be switched to it, if so."""
        return await self._read("GET", "schemes", SchemeList, limit_s=SWITCH_LIMIT_S)

    async def switch(self, to: str) -> InForce:
        """Have another scheme decide; returns once it is in force."""
        asked = checked(SwitchTo, {"to": to})
        return await self._read("POST", "scheme", InForce, asked.model_dump(), limit_s=SWITCH_LIMIT_S)

    async def proposals(self) -> ProposalList:
        """The decisions of agents that wait for approval, and the latest that did."""
        return await self._read("GET", "proposals", ProposalList)

    async def approve(
        self, number: int | str, command: Mapping[str, object] | None = None, why: str = ""
    ) -> ProposalEntry:
        """Carry a proposal out, or `command` in its place."""
        asked = checked(Approve, {"proposal": number, "command": command, "why": why})
        return await self._read("POST", "approve", ProposalEntry, asked.model_dump())

    async def reject(self, number: int | str, why: str = "") -> ProposalEntry:
        """Have the rules of the role decide instead."""
        asked = checked(Reject, {"proposal": number, "why": why})
        return await self._read("POST", "reject", ProposalEntry, asked.model_dump())

    # -- one exchange -------------------------------------------------------------------------------------

    async def _read(
        self,
        method: str,
        path: str,
        kind: type[Answered],
        body: Mapping[str, object] | None = None,
        limit_s: float = LIMIT_S,
    ) -> Answered:
        answer = await self._answer(method, path, body, limit_s)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._foreign(path) from error

    async def _value(self, method: str, path: str, key: str, body: Mapping[str, object] | None = None) -> Any:
        answer = await self._answer(method, path, body)
        try:
            return answer.json()[key]
        except (KeyError, TypeError, ValueError) as error:
            raise self._foreign(path) from error

    async def _answer(
        self, method: str, path: str, body: Mapping[str, object] | None, limit_s: float = LIMIT_S
    ) -> httpx2.Response:
        import httpx2

        try:
            answer = await self._http.request(method, f"/control/{path}", json=body, timeout=limit_s)
        except (httpx2.HTTPError, OSError) as error:
            said = f"no testbed answers at {self.url} ({str(error) or type(error).__name__})"
            raise NotDone(f"{said}; start one with `edgebed up`", said) from error
        if answer.status_code != 200:
            said = _said(answer)
            raise NotDone(f"{self.url} refused it ({answer.status_code}): {said}", said, answer.status_code)
        return answer

    def _foreign(self, path: str) -> NotDone:
        said = f"what {self.url}/control/{path} answers is not what a gateway of this version says"
        return NotDone(said, said)


def checked_event(event: Mapping[str, object], for_s: float | str) -> Event:
    """The event, from 0 on. Raises `ConfigError` for what no scenario file could say either, in the same words."""
    from emulation.domain.events import Event

    try:
        found: Event = _events().validate_python({**event, "at_s": 0.0, "until_s": for_s})
    except ValidationError as error:
        raise ConfigError(f"inject: {complaint(Event, error, str(event.get('kind', '')))}") from error
    return found


def checked(kind: type[Answered], body: Mapping[str, object]) -> Answered:
    """A body of `/control`. Raises `ConfigError` with field, value and fix."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise ConfigError(complaint(kind, error)) from error


@cache
def _events() -> TypeAdapter[Any]:
    from emulation.domain.events import Event

    return TypeAdapter(Event)


def _said(refusal: httpx2.Response) -> str:
    """The gateway's own words; another server may have none that we can read."""
    try:
        return str(refusal.json()["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return " ".join(refusal.text[:200].split()) or "without a word"
