"""A log that is followed: nothing is missed, nothing heard twice, and whoever is behind hears how all stands."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve_apps.wire import log as module
from serve_apps.wire.log import Heard, Log, follow_log
from tests.build.calls import InMemoryCalls
from tests.build.waiting import in_a_loop, news_arrives, turns


def begun(*items: str, stands: tuple[str, ...] = ("all",), run_id: str = "run") -> Log[str]:
    log: Log[str] = Log()
    log.begin(run_id, lambda: stands)
    for item in items:
        log.add(item)
    return log


@in_a_loop
async def test_who_comes_anew_hears_how_all_stands_and_then_what_follows() -> None:
    log = begun("a", "b")
    first = await log.read("run", 0, 0.0)
    assert (first.whole, first.items) == (True, ("all",))
    waiting = asyncio.ensure_future(log.read("run", first.number, 20.0))
    await news_arrives()
    assert not waiting.done()
    log.add("c")
    second = await waiting
    log.add("d")
    log.add("e")
    third = await log.read("run", second.number, 0.0)
    assert [(h.whole, h.items) for h in (second, third)] == [(False, ("c",)), (False, ("d", "e"))]
    nothing = await log.read("run", third.number, 0.0)
    assert (nothing.number, nothing.whole, nothing.items) == (third.number, False, ())


@in_a_loop
async def test_who_is_too_far_behind_hears_how_all_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    log = begun()
    number = (await log.read("run", 0, 0.0)).number
    for item in "abc":
        log.add(item)
    assert (await log.read("run", number, 0.0)).items == ("a", "b", "c")
    log.add("d")
    assert (await log.read("run", number, 0.0)).whole


@in_a_loop
async def test_numbers_of_a_process_that_is_no_more_say_nothing_to_its_successor() -> None:
    old, new = begun("a"), begun()
    number = (await old.read("run", 0, 0.0)).number
    assert (await new.read("run", number, 0.0)).whole
    assert await new.read("another", number, 0.0) == Heard(0, False, ())


@in_a_loop
async def test_a_follower_asks_for_much_at_once_and_for_all_after_it_lost_its_source() -> None:
    log, heard = begun(), list[Heard[Any]]()
    calls = InMemoryCalls({"node": log})
    pauses: asyncio.Queue[float] = asyncio.Queue()
    go_on = asyncio.Semaphore(0)

    async def pause(seconds: float) -> None:
        pauses.put_nowait(seconds)
        await go_on.acquire()

    following = asyncio.ensure_future(follow_log(calls, "node", "read", "run", heard.append, 0.25, pause))
    assert await pauses.get() == 0.25
    for item in "abc":
        log.add(item)
    await turns(20)
    go_on.release()
    assert await pauses.get() == 0.25
    assert [h.items for h in heard] == [("all",), ("a", "b", "c")]
    calls.lose("node")
    go_on.release()
    assert await pauses.get() == module.AGAIN_S
    calls.back("node", begun(stands=("other",)))
    go_on.release()
    assert await pauses.get() == 0.25
    assert (heard[-1].whole, heard[-1].items) == (True, ("other",))
    following.cancel()
