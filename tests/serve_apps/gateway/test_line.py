"""A line between a gateway and a replica: what is called over it, given up, held back and lost."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serve_apps.replica import line as replica_module
from serve_apps.wire import line as wire
from serve_apps.wire.calls import Unreached
from serve_apps.wire.line import ITEM, SERVE, STREAM, WINDOW, frame
from serve_apps.wire.messages import Answer, Delta, Work
from tests.build.gateway import hanging, items_of, raising, said, served
from tests.build.line import Ends, on_both_loops, raw_end
from tests.build.waiting import turns, until
from tests.build.works import work

MANY = 5 * WINDOW


def counting(sent: list[int], count: int = MANY) -> Any:
    """A stream of so many words, each of which is counted when it is made."""

    async def stream(given: Work) -> AsyncIterator[Delta | Answer]:
        for number in range(count):
            sent.append(number)
            yield Delta(choice=0, text=f" {number}", tokens=1)
        yield await served(given)

    return stream


@on_both_loops
async def test_an_attempt_is_answered_whole_and_in_a_stream(ends: Ends) -> None:
    line = await ends.line()
    asked = work(1)
    assert (await line.serve(asked)).texts == ("done",)
    *deltas, last = [item async for item in items_of(line.stream(work(2)))]
    assert [d.text for d in deltas if isinstance(d, Delta)] == ["a", " b", " c", " d"]
    assert isinstance(last, Answer)
    assert [w.request.id for w in ends.backend.works] == ["r1", "r2"]
    assert ends.backend.works[0] == asked
    assert ends.backend.given_up == []


@on_both_loops
async def test_a_picture_of_megabytes_goes_both_ways(ends: Ends) -> None:
    picture = os.urandom(1_000_000)

    async def back(given: Work) -> Answer:
        (sent,) = given.ask.inputs
        assert isinstance(sent, str)
        done = await served(given)
        return Answer(served=done.served, images=(sent[::-1].encode(),))

    ends.backend.serving = back
    line = await ends.line()
    sent = [picture[i:].hex() for i in range(3)]
    answers = await asyncio.gather(*(line.serve(work(i, inputs=(text,))) for i, text in enumerate(sent)))
    assert [answer.images for answer in answers] == [(text[::-1].encode(),) for text in sent]


@on_both_loops
async def test_a_replica_takes_every_attempt_at_once(ends: Ends) -> None:
    all_here = asyncio.Event()

    async def together(given: Work) -> Answer:
        if len(ends.backend.works) == 300:
            all_here.set()
        await all_here.wait()
        return await served(given)

    ends.backend.serving = together
    lines = [await ends.line() for _ in range(3)]
    answers = await asyncio.gather(*(lines[i % 3].serve(work(i)) for i in range(300)))
    assert len(answers) == 300


@on_both_loops
async def test_who_gives_up_ends_the_work(ends: Ends) -> None:
    entered = asyncio.Event()
    ends.backend.serving = hanging(entered)
    line = await ends.line()
    waiting = asyncio.ensure_future(line.serve(work(1)))
    await entered.wait()
    waiting.cancel()
    await until(lambda: ends.backend.given_up == ["r1"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await line.serve(work(2))
    await until(lambda: ends.backend.given_up == ["r1", "r2"])
    ends.backend.serving = served
    assert (await line.serve(work(3))).texts == ("done",)


@on_both_loops
async def test_who_leaves_a_stream_ends_its_work(ends: Ends) -> None:
    sent: list[int] = []
    ends.backend.streaming = counting(sent)
    line = await ends.line()
    items = items_of(line.stream(work(1)))
    await anext(items)
    del items  # as an attempt does whose client leaves between two items
    await until(lambda: ends.backend.given_up == ["r1"])
    assert len(sent) <= WINDOW + 1


@on_both_loops
async def test_who_has_the_answer_of_a_stream_gives_nothing_up(ends: Ends) -> None:
    go_on = asyncio.Event()

    async def lingers(given: Work) -> AsyncIterator[Delta | Answer]:
        yield await served(given)
        await go_on.wait()

    ends.backend.streaming = lingers
    line = await ends.line()
    items = items_of(line.stream(work(1)))
    assert isinstance(await anext(items), Answer)
    del items  # as an attempt does
    assert (await line.serve(work(2))).texts == ("done",)
    assert ends.backend.given_up == []
    go_on.set()


@on_both_loops
async def test_what_is_given_up_before_it_began_never_begins(ends: Ends) -> None:
    line = await ends.line()
    number, _ = await line._begin(SERVE, work(1))
    line._leave(number, over=False)
    assert (await line.serve(work(2))).texts == ("done",)
    assert [w.request.id for w in ends.backend.works] == ["r2"]


@on_both_loops
async def test_an_attempt_that_breaks_is_lost_and_its_words_are_not_told(ends: Ends) -> None:
    line = await ends.line()
    ends.backend.serving = raising(ValueError("what a client said"))
    with pytest.raises(Unreached, match=r"^app: ValueError$"):
        await line.serve(work(1))
    ends.backend.streaming = said("a b", ValueError("what a client said"))
    items = items_of(line.stream(work(2)))
    assert len([await anext(items), await anext(items)]) == 2
    with pytest.raises(Unreached, match=r"^app: ValueError$"):
        await anext(items)
    ends.backend.serving = served
    assert (await line.serve(work(3))).texts == ("done",)


@on_both_loops
async def test_a_backend_that_cancels_itself_is_lost_too(ends: Ends) -> None:
    ends.backend.serving = raising(asyncio.CancelledError())  # type: ignore[arg-type]
    line = await ends.line()
    with pytest.raises(Unreached, match="CancelledError"):
        await line.serve(work(1))


@on_both_loops
async def test_what_cannot_be_pickled_is_lost_and_the_line_goes_on(ends: Ends) -> None:
    async def odd(given: Work) -> Any:
        return lambda: given

    ends.backend.serving = odd
    line = await ends.line()
    with pytest.raises(Unreached, match="app: "):
        await line.serve(work(1))
    with pytest.raises(Unreached, match="app: not sent: "):
        await line.serve(work(2, inputs=(lambda: 0,)))
    ends.backend.serving = served
    assert (await line.serve(work(3))).texts == ("done",)


@on_both_loops
async def test_what_is_too_long_is_lost_and_the_line_goes_on(ends: Ends) -> None:
    async def long(given: Work) -> Answer:
        done = await served(given)
        return Answer(served=done.served, images=(b"x" * 20_000,))

    line = await ends.line()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "LONGEST", 10_000)
        with pytest.raises(Unreached, match="not sent: Corrupt"):
            await line.serve(work(1, inputs=("x" * 20_000,)))
        ends.backend.serving = long
        with pytest.raises(Unreached, match="app: Corrupt"):
            await line.serve(work(2))
    assert len((await line.serve(work(3))).images[0]) == 20_000


@on_both_loops
async def test_a_stream_without_an_answer_just_ends(ends: Ends) -> None:
    ends.backend.streaming = said("a b", None)
    line = await ends.line()
    assert len([item async for item in items_of(line.stream(work(1)))]) == 2


@on_both_loops
async def test_what_of_a_stream_came_together_is_handed_on_together_and_no_more_than_a_little(
    ends: Ends,
) -> None:
    line = await ends.line()
    batches = [list(batch) async for batch in line.stream(work(1))]
    assert [len(batch) for batch in batches] == [5]
    ends.backend.streaming = counting([])
    batches = [list(batch) async for batch in line.stream(work(2))]
    assert sum(map(len, batches)) == MANY + 1
    assert 1 < max(map(len, batches)) <= WINDOW // 2

    async def large(given: Work) -> AsyncIterator[Delta | Answer]:
        for _ in range(8):
            yield Delta(choice=0, text="x" * 30_000, tokens=1)
        yield await served(given)

    ends.backend.streaming = large
    batches = [list(batch) async for batch in line.stream(work(3))]
    assert sum(map(len, batches)) == 9
    assert max(map(len, batches)) <= 3


@on_both_loops
async def test_what_came_before_a_stream_broke_is_handed_on(ends: Ends) -> None:
    ends.backend.streaming = said("a b c", ValueError("broke"))
    line = await ends.line()
    items = items_of(line.stream(work(1)))
    heard = [await anext(items) for _ in range(3)]
    assert [item.text for item in heard if isinstance(item, Delta)] == ["a", " b", " c"]
    with pytest.raises(Unreached, match="ValueError"):
        await anext(items)


@on_both_loops
async def test_a_stream_that_nobody_reads_is_held_back_alone(ends: Ends) -> None:
    sent: list[int] = []
    ends.backend.streaming = counting(sent)
    line = await ends.line()
    slow = items_of(line.stream(work(1)))
    first = await anext(slow)
    await until(lambda: len(sent) > WINDOW)
    assert (await line.serve(work(2))).texts == ("done",)
    await turns(50)
    assert len(sent) <= WINDOW + 1
    *deltas, last = [first, *[item async for item in slow]]
    assert [d.text for d in deltas if isinstance(d, Delta)] == [f" {i}" for i in range(MANY)]
    assert isinstance(last, Answer)


@on_both_loops
async def test_a_gateway_that_reads_nothing_holds_its_streams_back_and_nobody_elses(ends: Ends) -> None:
    sent: list[int] = []

    async def large(given: Work) -> AsyncIterator[Delta | Answer]:
        for number in range(WINDOW):
            sent.append(number)
            yield Delta(choice=0, text="x" * 500_000, tokens=1)
        yield await served(given)

    ends.backend.streaming = large
    with raw_end(ends.where) as stopped:
        stopped.sendall(b"".join(frame(STREAM, 1, work(1))))
        await until(lambda: len(sent) > 8)
        await turns(200)
        assert len(sent) < WINDOW // 2
        assert (await (await ends.line()).serve(work(2))).texts == ("done",)
    await until(lambda: ends.backend.given_up == ["r1"])


@on_both_loops
async def test_what_waits_for_room_is_lost_with_the_line(ends: Ends) -> None:
    line = await ends.line()
    line.pause_writing()
    waiting = asyncio.ensure_future(line.serve(work(1)))
    await turns(5)
    assert not waiting.done()
    line.close(at_once=True)
    with pytest.raises(Unreached, match="app: not sent: the line is at its end"):
        await waiting
    assert ends.backend.works == []


@on_both_loops
async def test_with_its_replica_every_attempt_is_lost(ends: Ends) -> None:
    ends.backend.serving = hanging()
    line = await ends.line()
    items = items_of(line.stream(work(9)))
    ends.backend.streaming = said("a", None)
    waiting = [asyncio.ensure_future(line.serve(work(i))) for i in range(3)]
    await until(lambda: len(ends.backend.works) == 3)
    for each in tuple(ends.listening._lines):
        each.close(at_once=True)
    for found in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(found, Unreached)
        assert str(found) == "app: its process is gone"
    with pytest.raises(Unreached):
        await anext(items)
    assert not line.open


@on_both_loops
async def test_with_its_gateway_every_work_ends_and_no_others(ends: Ends) -> None:
    ends.backend.serving = hanging()
    gone, stays = await ends.line(), await ends.line()
    at_gone = [asyncio.ensure_future(gone.serve(work(i))) for i in range(2)]
    at_other = asyncio.ensure_future(stays.serve(work(7)))
    await until(lambda: len(ends.backend.works) == 3)
    gone.close(at_once=True)
    await until(lambda: sorted(ends.backend.given_up) == ["r0", "r1"])
    ends.backend.serving = served
    assert (await stays.serve(work(8))).texts == ("done",)
    assert not at_other.done()
    assert len(ends.listening._lines) == 1
    assert all(isinstance(e, Unreached) for e in await asyncio.gather(*at_gone, return_exceptions=True))


@on_both_loops
async def test_a_replica_that_leaves_lets_its_calls_end_and_takes_no_other(ends: Ends) -> None:
    go_on = asyncio.Event()

    async def waits(given: Work) -> Answer:
        await go_on.wait()
        done = await served(given)
        return Answer(served=done.served, images=(b"x" * 20_000_000,))  # more than a socket takes at once

    ends.backend.serving = waits
    line = await ends.line()
    under_way = asyncio.ensure_future(line.serve(work(1)))
    await until(lambda: ends.backend.works)
    closing = asyncio.ensure_future(ends.listening.close())
    await until(lambda: not line.open)
    with pytest.raises(OSError, match="refused"):
        await ends.line()
    assert not closing.done()
    go_on.set()
    assert len((await under_way).images[0]) == 20_000_000
    await closing


@on_both_loops
async def test_a_replica_that_leaves_waits_for_nobody_for_ever(ends: Ends) -> None:
    ends.backend.serving = hanging()
    line = await ends.line()
    under_way = asyncio.ensure_future(line.serve(work(1)))
    await until(lambda: ends.backend.works)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replica_module, "DRAIN_S", 0.01)
        await ends.listening.close()
    with pytest.raises(Unreached):
        await under_way


@on_both_loops
async def test_an_answer_that_cannot_be_read_is_lost(ends: Ends) -> None:
    line = await ends.line()
    number, heard = await line._begin(SERVE, work(1))
    line.heard(ITEM, number, memoryview(pickle.dumps("whole")[:-3]))
    with pytest.raises(Unreached, match="cannot be read"):
        line._item(*heard.get_nowait())
    line._leave(number, over=True)
