"""What a gateway that is killed had answered is in the record: its spool outlives it, and is handed over once."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.recover import recover
from emulation.recording import read_run
from serve_apps.records.batch import RecordBatch
from serve_apps.records.books import unpacked
from serve_apps.records.recorder import Recorder
from serve_apps.records.spool import REWRITE_BYTES, Spool, orphans
from serve_apps.testbed.closing import close_in_its_place
from serve_apps.wire.calls import Unreached
from serve_apps.wire.names import RECORDER
from tests.build.calls import InMemoryCalls
from tests.build.fakes import request
from tests.build.live_runs import plan
from tests.build.waiting import eventually, in_a_loop


def batch_in(folder: Path, source: str = "gateway:n:1", calls: Any = None) -> RecordBatch:
    batch = RecordBatch(calls or InMemoryCalls({}), source, spool=Spool(folder))
    batch.begin("run")
    return batch


def killed_gateway(folder: Path, *numbers: int) -> None:
    """Another process answers these requests and is gone before it sends a record of it."""
    child = os.fork()
    if child == 0:
        batch = batch_in(folder)
        for number in numbers:
            one = request(number, float(number))
            batch.add("arrive", one)
            batch.add("end", one, "done", one.arrival_s + 1.0)
        os._exit(0)
    os.waitpid(child, 0)


def test_only_what_dead_processes_left_of_this_run_is_handed_over(tmp_path: Path) -> None:
    living = batch_in(tmp_path, "gateway:n:2")
    living.add("x", 1)
    killed_gateway(tmp_path, 1)
    (found,) = orphans(tmp_path, "run")
    assert found.source == "gateway:n:1"
    assert [method for method, _ in unpacked(found.entries)] == ["arrive", "end"]
    assert list(orphans(tmp_path, "another run")) == []


def test_of_a_last_entry_that_is_torn_the_rest_is_read(tmp_path: Path) -> None:
    killed_gateway(tmp_path, 1, 2)
    (file,) = tmp_path.glob("*.spool")
    file.write_bytes(file.read_bytes()[:-3])
    (found,) = orphans(tmp_path, "run")
    assert [method for method, _ in unpacked(found.entries)] == ["arrive", "end", "arrive"]


@pytest.mark.parametrize("another_joins", [True, False])
@in_a_loop
async def test_the_recorder_enters_what_a_dead_gateway_left_and_enters_it_once(
    tmp_path: Path, another_joins: bool
) -> None:
    recorder = Recorder(lambda: tmp_path / "recorder")
    await recorder.open(plan(tmp_path / "run"), {})
    killed_gateway(tmp_path, 1, 2)
    if another_joins:
        await recorder.join("run", "gateway:n:9", None)
        assert (await recorder.progress()).ended == 2
    footer = await recorder.close()
    assert footer is not None
    assert footer.ends == {"m": {"done": 2}}
    assert [r.request_id for r in read_run(tmp_path / "run").requests] == ["r000001", "r000002"]


@in_a_loop
async def test_what_was_sent_is_not_kept_for_ever(tmp_path: Path) -> None:
    class Slow:
        """More comes while it takes a batch."""

        async def append(self, *_: Any) -> None:
            batch.add("x", b"y" * 1000)

    batch = batch_in(tmp_path, calls=InMemoryCalls({RECORDER: Slow()}))
    for _ in range(3):
        for _ in range(REWRITE_BYTES // 1000):
            batch.add("x", b"y" * 1000)
        with pytest.MonkeyPatch.context() as short:
            short.setattr("serve_apps.records.batch.MOST_IN_ONE", REWRITE_BYTES // 1000)
            await batch._send(batch._entries[: REWRITE_BYTES // 1000])
        (file,) = tmp_path.glob("*.spool")
        assert file.stat().st_size < 2 * REWRITE_BYTES
    assert batch.unsent == 3


def test_a_spool_without_room_is_said_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_in(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("serve_apps.records.store.os.pwrite", full)
        batch.add("x", 1)
        assert batch.trouble == "no spool: No space left on device"
    assert batch._spool is not None
    batch._spool.sent(batch._next, batch._entries)
    assert batch.trouble == ""
    assert batch.unsent == 1


def test_of_a_recorder_that_is_gone_for_good_the_owner_closes_the_books_with_all_that_was_answered(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "recorder"
    recorder = os.fork()
    if recorder == 0:
        asyncio.run(Recorder(lambda: kept).open(plan(tmp_path / "run"), {}))
        os._exit(0)
    os.waitpid(recorder, 0)
    killed_gateway(tmp_path, 1, 2)
    footer = close_in_its_place(kept)
    assert footer.ends == {"m": {"done": 2}}
    assert footer.interrupted
    assert [r.request_id for r in read_run(tmp_path / "run").requests] == ["r000001", "r000002"]
    with pytest.raises(Unreached, match="not on this machine"):
        close_in_its_place(tmp_path / "elsewhere")


OWNER = """
import asyncio, sys
from pathlib import Path
from serve_apps.records.recorder import Recorder
from serve_apps.testbed.guardian import leave_word
from tests.build.live_runs import plan

