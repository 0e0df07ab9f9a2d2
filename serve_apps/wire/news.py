"""The one way to publish what changes and to follow it: versioned news, heard by long polls.

A source keeps the latest item of each topic. A follower that lost it, or whose source was restarted, hears the latest
of every topic again: versions of a new process lie above all those of the one before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from serve_apps.wire.calls import CALL_LIMIT_S, Calls, Unreached

log = logging.getLogger("edgebed")

WATCH_S = 5.0
"""Wall seconds of one long poll."""
AGAIN_S = 0.5
"""Wall seconds before a source that was not reached is asked again."""

ItemT = TypeVar("ItemT")


class News(Generic[ItemT]):
    """What one process has to say about one run; its actor offers `watch` under the same name."""

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._version = 0
        self._latest: dict[str, tuple[int, ItemT]] = {}
        self._changed = asyncio.Event()

    def begin(self, run_id: str) -> None:
        """Speak of this run from now on; what was said of another is forgotten."""
        self._run_id, self._latest = run_id, {}
        self._version = max(self._version, time.time_ns())
        self._wake()

    def publish(self, item: ItemT, topic: str = "") -> None:
        """Say something new, in place of what was said last on this topic."""
        self._version += 1
        self._latest[topic] = (self._version, item)
        self._wake()

    async def watch(self, run_id: str, version: int, limit_s: float) -> tuple[int, tuple[ItemT, ...]]:
        """The present version and what is newer than `version` (0: the latest of every topic), oldest first.

        Waits up to `limit_s` wall seconds for some. Of a run other than the present one there is none, at version 0.
        """
        until = asyncio.get_running_loop().time() + limit_s
        while True:
            ours = run_id == self._run_id
            since = version if version <= self._version else 0
            if ours and (newer := sorted(said for said in self._said() if said[0] > since)):
                return self._version, tuple(self._latest[topic][1] for _, topic in newer)
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                return (version, ()) if ours else (0, ())

    def _said(self) -> list[tuple[int, str]]:
        return [(version, topic) for topic, (version, _) in self._latest.items()]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Follower(Generic[ItemT]):
    """Follows the news of one actor about one run, and passes them on as they come."""

    def __init__(
        self,
        calls: Calls,
        name: str,
        run_id: str,
        hear: Callable[[ItemT], Awaitable[None] | None],
        lost: Callable[[], None] | None = None,
    ) -> None:
        """`lost` is called whenever the actor is not reached; everything is then heard again."""
        self._calls, self._name, self._run_id = calls, name, run_id
        self._hear, self._lost = hear, lost
        self._version = 0
        self._polls = 0

    def again(self) -> None:
        """What was heard counts no more: the next poll that begins hears the latest of every topic."""
        self._version, self._polls = 0, self._polls + 1

    async def poll(self, limit_s: float = WATCH_S) -> None:
        """Hear once what is new. Raises `Unreached`."""
        polls = self._polls
        heard: tuple[int, tuple[Any, ...]] = await self._calls.call(
            self._name, "watch", self._run_id, self._version, limit_s, limit_s=limit_s + CALL_LIMIT_S / 2
        )
        version, items = heard
        for item in items:
            waiting = self._hear(item)
            if waiting is not None:
                await waiting
        if polls == self._polls:  # else it must begin anew
            self._version = version

    async def run(self) -> None:
        """Hear for ever."""
        while True:
            try:
                await self.poll()
            except Unreached as error:
                log.info("no news: %s", error)
                self.again()
                if self._lost is not None:
                    self._lost()
                await asyncio.sleep(AGAIN_S)
