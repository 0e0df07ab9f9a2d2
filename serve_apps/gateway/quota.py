"""How much one caller may ask for: requests and tokens a minute, requests at once. Off unless set.

A caller is the bearer of a key; where no key is asked for, the address it calls from. Each gateway process counts for
itself. Knows no wall clock: time is handed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from math import ceil

from serve_apps.gateway.http import ONCE, Exchange, Headers, HttpError
from serve_apps.gateway.server.settings import HttpSettings

MINUTE_S = 60.0
MOST_CALLERS = 10_000
"""Callers that are remembered; of more, those that ask for nothing now and were heard of longest ago are forgotten."""


@dataclass(slots=True)
class Bucket:
    """What may still be taken of one thing; fills up evenly over a minute."""

    size: int
    level: float
    since_s: float
    """When `level` was right, seconds."""

    def fill(self, now_s: float) -> None:
        """Add what has come in since the last look."""
        self.level = min(self.size, self.level + (now_s - self.since_s) * self.size / MINUTE_S)
        self.since_s = now_s

    def wait_s(self, amount: float) -> float:
        """Seconds until so much is there, if nobody takes any meanwhile."""
        return max(0.0, (amount - self.level) * MINUTE_S / self.size)

    def headers(self, what: str) -> Headers:
        """What an answer says of it, as OpenAI's do."""
        said = {"limit": str(self.size), "remaining": str(max(0, int(self.level)))}
        said["reset"] = f"{ceil(self.wait_s(self.size) * 1000.0) / 1000.0:.3f}s"
        return tuple((f"x-ratelimit-{name}-{what}".encode(), value.encode()) for name, value in said.items())


@dataclass(slots=True)
class Caller:
    """What one caller has left."""

    requests: Bucket | None
    tokens: Bucket | None
    serving: int = 0


class Quotas:
    """All callers of one gateway process."""

    def __init__(self, settings: HttpSettings, clock: Callable[[], float], keyed: bool = False) -> None:
        """`clock`: seconds that only go on. `keyed`: whether every caller has shown a key."""
        self._settings, self._clock, self._keyed = settings, clock, keyed
        self._callers: OrderedDict[bytes, Caller] = OrderedDict()
        limits = (settings.key_requests, settings.key_tokens, settings.key_concurrent)
        self._off = all(limit is None for limit in limits)

    @contextmanager
    def counted(self, exchange: Exchange) -> Iterator[None]:
        """While in here, one more request of this caller is served. Raises `HttpError` 429 if that is too many."""
        if self._off:
            yield
            return
        caller = self._of(exchange)
        most = self._settings.key_concurrent
        exchange.also = _headers(caller)
        if most is not None and caller.serving >= most:
            raise _too_many(f"{most} requests at once are allowed, and being served", "requests", 1.0)
        _take(caller.requests, 1, "requests")
        exchange.also = _headers(caller)
        caller.serving += 1
        try:
            yield
        finally:
            caller.serving -= 1

    def spend(self, exchange: Exchange, tokens: int) -> None:
        """It asks for so many tokens, those of its answer included. Raises `HttpError` 429 if that is too many."""
        if self._settings.key_tokens is None:
            return
        caller = self._of(exchange)
        try:
            _take(caller.tokens, tokens, "tokens")
        finally:
            exchange.also = _headers(caller)

    def _of(self, exchange: Exchange) -> Caller:
        name, now_s, settings = self._name(exchange), self._clock(), self._settings
        caller = self._callers.get(name)
        if caller is None:
            caller = self._callers[name] = Caller(
                _full(settings.key_requests, now_s), _full(settings.key_tokens, now_s)
            )
            self._forget()
        self._callers.move_to_end(name)
        for bucket in (caller.requests, caller.tokens):
            if bucket is not None:
                bucket.fill(now_s)
        return caller

    def _name(self, exchange: Exchange) -> bytes:
        """Who calls; never the key itself. Where no key is asked for, anybody could make one up."""
        address = str((exchange.scope.get("client") or ("",))[0]).encode()
        return sha256((exchange.bearer() or b"") if self._keyed else address).digest()

    def _forget(self) -> None:
        if len(self._callers) > MOST_CALLERS:
            idle = next((name for name, caller in self._callers.items() if not caller.serving), None)
            if idle is not None:
                del self._callers[idle]


def _full(size: int | None, now_s: float) -> Bucket | None:
    return None if size is None else Bucket(size, size, now_s)


def _take(bucket: Bucket | None, amount: int, what: str) -> None:
    if bucket is None:
        return
    limit = f"{bucket.size} {what} a minute are allowed"
    if amount > bucket.size:
        raise _too_many(f"{limit}; this request asks for {amount}", what, None)
    if amount > bucket.level:
        raise _too_many(
            f"{limit}; {amount} are asked for, {int(bucket.level)} are left", what, bucket.wait_s(amount)
        )
    bucket.level -= amount


def _too_many(message: str, what: str, wait_s: float | None) -> HttpError:
    """`wait_s` None: it would be too many at any time."""
    retry = ONCE if wait_s is None else ((b"retry-after", b"%d" % max(1, ceil(wait_s))),)
    return HttpError(429, message, what, code="rate_limit_exceeded", headers=retry)


def _headers(caller: Caller) -> Headers:
    named = ((caller.requests, "requests"), (caller.tokens, "tokens"))
    return tuple(header for bucket, what in named if bucket is not None for header in bucket.headers(what))
