"""The emulated backend at its node: words at the node's pace, and nobody served whose caller is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from emulation.domain.cluster import ModelSpec
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.emulated import Emulated
from serve_apps.wire.calls import Unreached
from serve_apps.wire.messages import Answer, Delta, Work
from serve_apps.wire.names import runtime_name
from tests.build.fakes import device_testbed
from tests.build.nodes import NodeWorld
from tests.build.waiting import in_a_loop, news_arrives, until


class Joined:
    """A replica of model m, and its node."""

    def __init__(self, **model: Any) -> None:
        self.node = NodeWorld(device_testbed(), "d0")
        spec = BackendSpec("d0", ModelSpec(id="m", **{"modality": "text"} | model))
        self.replica = Emulated(spec, self.node.calls)
        self.heard: list[Delta | Answer] = []

    async def listen(self, work: Work) -> None:
        async for item in self.replica.stream(work):
            self.heard.append(item)

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.heard if isinstance(item, Delta))


@in_a_loop
async def test_what_is_streamed_adds_up_to_the_answer() -> None:
    joined = Joined()
    await joined.node.begin()
    work = joined.node.work(1, "d0", prompts=2)
    listening = asyncio.ensure_future(joined.listen(work))
    await news_arrives()
    joined.node.clock.go_to(0.5)
    await until(lambda: joined.heard)
    first = joined.text
    joined.node.clock.go_to(2.0)
    await listening
    whole = joined.heard[-1]
    assert isinstance(whole, Answer)
    assert joined.text == "".join(whole.texts)
    assert joined.text.startswith(first)
    assert 0 < len(first) < len(joined.text)
    assert sum(item.tokens for item in joined.heard if isinstance(item, Delta)) == whole.completion_tokens


@in_a_loop
async def test_captions_come_whole_at_the_end() -> None:
    joined = Joined(modality="caption")
    await joined.node.begin()
    listening = asyncio.ensure_future(joined.listen(joined.node.work(1, "d0", prompts=2)))
    await news_arrives()
    joined.node.clock.go_to(2.0)
    await listening
    said, whole = joined.heard
    assert isinstance(said, Delta)
    assert isinstance(whole, Answer)
    assert said.text == "\n".join(whole.texts)


@pytest.mark.parametrize("streamed", [False, True])
@in_a_loop
async def test_a_caller_that_goes_away_frees_the_node_for_the_next(streamed: bool) -> None:
    joined = Joined()
    await joined.node.begin()
    work = joined.node.work(1, "d0", prompts=9)
    call = joined.listen(work) if streamed else joined.replica.serve(work)
    gone = asyncio.ensure_future(call)
    await until(joined.node.state.jobs)
    gone.cancel()
    await until(lambda: not joined.node.state.jobs())
    following = asyncio.ensure_future(joined.replica.serve(joined.node.work(2, "d0")))
    await news_arrives()
    joined.node.clock.go_to(1.0)
    assert (await following).served.ended_s == 1.0


@in_a_loop
async def test_a_caller_of_an_attempt_that_was_replaced_takes_nothing_away() -> None:
    joined = Joined()
    await joined.node.begin()
    work = joined.node.work(1, "d0")
    gone = asyncio.ensure_future(joined.replica.serve(work))
    await until(joined.node.state.jobs)
    joined.node.calls.silence(runtime_name("d0"))
    gone.cancel()
    await news_arrives()  # its cancel is on the way
    second = asyncio.ensure_future(joined.node.core.serve(replace(work, attempt=2)))
    await news_arrives()
    joined.node.calls.back(runtime_name("d0"))
    await news_arrives()
    joined.node.clock.go_to(1.0)
    assert (await second).outcome == "done"


@in_a_loop
async def test_a_node_that_is_lost_breaks_the_call_and_says_which() -> None:
    joined = Joined()
    await joined.node.begin()
    waiting = asyncio.ensure_future(joined.replica.serve(joined.node.work(1, "d0")))
    await until(joined.node.state.jobs)
    joined.node.calls.lose(runtime_name("d0"))
    with pytest.raises(Unreached, match="d0"):
        await waiting
