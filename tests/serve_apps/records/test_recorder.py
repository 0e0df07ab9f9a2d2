"""The recorder as a plain object: what it counts once, what it closes for the dead, whom it tells of runs."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.request import Request
from emulation.recording import read_run
from serve_apps.records import gateways as gateways_module
from serve_apps.records import recorder as recorder_module
from serve_apps.records.batch import RecordBatch
from serve_apps.records.books import SEALED
from serve_apps.records.recorder import ANY_RUN, Recorder
from serve_apps.records.store import OPEN_FOLDER
from serve_apps.wire.messages import RunState
from serve_apps.wire.names import RECORDER
from serve_apps.wire.news import Follower
from tests.build.calls import InMemoryCalls
from tests.build.fakes import request
from tests.build.live_runs import plan
from tests.build.waiting import in_a_loop, news_arrives


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Recorder]:
    """A recorder with an open run."""
    recorder = Recorder()
    await recorder.open(plan(folder), {"gateway": "its part"})
    yield recorder
    await recorder.close()


async def append(recorder: Recorder, source: str, number: int, *entries: tuple[str, tuple[Any, ...]]) -> None:
    await recorder.append("run", source, number, b"".join(map(pickle.dumps, entries)))


def arrive(wanted: Request) -> tuple[str, tuple[Any, ...]]:
    return "arrive", (wanted,)


def end(wanted: Request, outcome: str) -> tuple[str, tuple[Any, ...]]:
    return "end", (wanted, outcome, wanted.arrival_s + 1.0)


class GatewayHandle:
    """A gateway's handle that says it lives, or hangs for ever."""

    def __init__(self, lives: bool) -> None:
        self._lives = lives

    @property
    def __ray_ready__(self) -> GatewayHandle:
        return self

    def remote(self) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._lives:
            answer.set_result(None)
        return answer


@in_a_loop
async def test_a_batch_that_is_sent_twice_is_counted_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as recorder:
        one, two = request(1, 0.0), request(2, 1.0)
        await append(recorder, "g", 1, arrive(one), end(one, "done"))
        await append(recorder, "g", 1, arrive(one), end(one, "done"))
        await append(recorder, "g", 3, arrive(two), end(two, "done"))
        footer = await recorder.close()
        assert footer is not None
        assert footer.arrived == {"m": 2}
        assert [r.request_id for r in read_run(tmp_path).requests] == [one.id, two.id]


@in_a_loop
async def test_a_batch_of_another_run_is_not_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as recorder:
        await recorder.append("the run before", "g", 1, pickle.dumps(arrive(request(1, 0.0))))
        assert (await recorder.progress()).arrived == 0


@pytest.mark.parametrize(("lives", "open_after"), [(True, 1), (False, 0)])
@in_a_loop
async def test_requests_of_a_dead_gateway_are_closed_as_errors_when_another_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: bool, open_after: int
) -> None:
    monkeypatch.setattr(gateways_module, "ALIVE_TIMEOUT_S", 0.01)
    async with opened(tmp_path) as recorder:
        await recorder.join("run", "first", GatewayHandle(lives))
        await append(recorder, "first", 1, arrive(request(1, 0.0)))
        await recorder.join("run", "second", GatewayHandle(lives=True))
        assert (await recorder.progress()).in_system == open_after
        footer = await recorder.close()
        assert footer is not None
        assert footer.ends == ({} if lives else {"m": {"error": 1}})


@in_a_loop
async def test_an_end_that_comes_after_its_gateway_was_thought_dead_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways_module, "ALIVE_TIMEOUT_S", 0.01)
    async with opened(tmp_path) as recorder:
        wanted = request(1, 0.0)
        await recorder.join("run", "first", GatewayHandle(lives=False))
        await append(recorder, "first", 1, arrive(wanted))
        await recorder.join("run", "second", GatewayHandle(lives=True))
        await append(recorder, "first", 2, end(wanted, "done"))
        footer = await recorder.close()
        assert footer is not None
        assert footer.ends == {"m": {"error": 1}}


