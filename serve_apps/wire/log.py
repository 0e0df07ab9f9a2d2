"""What happens in one process in one run, in order, for followers that must miss nothing of it.

News keep the latest of each topic; a log keeps everything for a while. Whoever fell behind further than that, or comes
anew, is told how things stand instead.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serve_apps.wire.calls import CALL_LIMIT_S, Calls, Unreached
from serve_apps.wire.news import AGAIN_S, WATCH_S

KEPT = 4096
"""Entries of a log that are kept for whoever is behind."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Heard(Generic[ItemT]):
    """What was heard of a log at once."""

    number: int
    """Up to where; to be given with the next question."""
    whole: bool
    """These items say how all stands; False: they follow what was heard before."""
    items: tuple[ItemT, ...]


class Log(Generic[ItemT]):
    """The log of one process."""

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._standing: Callable[[], Iterable[ItemT]] = tuple
        self._number = 0
        self._entries: deque[ItemT] = deque(maxlen=KEPT)
        """Those with the numbers up to the present one."""
        self._changed = asyncio.Event()

    def begin(self, run_id: str, standing: Callable[[], Iterable[ItemT]]) -> None:
        """Keep the log of this run from now on; `standing` says how things stand, for whoever is too far behind."""
        self._run_id, self._standing = run_id, standing
        self._entries.clear()
        self._number = max(self._number, time.time_ns())
        self._wake()

    def add(self, item: ItemT) -> None:
        """It happened."""
        self._number += 1
        self._entries.append(item)
        self._wake()

    async def read(self, run_id: str, number: int, limit_s: float) -> Heard[ItemT]:
        """What happened since `number` (0: how all stands), oldest first; waits up to `limit_s` wall seconds for some.

        Of a run other than the present one there is nothing, and the number is 0.
        """
        until = asyncio.get_running_loop().time() + limit_s
        while True:
            if run_id == self._run_id and number != self._number:
                behind = self._number - number
                if not 0 < behind <= len(self._entries):
                    return Heard(self._number, True, tuple(self._standing()))
                return Heard(self._number, False, tuple(self._entries)[-behind:])
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                return Heard(number if run_id == self._run_id else 0, False, ())

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def follow_log(
    calls: Calls,
    name: str,
    method: str,
    run_id: str,
    hear: Callable[[Heard[Any]], None],
    pause_s: float,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> None:
    """Pass on, for ever, what happens in the log that an actor offers as `method`.

    What happens is heard `pause_s` wall seconds later at most, and the time of one call; so much is asked for at once.
    An actor that was not reached is asked again, and then how all stands. While nothing happens, that is passed on too,
    every `WATCH_S`.
    """
    number = 0
    while True:
        try:
            heard: Heard[Any] = await calls.call(
                name, method, run_id, number, WATCH_S, limit_s=WATCH_S + CALL_LIMIT_S / 2
            )
        except Unreached:
            number = 0
            await sleep(AGAIN_S)
            continue
        hear(heard)
        number = heard.number
        await sleep(pause_s)
