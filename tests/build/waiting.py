"""Waiting for the thing itself: no test sleeps for a time that it hopes is long enough."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

import httpx2

LONG_S = 60.0
"""Wall seconds after which what a test waits for counts as never coming. Where other work has all cores of a slow
machine, a program took more than 20 to be started and to do its first thing."""
P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """An `async def` test, run in an event loop of its own to its end, or until it counts as never ending."""

    @functools.wraps(test)
    def run(*args: P.args, **given: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **given), LONG_S))

    return run


def eventually(
    what: Callable[[], Any],
    timeout_s: float = LONG_S,
    said: Callable[[], str] = lambda: "it did not come to this",
) -> Any:
    """The first true value of `what` within the timeout; fails otherwise, with what is `said` then.

    Errors of HTTP count as not yet.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            found = what()
        except httpx2.HTTPError:
            found = None
        if found or time.monotonic() > deadline:
            assert found, f"not within {timeout_s} s: {said()}"
            return found
        time.sleep(0.02)


async def until(what: Callable[[], Any], timeout_s: float = LONG_S) -> Any:
    """The same while the event loop goes on."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        await asyncio.sleep(0.005)
    return found


async def news_arrives() -> None:
    """Let whatever is under way in this event loop come to rest: what a node said reaches its replica."""
    await turns(50)


async def turns(count: int) -> None:
    """Let the event loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)
