"""One run that fails is one run: it is named with its error and its place, and the others are made and reported."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.routers.sect import Sect
from edgebed.runs.comparison import Outcome, compare_virtual, conclude
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import read_note
from emulation.recording import RECORD_FILE, write_whole
from tests.build.small import small_scenario


def compared(root: Path, seeds: int = 2) -> tuple[Layout, Outcome]:
    layout = Layout(root)
    return layout, compare_virtual(small_scenario(), ["AL", "sect"], range(seeds), layout, quiet=True)


def test_a_bug_in_a_router_fails_its_runs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(*_: Any, **__: Any) -> None:
        raise IndexError("no such column")

    monkeypatch.setattr(Sect, "choose", choose)
    layout, outcome = compared(tmp_path / "out")
    said = "IndexError: no such column (test_failing_runs.py, line 30, in choose)"
    assert outcome.failed == {("sect", 0): said, ("sect", 1): said}
    for comparison in (conclude(layout, outcome), conclude(layout)):
        assert comparison is not None
        assert {name: len(own) for name, own in comparison.schemes.items()} == {"AL": 2}
        assert [(o.scheme, o.how, o.why) for o in comparison.left_out] == [("sect", "failed", said)] * 2
        assert not comparison.sound
    assert not list((tmp_path / "out" / "sect").rglob(RECORD_FILE))
    note = read_note(tmp_path / "out" / "sect" / "seed-0")
    assert note is not None
    assert "in choose" in note.trace


def test_a_worker_that_is_killed_takes_nobody_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.getpid()

    def choose(*_: Any, **__: Any) -> None:
        assert os.getpid() != owner
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Sect, "choose", choose)
    layout, outcome = compared(tmp_path / "out")
    assert set(outcome.failed) == {("sect", 0), ("sect", 1)}
    assert all("SIGKILL" in why for why in outcome.failed.values())
    comparison = conclude(layout)
    assert comparison is not None
    assert len(comparison.schemes["AL"]) == 2
    assert not list((tmp_path / "out" / "sect").rglob(RECORD_FILE))


@pytest.mark.slow
def test_what_failed_is_made_again_when_the_comparison_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Sect, "choose", None)
        layout, outcome = compared(tmp_path / "out")
        assert len(outcome.failed) == 2
    again = compare_virtual(small_scenario(), ["AL", "sect"], range(2), layout, quiet=True, resume=True)
    assert not again.failed
    comparison = conclude(layout)
    assert comparison is not None
    assert comparison.complete


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Every file that grows beyond so many bytes is `File too large`, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_record_that_cannot_be_written_leaves_no_half_of_it(tmp_path: Path) -> None:
    with files_of_at_most(20_000):
        layout, outcome = compared(tmp_path / "out", seeds=1)
    assert outcome.failed
    assert set(outcome.failed.values()) == {"File too large"}
    assert not list(tmp_path.rglob(RECORD_FILE))
    assert not list(tmp_path.rglob(".*.part"))
    assert conclude(layout, outcome) is None


def test_a_file_that_cannot_be_written_whole_is_not_there_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with files_of_at_most(1000), pytest.raises(OSError, match="File too large") as refused:
        write_whole(path, b"x" * 2000)
    assert refused.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_a_file_is_written_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "report.html", b"whole")
    assert list(tmp_path.iterdir()) == []