kept, run = Path(sys.argv[1]), Path(sys.argv[2])
asyncio.run(Recorder(lambda: kept).open(plan(run), {}))
leave_word(kept)
print("open", flush=True)
input()
"""


@contextmanager
def killed_owner(kept: Path, run: Path, temporary: Path) -> Iterator[None]:
    """An owner whose books are open and whose gateways are gone; then it is killed."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(kept), str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "RAY_TMPDIR": str(temporary)},
    )  # fmt: skip
    assert owner.stdout is not None
    owner.stdout.readline()
    yield
    owner.kill()
    owner.communicate()


@pytest.mark.slow
def test_where_the_owner_is_killed_the_guardian_saves_what_gateways_had_answered(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with killed_owner(tmp_path / "recorder", run, tmp_path):
        killed_gateway(tmp_path, 1, 2)
        assert not list(read_run(run).requests)
    eventually(lambda: len(read_run(run).requests) == 2)
    eventually(lambda: not list(tmp_path.glob("edgebed-*/*.records")))
    (closed,) = recover(run)
    assert (closed.how, closed.requests, closed.unfinished) == ("closed", 2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("guardian", ["at work", "killed too"])
def test_a_record_that_is_closed_at_once_holds_what_gateways_had_answered(
    tmp_path: Path, guardian: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with killed_owner(tmp_path / "recorder", tmp_path / "run", tmp_path):
        killed_gateway(tmp_path, 1, 2)
        if guardian == "killed too":
            (note,) = tmp_path.glob("edgebed-*/*.records")
            (pid,) = guardians_with(note)
            os.kill(pid, signal.SIGKILL)
    (closed,) = recover(tmp_path / "run")
    assert (closed.how, closed.requests, closed.unfinished) == ("closed", 2, 0)
    assert not list(tmp_path.glob("edgebed-*/*.records"))


@pytest.mark.slow
def test_a_record_is_not_closed_without_what_gateways_had_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("serve_apps.testbed.guardian._ADOPTS", "tests.build.no_room")
    with killed_owner(tmp_path / "recorder", tmp_path / "run", tmp_path):
        killed_gateway(tmp_path, 1, 2)
        (note,) = tmp_path.glob("edgebed-*/*.records")
        (pid,) = guardians_with(note)
        os.kill(pid, signal.SIGKILL)
    (left,) = recover(tmp_path / "run")
    assert left.how == "failed"
    assert str(note) in left.why
    monkeypatch.undo()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (closed,) = recover(tmp_path / "run")
    assert (closed.how, closed.requests) == ("closed", 2)


def guardians_with(note: Path) -> list[int]:
    """Processes whose command line ends with this note."""
    end = b"\0" + str(note).encode() + b"\0"
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and command_line(entry).endswith(end)
    ]


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
