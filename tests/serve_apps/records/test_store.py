"""What is acknowledged is in the file, whatever the disk does; a recorder that is killed knows again what it knew."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.records import RequestRecord
from emulation.executor import Changed
from emulation.metrics.conservation import conservation
from emulation.recording import RECORD_FILE, decode, read_run
from serve_apps.records import store as store_module
from serve_apps.records.batch import MOST_WAITING_MB, RecordBatch
from serve_apps.records.books import SEALED, Entry
from serve_apps.records.recorder import Recorder
from serve_apps.records.store import OPEN_FOLDER, Unwritten
from serve_apps.wire.messages import Finished
from serve_apps.wire.names import RECORDER
from tests.build.calls import InMemoryCalls
from tests.build.fakes import device_testbed, request, scenario
from tests.build.live_runs import plan
from tests.build.waiting import in_a_loop

WORLD = scenario(device_testbed())


class Disk:
    """A disk whose writes fail while it is full, the last of them in part."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.code = errno.ENOSPC
        self.room = 100
        write = os.pwrite

        def pwrite(fd: int, data: Any, at: int) -> int:
            if not self.full:
                return write(fd, data, at)
            if self.room <= 0:
                raise OSError(self.code, os.strerror(self.code))
            taken = write(fd, bytes(data)[: self.room], at)
            self.room -= taken
            return taken

        patch.setattr(store_module.os, "pwrite", pwrite)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with monkeypatch.context() as patch:
        yield Disk(patch)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A real limit: a write that would make a file larger fails, after writing what fits."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def served(number: int) -> list[Entry]:
    one = request(number, float(number))
    return [("arrive", (one,)), ("end", (one, "done", one.arrival_s + 1.0))]


async def send(recorder: Recorder, first: int, entries: list[Entry], source: str = "g") -> None:
    await recorder.append("run", source, first, b"".join(map(pickle.dumps, entries)))


