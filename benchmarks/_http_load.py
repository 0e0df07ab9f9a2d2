"""A closed-loop HTTP client in a process of its own: `python -m benchmarks._http_load URL FILE CLIENTS SECONDS`.

Each client keeps one connection, and sends the body in FILE again when the last answer is whole. Standard library only,
and nothing is kept of an answer but its length, so that on two cores the client leaves them to whom it measures. Prints
one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean, quantiles
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

WARM_UP_S = 0.3
PATIENCE_S = 60.0
"""Seconds an answer may take after the last request was sent."""
_LAST = b"\r\n0\r\n\r\n"
"""How an answer in chunks ends, the chunk before included. No event of a stream holds it: a line ends in LF there."""


@dataclass(slots=True)
class Log:
    """What all clients of a process saw. Only requests sent within the window count."""

    opens_s: float
    closes_s: float
    clients: int
    latencies_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    """Until the first byte of the answer's body."""
    answered_s: list[float] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    answers: int = 0
    """Of status 200, those of the warm-up included."""

    def wants_more(self, now_s: float) -> bool:
        """Until the window closes, and until every client had its turn on average."""
        return now_s < self.closes_s or (len(self.latencies_s) < self.clients and not self.bad)


class Caller(asyncio.Protocol):
    """One client: sends, waits, sends again until the window closes."""

    def __init__(self, message: bytes, log: Log) -> None:
        self._message = message
        self._log = log
        self._head = b""
        self._whole = False
        """The head of the answer is here."""
        self._left: int | None = None
        """Bytes of the body still to come; None: it comes in chunks."""
        self._tail = b""
        self._sent_s = self._first_s = 0.0
        self._transport: Any = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Part of an answer; when it is whole, the next request."""
        if not self._whole:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._head, self._whole, self._left = head, True, content_length(head)
        if data and not self._first_s:
            self._first_s = perf_counter()
        if self._left is None:
            self._tail = (self._tail + data[-len(_LAST) :])[-len(_LAST) :]
            if self._tail == _LAST:
                self._answered()
        else:
            self._left -= len(data)
            if self._left <= 0:
                self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        """The end; one that comes in the middle of an answer is an error."""
        if perf_counter() < self._log.closes_s:
            self._log.bad.append(f"connection lost: {error}")
        if not self.over.done():
            self.over.set_result(None)

    def _answered(self) -> None:
        now_s, log = perf_counter(), self._log
        if self._head.startswith(b"HTTP/1.1 200"):
            log.answers += 1
        else:
            log.bad.append(self._head[:200].decode(errors="replace"))
        if self._sent_s >= log.opens_s:
            log.latencies_s.append(now_s - self._sent_s)
            log.first_s.append(self._first_s - self._sent_s)
            log.answered_s.append(now_s)
        if log.wants_more(now_s):
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        self._head, self._whole, self._tail, self._first_s = b"", False, b"", 0.0
        self._sent_s = perf_counter()
        self._transport.write(self._message)


def content_length(head: bytes) -> int | None:
    """Length of the body as the head states it; None: in chunks. Raises `ValueError` if it says neither."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding" and value.strip() == b"chunked":
            return None
    raise ValueError("an answer that does not say how long it is")


async def load(url: str, body: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """Latency in ms and answers per second of so many clients. Raises `RuntimeError` on any answer but 200."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    begun_s = perf_counter() + WARM_UP_S
    log = Log(begun_s, begun_s + seconds, clients)
    loop = asyncio.get_running_loop()
    message = head.encode() + body
    callers = [Caller(message, log) for _ in range(clients)]
    for caller in callers:
        await loop.create_connection(partial(_same, caller), parts.hostname or "127.0.0.1", parts.port or 80)
    async with asyncio.timeout(WARM_UP_S + seconds + PATIENCE_S):
        await asyncio.gather(*(caller.over for caller in callers))
    if log.bad or len(log.latencies_s) < 2:
        raise RuntimeError(f"{len(log.bad)} bad answers of {url}: {log.bad[:1]}")
    return summary(log)


def _same(caller: Caller) -> Caller:
    return caller


def summary(log: Log) -> dict[str, Any]:
    """The figures of one window."""
    cuts = quantiles(log.latencies_s, n=100, method="inclusive")
    span_s = max(log.answered_s) - log.opens_s
    return {
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "mean_ms": mean(log.latencies_s) * 1e3,
        "first_p50_ms": quantiles(log.first_s, n=2, method="inclusive")[0] * 1e3,
        "per_s": len(log.latencies_s) / span_s,
        "answers": log.answers,
        "client_cpu_s": process_time(),
    }


if __name__ == "__main__":
    to, what, count, length = sys.argv[1:]
    print(json.dumps(asyncio.run(load(to, Path(what).read_bytes(), int(count), float(length)))))
