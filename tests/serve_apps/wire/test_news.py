"""Versioned news: what a follower hears, whenever it comes and whatever becomes of its source."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from serve_apps.wire import news as module
from serve_apps.wire.calls import Unreached
from serve_apps.wire.news import Follower, News
from tests.build.calls import InMemoryCalls
from tests.build.waiting import news_arrives


def told(*items: tuple[str, str], run: str = "run") -> News[str]:
    """A source that has said these (topic, item)."""
    source: News[str] = News()
    source.begin(run)
    for topic, item in items:
        source.publish(item, topic)
    return source


def follower(source: News[str], heard: list[str], run: str = "run") -> tuple[Follower[str], InMemoryCalls]:
    calls = InMemoryCalls({"source": source})
    return Follower(calls, "source", run, heard.append), calls


def walk(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 20.0))


def test_who_comes_late_hears_the_latest_of_every_topic_in_the_order_it_was_said() -> None:
    async def steps() -> None:
        heard: list[str] = []
        late, _ = follower(told(("a", "a1"), ("b", "b1"), ("a", "a2")), heard)
        await late.poll()
        assert heard == ["b1", "a2"]

    walk(steps())


def test_what_was_heard_is_not_heard_again_and_what_is_new_comes_at_once() -> None:
    async def steps() -> None:
        heard: list[str] = []
        source = told(("a", "a1"))
        one, _ = follower(source, heard)
        await one.poll()
        waiting = asyncio.ensure_future(one.poll())
        await news_arrives()
        source.publish("a2", "a")
        await waiting
        assert heard == ["a1", "a2"]

    walk(steps())


def test_a_poll_without_news_ends_at_its_limit_with_nothing() -> None:
    async def steps() -> None:
        heard: list[str] = []
        one, _ = follower(told(("a", "a1")), heard)
        await one.poll()
        await one.poll(limit_s=0.01)
        assert heard == ["a1"]

    walk(steps())


def test_of_another_run_nothing_is_heard_until_it_begins() -> None:
    async def steps() -> None:
        heard: list[str] = []
        source = told(("a", "of the last run"))
        one, _ = follower(source, heard, run="next")
        await one.poll(limit_s=0.01)
        assert heard == []
        waiting = asyncio.ensure_future(one.poll())
        await news_arrives()
        source.begin("next")
        source.publish("of the next run", "a")
        await waiting
        assert heard == ["of the next run"]

    walk(steps())


def test_whoever_takes_the_place_of_a_source_is_heard_from_its_first_word() -> None:
    """Its predecessor had said more: counting from 0 again, the first items fell below what was heard already."""

    async def steps() -> None:
        heard: list[str] = []
        one, calls = follower(told(("a", "a1"), ("b", "b1")), heard)
        await one.poll()
        heard.clear()
        calls.back("source", told(("a", "a9"), ("b", "b9"), ("c", "c9")))
        await one.poll()
        assert heard == ["a9", "b9", "c9"]

    walk(steps())


def test_a_source_whose_clock_was_set_back_is_heard_all_the_same() -> None:
    async def steps() -> None:
        source = told(("a", "a1"))
        version, _ = await source.watch("run", 0, 0.0)
        assert await source.watch("run", version + 10**12, 0.0) == (version, ("a1",))

    walk(steps())


def test_a_source_that_is_not_reached_is_asked_again_and_everything_heard_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)

    async def steps() -> None:
        heard: list[str] = []
        source, losses = told(("a", "a1")), 0

        def lost() -> None:
            nonlocal losses
            losses += 1
            calls.back("source")

        calls = InMemoryCalls({"source": source})
        arrived = asyncio.Event()

        def hear(item: str) -> None:
            heard.append(item)
            arrived.set()

        running = asyncio.ensure_future(Follower(calls, "source", "run", hear, lost).run())
        await arrived.wait()
        arrived.clear()
        calls.lose("source")
        await arrived.wait()
        running.cancel()
        assert heard == ["a1", "a1"]
        assert losses == 1

    walk(steps())


def test_what_is_asked_anew_while_a_poll_is_out_is_heard_from_the_start() -> None:
    async def steps() -> None:
        heard: list[str] = []
        source = told(("a", "a1"), ("b", "b1"))
        one, _ = follower(source, heard)
        await one.poll()
        waiting = asyncio.ensure_future(one.poll())
        await news_arrives()
        one.again()
        source.publish("b2", "b")
        await waiting
        heard.clear()
        await one.poll()
        assert heard == ["a1", "b2"]

    walk(steps())


def test_one_poll_says_that_nobody_was_reached() -> None:
    async def steps() -> None:
        one, calls = follower(told(), [])
        calls.lose("source")
        with pytest.raises(Unreached):
            await one.poll()

    walk(steps())


def test_news_whose_hearing_takes_time_are_heard_one_after_the_other() -> None:
    async def steps() -> None:
        heard: list[str] = []

        async def hear(item: str) -> None:
            await news_arrives()
            heard.append(item)

        calls = InMemoryCalls({"source": told(("a", "a1"), ("b", "b1"))})
        await Follower(calls, "source", "run", hear).poll()
        assert heard == ["a1", "b1"]

    walk(steps())