@in_a_loop
async def test_a_run_is_joined_as_soon_as_enough_gateways_are_ready(tmp_path: Path) -> None:
    async with opened(tmp_path) as recorder:
        waiting = asyncio.ensure_future(recorder.joined("run", 2, 20.0))
        await recorder.ready("run", "first")
        await recorder.ready("the run before", "second")
        await news_arrives()
        assert not waiting.done()
        await recorder.ready("run", "second")
        assert await waiting
        assert not await recorder.joined("run", 3, 0.01)


@in_a_loop
async def test_gateways_of_a_run_are_known_by_number_and_where_each_alone_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways_module, "ALIVE_TIMEOUT_S", 0.01)
    async with opened(tmp_path) as recorder:
        assert await recorder.gateways() == []
        await recorder.join(
            "run", "dead", GatewayHandle(lives=False), {"pid": 1, "url": "http://127.0.0.1:1"}
        )
        await recorder.join(
            "run", "alive", GatewayHandle(lives=True), {"pid": 2, "url": "http://127.0.0.1:2"}
        )
        assert await recorder.gateways() == [
            {"number": 0, "alive": False, "pid": 1, "url": "http://127.0.0.1:1"},
            {"number": 1, "alive": True, "pid": 2, "url": "http://127.0.0.1:2"},
        ]


@in_a_loop
async def test_followers_hear_what_becomes_of_a_run(tmp_path: Path) -> None:
    heard: list[RunState] = []
    async with opened(tmp_path) as recorder:
        follower = Follower(InMemoryCalls({RECORDER: recorder}), RECORDER, ANY_RUN, heard.append)
        await follower.poll()
        waiting = asyncio.ensure_future(follower.poll())
        await news_arrives()
        await recorder.start(7.0)
        await waiting
        await recorder.close()
        await follower.poll()
        assert [(s.run_id, s.t0_wall, s.closed) for s in heard] == [
            ("run", None, False),
            ("run", 7.0, False),
            ("run", 7.0, True),
        ]


@in_a_loop
async def test_an_actor_without_a_part_in_the_run_is_told_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as recorder:
        assert await recorder.part("gateway") == ("its part", None)
        assert await recorder.part("stranger") is None
        await recorder.close()
        assert await recorder.part("gateway") is None


@in_a_loop
async def test_a_gateway_is_sealed_by_its_last_word_and_none_joins_a_run_that_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as recorder:
        calls = InMemoryCalls({RECORDER: recorder})
        batches = {source: RecordBatch(calls, source) for source in ("a", "b")}
        for number, (source, batch) in enumerate(batches.items()):
            await recorder.join("run", source, GatewayHandle(lives=True))
            batch.begin("run")
            method, args = arrive(request(number, 0.0))
            batch.add(method, *args)
        assert await recorder.seal() == ["a", "b"]
        batches["a"].seal()
        await batches["a"].flush()
        assert await recorder.seal() == ["b"]
        batches["b"].seal()
        await batches["b"].flush()
        assert await recorder.seal() == []
        with pytest.raises(ValueError, match="the run is over"):
            await recorder.join("run", "c", GatewayHandle(lives=True))
        footer = await recorder.close()
        assert footer is not None
        assert footer.in_system == {"m": 2}
        with pytest.raises(ValueError, match="the run is over"):
            await recorder.join("run", "c", GatewayHandle(lives=True))


@pytest.mark.parametrize("sealed", [True, False])
@in_a_loop
async def test_a_run_that_was_not_ended_is_closed_by_the_next_one_only_if_nobody_answers_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    monkeypatch.setattr(recorder_module, "SEALED_S", 0.01)
    recorder = Recorder()
    await recorder.open(plan(tmp_path / "one"), {})
    await recorder.join("run", "a", GatewayHandle(lives=True))
    if sealed:
        await append(recorder, "a", 1, (SEALED, ()))
    await recorder.open(plan(tmp_path / "two"), {})
    assert (tmp_path / "one" / OPEN_FOLDER).exists() != sealed
    assert (read_run(tmp_path / "one").footer is not None) == sealed
    await recorder.close()
