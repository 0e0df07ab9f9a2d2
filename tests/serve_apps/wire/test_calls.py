"""Calls through Ray, with handles that are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serve_apps.wire.calls import RayCalls, Unreached, each_within
from tests.build.waiting import until


class Method:
    """A method of an actor whose answers a test gives."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Any]] = []

    def remote(self, *_: Any) -> asyncio.Future[Any]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


class Actor:
    def __init__(self) -> None:
        self.ask = Method()


def calls(actor: Actor) -> RayCalls:
    found = RayCalls()
    found._handles["actor"] = actor
    return found


def test_a_caller_that_is_cancelled_as_its_answer_comes_is_cancelled() -> None:
    """It went on: a controller of a run that was over decided in the next one, and wrote into its record."""

    async def steps() -> None:
        actor = Actor()
        asking = asyncio.ensure_future(calls(actor).call("actor", "ask"))
        await until(lambda: actor.ask.answers)
        actor.ask.answers[0].set_result("late")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(steps())


def test_silence_beyond_the_limit_is_a_failure_that_says_so() -> None:
    async def steps() -> None:
        with pytest.raises(Unreached, match="no answer in time"):
            await calls(Actor()).call("actor", "ask", limit_s=0.01)

    asyncio.run(steps())


async def _counting(stops_at: int) -> AsyncIterator[int]:
    for number in range(stops_at):
        yield number
    await asyncio.Event().wait()


def test_a_stream_that_falls_silent_is_given_up() -> None:
    found: list[int] = []

    async def hear() -> None:
        async for number in each_within(_counting(2), 0.01):
            found.append(number)

    with pytest.raises(TimeoutError):
        asyncio.run(hear())
    assert found == [0, 1]
