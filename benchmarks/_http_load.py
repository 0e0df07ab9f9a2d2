"""A closed-loop HTTP client in a process of its own: `python -m benchmarks._http_load URL BODY CLIENTS SECONDS`.

Each client keeps one connection and sends its next request when the last one is answered. Standard library only
and one callback per answer, so that on two cores the client leaves them to whom it measures. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, quantiles
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

WARM_UP_S = 0.5
PATIENCE_S = 60.0
"""Seconds an answer may take after the last request was sent."""


@dataclass(slots=True)
class Log:
    """What all clients of a process saw. Only requests sent within the window count."""

    opens_s: float
    closes_s: float
    latencies_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    answers: int = 0
    """Of status 200, those of the warm-up included."""


class Caller(asyncio.Protocol):
    """One client: sends, waits, sends again until the window closes."""

    def __init__(self, message: bytes, log: Log) -> None:
        self._message = message
        self._log = log
        self._buffer = b""
        self._sent_s = 0.0
        self._transport: Any = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Part of an answer; when it is whole, the next request."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < content_length(head):
            return
        now_s, self._buffer = perf_counter(), b""
        log = self._log
        if head.startswith(b"HTTP/1.1 200"):
            log.answers += 1
        else:
            log.bad.append(body[:200].decode(errors="replace"))
        if self._sent_s >= log.opens_s:
            log.latencies_s.append(now_s - self._sent_s)
            log.answered_s.append(now_s)
        if now_s < log.closes_s:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The end; one that comes in the middle of an answer is an error."""
        if perf_counter() < self._log.closes_s:
            self._log.bad.append(f"connection lost: {error}")
        if not self.over.done():
            self.over.set_result(None)

    def _send(self) -> None:
        self._sent_s = perf_counter()
        self._transport.write(self._message)


def content_length(head: bytes) -> int:
    """Length of the body as the head states it. Raises `ValueError` if it does not."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without content-length")


async def load(url: str, body: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """Latency in ms and answers per second of so many clients. Raises `RuntimeError` on any answer but 200."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    begun_s = perf_counter() + WARM_UP_S
    log = Log(begun_s, begun_s + seconds)
    loop = asyncio.get_running_loop()
    callers = [Caller(head.encode() + body, log) for _ in range(clients)]
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
        "per_s": len(log.latencies_s) / span_s,
        "answers": log.answers,
        "client_cpu_s": process_time(),
    }


if __name__ == "__main__":
    to, what, count, length = sys.argv[1:]
    print(json.dumps(asyncio.run(load(to, what.encode(), int(count), float(length)))))
