"""The record of a testbed that stays is bounded: each segment is whole by itself, and together they miss nothing."""

from __future__ import annotations

import errno
import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.comparison import conclude
from edgebed.runs.layout import layout_of
from edgebed.runs.manifest import manifest_of
from edgebed.runs.recover import recover
from emulation.domain.events import Slowdown
from emulation.domain.records import RunHeader
from emulation.executor import Changed
from emulation.faults import timeline
from emulation.metrics.conservation import conservation
from emulation.metrics.summary import summarise
from emulation.recording import RECORD_FILE, Run, read_run
from serve_apps.records.books import Books, Entry
from serve_apps.records.segments import ENDLESS_S, Keeping, finish, segment_folder, tidy
from serve_apps.records.store import OPEN_FOLDER, Unwritten
from tests.build.fakes import device_testbed, header, request, scenario

WORLD = scenario(device_testbed())


def endless() -> RunHeader:
    return replace(header(WORLD), horizon_s=ENDLESS_S, world="live")


def books_in(root: Path) -> Books:
    return Books(root / "sect" / "seed-0", endless(), WORLD.testbed)


def segments(books: Books) -> list[Run]:
    """Every segment of a run, the last one too."""
    over = [segment_folder(books.folder, number) for number in range(books.segment)]
    return [read_run(folder) for folder in (*over, books.folder) if (folder / RECORD_FILE).exists()]


def arrive(number: int) -> Entry:
    return ("arrive", (request(number, float(number)),))


def end(number: int, t_s: float) -> Entry:
    return ("end", (request(number, float(number)), "done", t_s))


def test_every_request_is_in_one_segment_and_every_segment_balances(tmp_path: Path) -> None:
    books, first = books_in(tmp_path), 1
    for number in range(30):
        batch = [arrive(number), *([end(number - 2, number + 0.5)] if number >= 2 else [])]
        books.post("g", first, batch)
        first += len(batch)
        if number in (7, 8, 20):
            books.turn(number + 0.6)
        if number == 15:
            books.abandon()
            books = books_in(tmp_path)
    books.close(40.0, interrupted=False)
    found = segments(books)
    assert len(found) == 4
    assert all(conservation(run).ok for run in found)
    ids = Counter(r.request_id for run in found for r in run.requests)
    assert ids == Counter(request(number, 0.0).id for number in range(30))
    assert [run.footer.in_system for run in found if run.footer] == [{}, {}, {}, {"m": 2}]
    carried = [run.side[max(run.side)].get("carried") for run in found]
    assert carried[:3] == [2, 2, 2]


def test_a_segment_begins_with_the_state_that_executors_had(tmp_path: Path) -> None:
    books = books_in(tmp_path)
    books.post("n", 1, [("executor", (Changed(1.0, "d0", "ready", "cpu", 0.0),))])
    for t_s in (5.0, 9.0):
        books.turn(t_s)
    books.close(12.0, interrupted=False)
    assert [[(e.executor, e.state, e.t_s) for e in run.executors] for run in segments(books)] == [
        [("d0", "ready", 1.0)],
        [("d0", "ready", 5.0)],
        [("d0", "ready", 9.0)],
    ]


@pytest.mark.parametrize("room", range(0, 1200, 150))
def test_a_disk_that_fills_while_a_segment_begins_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    books = books_in(tmp_path)
    books.post("g", 1, [arrive(1), arrive(2), end(1, 3.0)])
    left, write = [room], os.pwrite

    def pwrite(fd: int, data: Any, at: int) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(fd, bytes(data)[: left[0]], at)
        left[0] -= taken
        return taken

    with monkeypatch.context() as full:
        full.setattr("serve_apps.records.store.os.pwrite", pwrite)
        with suppress(Unwritten):  # there may have been just enough
            books.turn(4.0)
    books.post("g", 4, [end(2, 5.0)])
    books.close(9.0, interrupted=False)
    found = segments(books)
    assert [[r.request_id for r in run.requests if r.outcome == "done"] for run in found] == [
        ["r000001"],
        ["r000002"],
    ]


@pytest.mark.parametrize("step", ["move_out", "take_the_place", "last_states"])
def test_a_testbed_that_was_cut_between_two_segments_is_closed_with_who_was_in_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    books = books_in(tmp_path)
    books.post("n", 1, [("executor", (Changed(0.5, "d0", "ready", "cpu", 0.0),))])
    books.post("g", 1, [arrive(1), arrive(2), end(1, 3.0), arrive(3)])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    where = "serve_apps.records.store.RunStore." if step == "take_the_place" else "serve_apps.records.books."
    with monkeypatch.context() as no_room:
        no_room.setattr(where + step, full)
        with pytest.raises(Unwritten):
            books.turn(4.0)
    books.abandon()
    recover(tmp_path)
    first, last = read_run(segment_folder(books.folder, 0)), read_run(books.folder)
    assert conservation(first).ok
    assert conservation(last).ok
    assert {r.request_id: r.outcome for r in first.requests} == {"r000001": "done"}
    assert {r.request_id: r.outcome for r in last.requests} == dict.fromkeys(
        ["r000002", "r000003"], "unfinished"
    )
    assert [(state.executor, state.t_s) for state in last.executors] == [("d0", 4.0)]
    assert (last.side[0]["segment"], last.side[0]["begin_s"]) == (1, 4.0)
    assert not (books.folder / OPEN_FOLDER).exists()
    assert [one.how for one in recover(tmp_path)] == ["whole", "whole"]


