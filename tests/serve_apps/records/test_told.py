"""What is counted at the begin of a slot holds all that any gateway saw before it; who is gone holds up nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.slots import slot_of, slot_start_s
from serve_apps.records import batch as batch_module
from serve_apps.records import told as told_module
from serve_apps.records.batch import RecordBatch
from serve_apps.records.books import unpacked
from serve_apps.records.recorder import Recorder
from serve_apps.records.told import tell_slots
from serve_apps.wire.calls import Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.names import RECORDER
from tests.build.calls import InMemoryCalls
from tests.build.fakes import request
from tests.build.live_runs import plan, started_clock
from tests.build.waiting import LONG_S, in_a_loop, news_arrives, until

SLOT_S = 2.0
SPEEDUP = 50.0
"""A slot is 40 ms on the wall."""


@asynccontextmanager
async def opened(folder: Path, *sources: str) -> AsyncIterator[tuple[Recorder, list[RecordBatch]]]:
    """A recorder with an open run, and a batch of each gateway."""
    recorder = Recorder()
    await recorder.open(plan(folder), {})
    batches = [RecordBatch(InMemoryCalls({RECORDER: recorder}), source) for source in sources]
    for batch in batches:
        batch.begin("run")
    yield recorder, batches
    await recorder.close()


class Heard:
    """A recorder that notes what it is sent: (entries, the slot that begins)."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int | None]] = []
        self.away = False

    async def append(self, run_id: str, source: str, number: int, entries: bytes, slot: int | None) -> None:
        if self.away:
            raise Unreached("away")
        self.batches.append((len(unpacked(entries)), slot))


@in_a_loop
async def test_a_window_holds_all_that_was_seen_before_its_slot_though_no_batch_was_due(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, "g0", "g1") as (recorder, batches):
        clock = started_clock(SPEEDUP)
        telling = [asyncio.ensure_future(tell_slots(batch, clock, SLOT_S)) for batch in batches]
        added: list[float] = []
        for slot in range(2, 8):
            for number, batch in enumerate(batches):
                now_s = clock.now_s()
                batch.add("arrive", request(2 * slot + number, now_s))
                added.append(now_s)
            begin_s = slot_start_s(slot, SLOT_S)
            await until(partial(_has_come, clock, begin_s))
            counted = (await recorder.window(slot=slot)).stats["m"].arrived
            assert counted >= sum(t_s < begin_s for t_s in added) > 0
        for task in telling:
            task.cancel()


def _has_come(clock: LiveClock, t_s: float) -> bool:
    return clock.now_s() >= t_s


@in_a_loop
async def test_a_window_waits_for_every_gateway_that_told_of_the_slot_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_module, "TOLD_LIMIT_S", LONG_S)
    async with opened(tmp_path, "g0", "g1") as (recorder, batches):
        for batch in batches:
            await batch.flush(6)
        asked = asyncio.ensure_future(recorder.window(reset=True, slot=7))
        for number, batch in enumerate(batches):
            await news_arrives()
            assert not asked.done()
            batch.add("arrive", request(number, 1.0))
            await batch.flush(7)
        assert (await asked).stats["m"].arrived == 2
        assert (await recorder.window(slot=7)).stats["m"].arrived == 2, (
            "who looks a moment later is told the same"
        )


@in_a_loop
async def test_a_gateway_that_is_gone_is_named_and_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(told_module, "TOLD_LIMIT_S", 0.01)
    async with opened(tmp_path, "g0", "gone") as (recorder, batches):
        for batch in batches:
            await batch.flush(6)
        await batches[0].flush(7)
        with caplog.at_level(logging.WARNING, "edgebed"):
            await recorder.window(slot=7)
        assert "slot 7 is counted without what gone saw last" in caplog.text
        monkeypatch.setattr(told_module, "TOLD_LIMIT_S", LONG_S)
        await batches[0].flush(8)
        assert (await recorder.window(slot=8)).since_s == 0.0
        await batches[1].flush(8)
        asked = asyncio.ensure_future(recorder.window(slot=9))
        await batches[0].flush(9)
        await news_arrives()
        assert not asked.done(), "it tells again, and so is waited for again"
        await batches[1].flush(9)
        await asked


@in_a_loop
async def test_who_told_in_the_run_before_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_module, "TOLD_LIMIT_S", LONG_S)
    async with opened(tmp_path / "one", "g") as (recorder, (batch,)):
        await batch.flush(0)
        await recorder.open(plan(tmp_path / "two", "run 2"), {})
        await batch.flush(0)
        assert (await asyncio.wait_for(recorder.window(slot=1), LONG_S / 2)).stats["m"].arrived == 0


@in_a_loop
async def test_the_slot_is_said_with_the_last_batch_be_it_empty_and_not_before_all_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_module, "MOST_IN_ONE", 2)
    recorder = Heard()
    calls = InMemoryCalls({RECORDER: recorder})
    batch = RecordBatch(calls, "g")
    batch.begin("run")
    for _ in range(5):
        batch.add("x")
    await batch.flush(3)
    await batch.flush(4)
    await batch.flush()
    assert recorder.batches == [(2, None), (2, None), (1, 3), (0, 4)]
    recorder.away = True
    batch.add("x")
    with pytest.raises(Unreached):
        await batch.flush(5)
    recorder.away = False
    await batch.flush()
    assert recorder.batches[4:] == [(1, None)]
    assert batch.unsent == 0


@in_a_loop
async def test_slots_are_told_of_from_the_present_one_on_whatever_happens_to_one_of_them() -> None:
    recorder = Heard()
    batch = RecordBatch(InMemoryCalls({RECORDER: recorder}), "g")
    batch.begin("run")
    clock = started_clock(SPEEDUP, ago_s=10.0)
    first = slot_of(clock.now_s(), SLOT_S)
    recorder.away = True
    telling = asyncio.ensure_future(tell_slots(batch, clock, SLOT_S))
    await until(lambda: batch.failures)
    recorder.away = False
    told: list[Any] = await until(
        lambda: [s for _, s in recorder.batches] if len(recorder.batches) > 2 else []
    )
    telling.cancel()
    assert first < told[0]
    assert told == sorted(set(told))
