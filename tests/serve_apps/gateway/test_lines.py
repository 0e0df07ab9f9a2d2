"""Which replicas a gateway has a line to: found in the background, lost, found again, and what a stopped one holds."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from serve_apps.gateway import line as module
from serve_apps.gateway.line import Line, Lines, connect
from serve_apps.wire.calls import Unreached
from serve_apps.wire.line import address
from tests.build.killing import kill, stop
from tests.build.line import Ends, on_both_loops, replica_elsewhere
from tests.build.waiting import in_a_loop, turns, until
from tests.build.works import work


def lines_to(places: dict[str, str], asked: list[str]) -> Lines:
    """Lines of a gateway whose replicas listen there."""

    async def where(app: str) -> str:
        asked.append(app)
        if app not in places:
            raise Unreached(f"{app}: nobody")
        return places[app]

    return Lines(where)


@on_both_loops
async def test_a_line_is_looked_for_in_the_background_and_kept(ends: Ends) -> None:
    asked: list[str] = []
    lines = lines_to({"app": ends.where}, asked)
    assert lines.of("app") is None
    line: Line = await until(lambda: lines.of("app"))
    await lines.look("app")
    assert (lines.of("app") is line) is True
    assert asked == ["app"]
    line.close()


@on_both_loops
async def test_where_nobody_listens_there_is_no_line_and_nobody_asks_again_soon(ends: Ends) -> None:
    asked: list[str] = []
    lines = lines_to({"elsewhere": address("elsewhere")}, asked)
    for app in ("elsewhere", "gone"):
        await lines.look(app)
        assert lines.of(app) is None
    await turns(20)
    assert asked == ["elsewhere", "gone"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AGAIN_S", 0.0)
        assert lines.of("gone") is None
        await until(lambda: asked == ["elsewhere", "gone", "gone"])


@on_both_loops
async def test_a_replica_that_was_restarted_is_found_where_it_listens_now(ends: Ends) -> None:
    places, asked = {"app": ends.where}, list[str]()
    lines = lines_to(places, asked)
    await lines.look("app")
    first = lines.of("app")
    assert first is not None
    async with Ends() as restarted:
        places["app"] = restarted.where
        await ends.listening.close()
        await until(lambda: not first.open)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "AGAIN_S", 0.0)
            assert lines.of("app") is None
            second = await until(lambda: lines.of("app"))
        assert (await second.serve(work(1))).texts == ("done",)
        assert len(restarted.backend.works) == 1
        second.close()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[int, str]]:
    """A replica in a process of its own: its pid, and where it listens. The last test kills it."""
    with replica_elsewhere() as found:
        yield found


@pytest.mark.slow
@in_a_loop
async def test_a_stopped_replica_is_sent_no_more_than_it_can_take(elsewhere: tuple[int, str]) -> None:
    pid, where = elsewhere
    line = await connect(where, "app")
    stop(pid)
    large = work(1, inputs=("x" * 1_000_000,))
    sent = [asyncio.ensure_future(line.serve(large)) for _ in range(30)]
    await turns(50)
    assert not line._room.is_set()
    assert len(line._calls) < 10
    for each in sent:
        each.cancel()
    await asyncio.gather(*sent, return_exceptions=True)
    os.kill(pid, signal.SIGCONT)
    assert (await line.serve(work(2))).texts == ("done",)
    line.close()


@pytest.mark.slow
@in_a_loop
async def test_a_replica_that_is_stopped_holds_its_calls_and_gets_no_line(elsewhere: tuple[int, str]) -> None:
    pid, where = elsewhere
    line = await connect(where, "app")
    assert (await line.serve(work(1))).texts == ("done",)
    stop(pid)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await connect(where, "app")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await line.serve(work(2))
    held = asyncio.ensure_future(line.serve(work(3)))
    await turns(20)
    assert not held.done()
    os.kill(pid, signal.SIGCONT)
    assert (await held).texts == ("done",)
    stop(pid)
    held = asyncio.ensure_future(line.serve(work(4)))
    await turns(20)
    await asyncio.to_thread(kill, pid)
    with pytest.raises(Unreached, match="its process is gone"):
        await held
    assert not line.open