@pytest.mark.parametrize("step", ["move_out", "take_the_place"])
def test_a_recorder_that_is_killed_while_a_segment_begins_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    books = books_in(tmp_path)
    books.post("g", 1, [arrive(1), arrive(2), end(1, 3.0)])

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    where = "serve_apps.records.books." if step == "move_out" else "serve_apps.records.store.RunStore."
    with monkeypatch.context() as dying:
        dying.setattr(where + step, killed)
        with pytest.raises(Killed):
            books.turn(4.0)
    books.abandon()
    again = books_in(tmp_path)
    again.post("g", 1, [arrive(1), arrive(2), end(1, 3.0)])
    again.post("g", 4, [end(2, 5.0)])
    again.close(9.0, interrupted=False)
    assert [[r.request_id for r in run.requests] for run in segments(again)] == [["r000001"], ["r000002"]]
    assert not (again.folder / OPEN_FOLDER / "journal.next").exists()


def test_a_segment_can_be_reported_by_itself(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    layout.claim(WORLD, manifest_of(WORLD, ["sect"], [0], "live", None))
    identity = manifest_of(WORLD, ["sect"], [0], "live", None).identity
    named = replace(
        endless(), scheme="sect", seed=0, scenario_digest=identity.scenario, testbed_digest=identity.testbed
    )
    books = Books(tmp_path / "sect" / "seed-0", named, WORLD.testbed)
    seen = [Slowdown(node="d0", factor=2.0, at_s=at_s, until_s=at_s + 30) for at_s in (1.0, 12.0, 15.0)]
    steps = timeline(seen, WORLD.testbed)
    books.post("e", 1, [("event", (s, s.at_s)) for s in steps if s.event == 0 or s.phase == "onset"])
    books.post("g", 1, [arrive(1), end(1, 8.0)])
    books.turn(32.0)
    books.post("e", 5, [("event", (s, s.at_s)) for s in steps if s.event == 1 and s.phase == "undo"])
    books.post("g", 3, [arrive(33), end(33, 40.0)])
    books.turn(52.0)
    for number in (0, 1):
        finish(segment_folder(books.folder, number))
        segment = layout_of(segment_folder(books.folder, number))
        comparison = conclude(segment)
        assert comparison is not None
        assert [r.summary.arrived for r in comparison.results] == [1]
        assert [f.event for f in comparison.faults or ()] == ([0] if number == 0 else [])
    second = read_run(segment_folder(books.folder, 1))
    assert (second.header.horizon_s, second.side[0]["begin_s"]) == (52.0, 32.0)
    assert summarise(second).goodput == pytest.approx(1 / 20.0)
    books.abandon()


def test_a_testbed_that_was_cut_after_some_segments_is_closed_with_who_was_in_the_system(
    tmp_path: Path,
) -> None:
    books = books_in(tmp_path)
    books.post("g", 1, [arrive(1), arrive(2), end(1, 3.0)])
    books.turn(4.0)
    books.post("g", 4, [arrive(5)])
    books.abandon()
    recover(tmp_path)
    first, last = segments(books)
    assert conservation(first).ok
    assert conservation(last).ok
    assert {r.request_id: r.outcome for r in last.requests} == {
        "r000002": "unfinished",
        "r000005": "unfinished",
    }
    assert [one.how for one in recover(tmp_path)] == ["whole", "whole"]


def test_the_oldest_segments_go_and_the_rest_fits(tmp_path: Path) -> None:
    books = books_in(tmp_path)
    for number in range(6):
        books.post("g", 2 * number + 1, [arrive(number), end(number, number + 0.5)])
        books.turn(number + 0.6)
    over = tmp_path / "segments"
    (over / "00005" / "big").write_bytes(bytes(3 * 2**20))
    tidy(books.folder, Keeping(5 * 2**20))
    assert sorted(f.name for f in over.iterdir()) == ["00000", "00001", "00002", "00003", "00004", "00005"]
    assert all(run.header.horizon_s < ENDLESS_S for run in segments(books)[:-1])
    tidy(books.folder, Keeping(4 * 2**20))
    assert sorted(f.name for f in over.iterdir()) == []
    books.abandon()
