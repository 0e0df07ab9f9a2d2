"""Why requests failed, in words that say what to do: one vocabulary for the client's log, locust and `edgebed load`."""

from __future__ import annotations

import re
import socket
import ssl
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workloads.load import ClientResult

CLOSED_FIRST = "the server closed the connection before it answered"
BROKEN_OFF = "the server closed the connection in the middle of its answer"

_NO_HTTP = (
    "what answers does not speak HTTP, or closed the connection before it answered",
    "what answers does not speak HTTP",
)
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused: nothing listens there"),
    (ConnectionResetError, CLOSED_FIRST),
    (BrokenPipeError, CLOSED_FIRST),
    (
        ssl.SSLCertVerificationError,
        "the TLS certificate is not trusted; SSL_CERT_FILE may name a file of those that are",
    ),
    (TimeoutError, "no answer in time"),
)
_NAMED = {
    "HTTPConnectionClosed": CLOSED_FIRST,
    "RemoteProtocolError": _NO_HTTP[0],
    "EmptyResponse": "the answer is empty",
    "HTTPParseError": _NO_HTTP[1],
    "HTTPProtocolViolationError": _NO_HTTP[1],
    "ConnectTimeout": "no connection in time: the host does not answer",
    "ReadTimeout": "no answer in time",
}
"""By name: of libraries that not every reader of these words has loaded."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NAME = re.compile(r"\w[\w-]{4,}\w")
"""What an id may be: it is one if there is a digit in it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why requests failed, and how many for the same reason."""

    words: str
    """Of the first of them: others may differ in numbers and ids."""
    count: int


def spoken(error: BaseException, answering: bool = False) -> str:
    """What went wrong in an exchange, by the first of its causes that is known; else its own text.

    `answering`: its status line had been read, so what cannot be parsed from there on is an answer that was broken off.
    """
    words = _spoken(error)
    if answering and words in (CLOSED_FIRST, *_NO_HTTP):
        return BROKEN_OFF
    return words


def _spoken(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"the host's name cannot be resolved ({cause.strerror})"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError):
            return f"no TLS spoken there ({cause.reason or cause}); is it http:// instead of https://?"
        for kind, words in _KINDS:
            if isinstance(cause, kind):
                return words
    for cause in _causes(error):
        if words := _NAMED.get(type(cause).__name__, ""):
            return words
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def reason_of(result: ClientResult) -> str:
    """Why a request did not end well: the server's words with its status, else what the client met."""
    said = result.error or result.outcome
    return said if result.status is None or result.status < 300 else f"HTTP {result.status}: {said}"


def reasons(results: Iterable[ClientResult]) -> list[Reason]:
    """Why requests failed, the commonest reason first; words that differ in numbers and ids only are one reason."""
    shown: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for result in results:
        if result.outcome != "done":
            words = reason_of(result)
            key = _NUMBER.sub("#", _NAME.sub(_nameless, words))
            shown.setdefault(key, words)
            counts[key] += 1
    return [Reason(shown[key], n) for key, n in counts.most_common()]


def _nameless(name: re.Match[str]) -> str:
    return "#" if any(c.isdecimal() for c in name[0]) else name[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and everything it came from, outermost first, each once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        inside = [*found.args, getattr(found, "original", None), found.__cause__, found.__context__]
        waiting.extend(e for e in inside if isinstance(e, BaseException))