def done(folder: Path) -> list[str]:
    """Requests whose end is in the file, closed or not."""
    whole = (folder / RECORD_FILE).read_bytes().splitlines()
    return [r.request_id for line in whole if isinstance(r := decode(line), RequestRecord)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@in_a_loop
async def test_a_full_disk_loses_nothing_once_there_is_room(tmp_path: Path, disk: Disk, code: int) -> None:
    recorder = Recorder()
    await recorder.open(plan(tmp_path), {})
    batch = RecordBatch(InMemoryCalls({RECORDER: recorder}), "g")
    batch.begin("run")
    disk.code = code
    for number in range(60):
        disk.full = 10 <= number < 40
        disk.room = 100 * (number % 7)
        for method, args in served(number):
            batch.add(method, *args)
        await batch.try_flush()
        assert (batch.unsent > 0) == disk.full
        assert os.strerror(code) in batch.why if disk.full else not batch.why
    assert batch.failures == 30
    footer = await recorder.close()
    assert footer is not None
    assert (footer.arrived, footer.ends) == ({"m": 60}, {"m": {"done": 60}})
    run = read_run(tmp_path)
    assert sorted(r.request_id for r in run.requests) == [request(n, 0.0).id for n in range(60)]
    assert conservation(run).ok
    assert run.side[len(run.requests) + 1]["recorder"]["write_errors"] == 30


@in_a_loop
async def test_a_real_limit_of_the_system_is_survived_too(tmp_path: Path) -> None:
    recorder = Recorder()
    await recorder.open(plan(tmp_path), {})
    await send(recorder, 1, served(1))
    with files_of_at_most((tmp_path / RECORD_FILE).stat().st_size + 100):
        for _ in range(3):
            with pytest.raises(Unwritten, match="File too large"):
                await send(recorder, 3, served(2))
            assert done(tmp_path) == ["r000001"], "of a batch that does not fit nothing stays"
    await send(recorder, 3, served(2))
    assert done(tmp_path) == ["r000001", "r000002"]
    await recorder.close()


@in_a_loop
async def test_a_run_that_cannot_be_closed_stays_open_until_there_is_room(tmp_path: Path, disk: Disk) -> None:
    recorder = Recorder()
    await recorder.open(plan(tmp_path), {})
    await send(recorder, 1, served(1))
    disk.full = True
    for _ in range(2):
        with pytest.raises(Unwritten, match="No space left"):
            await recorder.close()
        assert read_run(tmp_path).footer is None
    disk.full = False
    assert await recorder.close() is not None
    assert conservation(read_run(tmp_path)).ok
    assert not (tmp_path / OPEN_FOLDER).exists()


@in_a_loop
async def test_a_run_for_whose_record_there_is_no_room_does_not_begin(tmp_path: Path, disk: Disk) -> None:
    disk.full = True
    recorder = Recorder()
    with pytest.raises(Unwritten, match="No space left"):
        await recorder.open(plan(tmp_path), {})
    assert await recorder.part("gateway") is None


def killed(own: Path) -> Recorder:
    """The recorder that Ray starts in the place of one that was killed (whose files are as they are)."""
    for stale in STALE:
        if stale._books is not None:
            stale._books.abandon()  # its process is gone, and with it its locks
    STALE.append(Recorder(lambda: own))
    return STALE[-1]


STALE: list[Recorder] = []


@in_a_loop
async def test_a_recorder_that_is_killed_goes_on_from_its_files(tmp_path: Path) -> None:
    own, folder = tmp_path / "own", tmp_path / "run"
    own.mkdir()
    first = killed(own)
    await first.open(plan(folder), {"gateway": "its part", "node:n": ("another", 1)})
    await first.start(7.0)
    await first.checkpoint("gateway", b"learned")
    await first.join("run", "g", None)
    one, two = served(1), served(2)
    await send(first, 1, one)
    await send(first, 3, two[:1])
    report = Finished(request_id="r000002", attempt=1, executor="d0", after=0, done=1)
    await first.finished("run", (report,))
    with (folder / RECORD_FILE).open("ab") as torn:
        torn.write(b'{"t_s": 3, "requ')
    with (folder / OPEN_FOLDER / "journal.jsonl").open("ab") as torn:
        torn.write(b'{"source": "g", "last"')
    second = killed(own)
    assert await second.part("gateway") == ("its part", 7.0)
    assert await second.kept("gateway") == b"learned"
    assert await second.place("another") == 1
    said = await second.progress()
    assert (said.arrived, said.ended, said.in_system) == (2, 1, 1)
    assert (await second.take_over("run", "r000002", 2)).prompts_done == 1
    await send(second, 1, one)
    await send(second, 3, two)
    await second.finished("run", (report,))
    third = killed(own)
    await send(third, 3, two)
    footer = await third.close()
    assert footer is not None
    assert (footer.arrived, footer.ends) == ({"m": 2}, {"m": {"done": 2}})
    run = read_run(folder)
    assert [r.request_id for r in run.requests] == ["r000001", "r000002"]
    assert run.side[3]["recorder"]["restarts"] == 2
    assert await killed(own).close() == footer, "who asks again hears the same"


@in_a_loop
async def test_a_recorder_that_is_killed_as_it_puts_a_record_in_order_closes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    first = killed(own)
    await first.open(plan(tmp_path / "run"), {})
    for number in range(6):
        one = request(number, float(number))
        ended: Entry = ("end", (one, "done", 9.0 - number, None, None, "", {"wall": float(number)}))
        await send(first, 2 * number + 1, [("arrive", (one,)), ended])
    changed: Entry = ("executor", (Changed(0.5, "d0", "ready", "cpu", 0.0),))
    await send(first, 1, [changed] * 9, "n")  # they go first, and side rows grow as their lines move

    class Killed(BaseException):
        pass

    def dies(_: Path) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr("serve_apps.records.open_run.clear", dies)
        with pytest.raises(Killed):
            await first.close()
    ordered = (tmp_path / "run" / RECORD_FILE).read_bytes()
    assert await killed(own).close() is not None
    assert (tmp_path / "run" / RECORD_FILE).read_bytes() == ordered
    run = read_run(tmp_path / "run")
    assert [run.side[i + 10]["wall"] for i in range(6)] == [r.intended_s for r in run.requests]
    assert conservation(run).ok


@in_a_loop
async def test_followers_of_a_restarted_recorder_hear_of_the_same_run(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    first = killed(own)
    await first.open(plan(tmp_path / "run"), {})
    await first.start(7.0)
    version, _ = await first.watch("", 0, 0.0)
    _, (state,) = await killed(own).watch("", version, 1.0)
    assert (state.run_id, state.t0_wall, state.closed) == ("run", 7.0, False)


@in_a_loop
async def test_a_recorder_that_cannot_read_its_files_takes_nothing(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    await killed(own).open(plan(tmp_path / "run"), {})
    (tmp_path / "run" / OPEN_FOLDER / "journal.jsonl").write_bytes(b"rubbish\n{}\n")
    with pytest.raises(Unwritten, match="cannot be gone on with"):
        await send(killed(own), 1, served(1))


@in_a_loop
async def test_the_window_of_an_epoch_is_the_same_after_a_restart(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    first = killed(own)
    await first.open(plan(tmp_path / "run"), {})
    await send(first, 1, served(1))
    await first.window(reset=True)
    await send(first, 3, served(2) + served(3)[:1])
    assert first._books is not None
    want = first._books.window(1e6, reset=False)
    assert (want.stats["m"].arrived, want.stats["m"].done) == (2, 1)
    second = killed(own)
    assert second._books is not None
    assert second._books.window(1e6, reset=False) == want


@in_a_loop
async def test_a_gateway_refuses_what_it_could_not_keep(tmp_path: Path) -> None:
    batch = RecordBatch(InMemoryCalls({}), "g")
    batch.begin("run")
    for _ in range(MOST_WAITING_MB + 1):
        batch.add("route", b"x" * 2**20)
    await batch.try_flush()
    assert batch.full
    assert "the recorder does not answer" in batch.trouble


@pytest.mark.parametrize("killed_after", ["end", "seal", "close"])
@in_a_loop
async def test_a_recorder_that_is_killed_as_a_run_ends_knows_how_far_it_came(
    tmp_path: Path, killed_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    first = killed(own)
    await first.open(plan(tmp_path / "run"), {})
    await first.join("run", "g", None)
    await first.join("run", "h", None)
    await send(first, 1, served(1))
    await first.end()
    if killed_after != "end":
        await first.seal()
        await send(first, 3, [(SEALED, ())])
    if killed_after == "close":
        with monkeypatch.context() as dying:
            dying.setattr("serve_apps.records.recorder.put_in_order", nothing)
            with pytest.raises(RuntimeError):
                await first.close()
    second = killed(own)
    _, (state,) = await second.watch("", 0, 0.0)
    assert (state.ending, state.sealing, state.closed) == (True, killed_after != "end", False)
    await send(second, 3, served(2), "h")
    assert await second.seal() == {"end": ["g", "h"], "seal": ["h"], "close": []}[killed_after]
    footer = await second.close()
    assert footer is not None
    assert footer.ends == {"m": {"done": 1 if killed_after == "close" else 2}}


def nothing(folder: Path) -> None:
    raise RuntimeError("killed")


@in_a_loop
async def test_a_recorder_answers_while_a_long_record_is_put_in_order_and_closes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordering, go_on, done_by = threading.Event(), threading.Event(), []

    def slow(folder: Path) -> None:
        done_by.append(folder)
        ordering.set()
        assert go_on.wait(20)

    monkeypatch.setattr("serve_apps.records.recorder.put_in_order", slow)
    recorder = Recorder()
    await recorder.open(plan(tmp_path), {})
    await send(recorder, 1, served(1))
    closing = [asyncio.ensure_future(recorder.close()) for _ in range(2)]
    await asyncio.to_thread(ordering.wait, 20)
    assert (await recorder.progress()).ended == 1
    await send(recorder, 3, served(2))  # of nobody: gateways are sealed
    await recorder.finished(
        "run", (Finished(request_id="r000002", attempt=1, executor="d0", after=0, done=1),)
    )
    go_on.set()
    first, second = await asyncio.gather(*closing)
    assert first == second
    assert first is not None
    assert first.arrived == {"m": 1}
    assert done_by == [tmp_path]
