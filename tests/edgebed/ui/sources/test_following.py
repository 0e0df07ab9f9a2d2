"""A record that grows says at every moment its beginning, in the end what the whole one says; and what replaces it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import orjson
import pytest

from edgebed.runs.layout import Layout
from edgebed.ui.sources import followed, is_growing, open_run
from edgebed.ui.sources.files import OpenFile
from edgebed.ui.sources.followed import FollowedRun
from edgebed.ui.sources.intake import Intake
from emulation.domain.records import RunFooter
from emulation.recording import RECORD_FILE, SIDE_FILE, encode
from emulation.rng import stream
from serve_apps.records.segments import BEGIN, segment_folder
from tests.build.ui_sources import all_said, lawful

FRESH = (2**33, 2**33)
"""Times of a file whose last line is fresh, however slow this machine is."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call looks at the files, and reads all that is there."""
    monkeypatch.setattr(followed, "LOOK_S", 0.0)
    monkeypatch.setattr(followed, "WRITTEN_S", 0.0)
    monkeypatch.setattr(followed, "PATIENCE_S", 60.0)


@pytest.fixture
def growing(folder: Path, tmp_path: Path) -> Path:
    """A run's folder with all that lies beside its record, and no record yet."""
    copied = tmp_path / "copied" / folder.parent.name / folder.name
    copied.mkdir(parents=True)
    shutil.copy(folder.parents[1] / "scenario.json", copied.parents[1])
    return copied


def follow(folder: Path) -> FollowedRun:
    """The run of a folder, whether anything was recorded or not."""
    return FollowedRun(folder, Layout(folder.parents[1]).scenario())


@pytest.mark.slow
def test_fed_in_any_pieces_a_record_gives_the_same_tables(folder: Path) -> None:
    record, testbed = folder / RECORD_FILE, Layout(folder.parents[1]).scenario().testbed
    whole, rng = record.read_bytes(), stream(5, "pieces")
    sizes = ([1] * 5000, [*rng.integers(1, 2000, 2000).tolist()], [len(whole)])
    found = []
    for pieces in sizes:
        intake, at = Intake(testbed), 0
        intake.begin(OpenFile(record))
        for size in [*pieces, len(whole)]:
            intake.feed(whole[at : at + size])
            at += size
        tables = intake.tables
        columns = [tables.requests[name].tobytes() for name in ("intended_s", "ended_s", "model", "executor")]
        feed = tables.decisions.latest(1e12, (), None, 10_000)
        found.append(
            (tables.lines, tables.last_s, tables.footer, columns, feed, tables.decisions.line(feed[0]))
        )
    assert found[0] == found[1] == found[2]


def test_followed_as_it_grows_it_says_in_the_end_what_the_whole_record_says(
    folder: Path, growing: Path
) -> None:
    whole, source = (folder / RECORD_FILE).read_bytes(), follow(growing)
    cuts = sorted(stream(6, "cuts").integers(0, len(whole), 40).tolist())
    with (growing / RECORD_FILE).open("wb") as record:
        for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            record.write(whole[begin:end])
            record.flush()
            lawful(source)
    assert all_said(source) == all_said(open_run(folder))


def test_no_beginning_of_a_record_is_too_short_to_be_opened(folder: Path, growing: Path) -> None:
    whole = (folder / RECORD_FILE).read_bytes()
    first = whole.index(b"\n")
    for size in (0, 1, first - 1, first, first + 1, first + 100, len(whole) // 2, len(whole) - 1):
        (growing / RECORD_FILE).write_bytes(whole[:size])
        os.utime(growing / RECORD_FILE, (0, 0))
        source = open_run(growing)
        lawful(source)
        assert not source.span().growing
        assert bool(source.span().problem) == (size < len(whole) - 1)
    assert source.span().problem == ""  # all but the end of its last line


def test_a_run_that_is_not_begun_says_so_and_is_taken_up_when_it_is(folder: Path, growing: Path) -> None:
    source = follow(growing)
    assert source.span().problem == "nothing has been recorded yet"
    assert source.name == f"{folder.parent.name} · seed 0"
    assert source.frame(0.0).arrived == 0
    (growing / RECORD_FILE).write_bytes((folder / RECORD_FILE).read_bytes())
    assert source.span().problem == ""
    assert all_said(source) == all_said(open_run(folder))


@pytest.mark.parametrize("in_place", [True, False])
def test_a_record_that_is_replaced_is_read_anew(root: Path, growing: Path, in_place: bool) -> None:
    layout, record = Layout(root), growing / RECORD_FILE
    first, second = (layout.run_folder(s, 0) / RECORD_FILE for s in ("MA", "AL"))
    shutil.copy(first, record)
    source = follow(growing)
    assert source.span().to_s > 0
    if not in_place:
        record.unlink()
    record.write_bytes(second.read_bytes())
    assert source.span().to_s > 0
    assert all_said(source) == all_said(open_run(second.parent))


def test_segments_are_one_run(folder: Path, growing: Path) -> None:
    lines = (folder / RECORD_FILE).read_bytes().splitlines(keepends=True)
    half, footer = len(lines) // 2, lines[-1]
    turned_s = orjson.loads(lines[half - 1])["t_s"]
    record = growing / RECORD_FILE
    record.write_bytes(b"".join(lines[:half]))
    source = follow(growing)
    lawful(source)
    with record.open("ab") as old:
        old.write(encode(RunFooter(turned_s, {}, {}, {})))
    _turn(growing, turned_s)
    record.write_bytes(lines[0] + b"".join(lines[half:-1]) + footer)
    said, whole = all_said(source), all_said(open_run(folder))
    assert said == whole
    assert all_said(open_run(growing)) == whole  # opened only now


def _turn(folder: Path, turned_s: float) -> None:
    """Move the present segment away, and say when the next one begins."""
    over = segment_folder(folder, 0)
    over.mkdir(parents=True)
    (folder / RECORD_FILE).rename(over / RECORD_FILE)
    (folder / SIDE_FILE).write_bytes(encode({"line": 0, "segment": 1, BEGIN: turned_s}))


def test_a_record_grows_as_long_as_its_last_line_is_fresh_and_no_footer(folder: Path, growing: Path) -> None:
    whole, record = (folder / RECORD_FILE).read_bytes(), growing / RECORD_FILE
    record.write_bytes(whole[: len(whole) // 2])
    os.utime(record, FRESH)
    source = follow(growing)
    assert (is_growing(growing), source.span().growing, source.span().problem) == (True, True, "")
    os.utime(record, (0, 0))
    assert (is_growing(growing), source.span().growing) == (False, False)
    assert "was not closed" in source.span().problem
    record.write_bytes(whole)
    assert (is_growing(growing), source.span().growing, source.span().problem) == (False, False, "")


def test_who_is_under_way_in_a_record_that_grows_is_not_known(folder: Path, growing: Path) -> None:
    whole = (folder / RECORD_FILE).read_bytes()
    (growing / RECORD_FILE).write_bytes(whole[: len(whole) // 2])
    os.utime(growing / RECORD_FILE, FRESH)
    source = follow(growing)
    frame = source.frame(source.span().to_s)
    assert {e.queued for node in frame.nodes for e in node.executors} == {None}
