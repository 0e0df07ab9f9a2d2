"""An end to answers of a server that goes on sending: its client gives up only where nothing comes for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2

_ENDS_S = "edgebed_ends_s"


class _Ended(httpx2.SyncByteStream):
    """The body of a response, as far as it comes in time. Raises `httpx2.ReadTimeout` after that."""

    def __init__(self, inner: httpx2.SyncByteStream, late: Callable[[], bool]) -> None:
        self._inner = inner
        self._late = late

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            if self._late():
                raise httpx2.ReadTimeout("the answer goes on for longer than the request may take")
            yield chunk

    def close(self) -> None:
        """Close what it is read from."""
        self._inner.close()


def deadline_hooks(now_s: Callable[[], float]) -> dict[str, list[Callable[..., Any]]]:
    """Event hooks of an HTTP client that hold every request, its answer included, to its read timeout.

    A request that is redirected has that time once. Looked at whenever something comes: what falls silent just before
    its end is given up by the read timeout itself.
    """

    def begins(request: httpx2.Request) -> None:
        allowed_s = request.extensions.get("timeout", {}).get("read")
        if allowed_s is not None:
            request.extensions.setdefault(_ENDS_S, now_s() + allowed_s)

    def answers(response: httpx2.Response) -> None:
        ends_s = response.request.extensions.get(_ENDS_S)
        if ends_s is not None and isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _Ended(response.stream, lambda: now_s() > ends_s)

    return {"request": [begins], "response": [answers]}
