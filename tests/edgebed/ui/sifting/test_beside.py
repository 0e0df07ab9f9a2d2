"""A long record that several processes sift comes to the same as one that is read line by line."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from edgebed.runs.comparison import compare_virtual
from edgebed.runs.layout import Layout
from edgebed.ui.sifting import beside
from edgebed.ui.sifting.sifted import Sifted, sift
from edgebed.ui.sources import tail
from edgebed.ui.sources.files import OpenFile
from edgebed.ui.sources.intake import Intake
from edgebed.ui.sources.recorded import open_run
from emulation.recording import RECORD_FILE
from tests.build.small import small_scenario
from tests.build.ui_sources import all_said

ODD = (
    b'{"t_s":"x","actor":"router","kind":"decision"}\nno line\n'
    + b"long " * 4000
    + b'\n{"kind":"request"}\n\n{"torn":'
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record, with lines behind it that are none."""
    layout = Layout(tmp_path_factory.mktemp("sifted"))
    compare_virtual(small_scenario(rate_per_s=1.0, slots=6), ["MA"], [0], layout, quiet=True)
    folder = layout.run_folder("MA", 0)
    with (folder / RECORD_FILE).open("ab") as file:
        file.write(ODD)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stretch", [1, 700, 5000, 1 << 24])
def test_stretches_are_whole_lines_one_behind_the_other(
    record: Path, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "STRETCH", stretch)
    text = (record / RECORD_FILE).read_bytes()
    found = list(beside._stretches(OpenFile(record / RECORD_FILE), 0, len(text)))
    assert found[0][0] == 0
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert found[-1][1] == text.rfind(b"\n") + 1
    assert all(text[end - 1 : end] == b"\n" for _, end in found)
    assert sum(sift(text[begin:end], begin).lines for begin, end in found) == text.count(b"\n")


@pytest.mark.parametrize("failure", [BlockingIOError("no process to be had"), RuntimeError("one was killed")])
@pytest.mark.parametrize("after", [0, 2])
def test_what_failing_processes_leave_is_read_here(
    record: Path, failure: Exception, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def failing(file: OpenFile, at: int, until: int) -> Generator[Sifted]:
        tries.append(at)
        for begin, end in islice(beside._stretches(file, at, until), after):
            yield sift(file.read(begin, end - begin), begin)
        raise failure

    whole = all_said(open_run(record))
    monkeypatch.setattr(beside, "STRETCH", 9_000)
    monkeypatch.setattr(tail, "LONG", 1)
    monkeypatch.setattr(tail, "PIECE", 500)
    monkeypatch.setattr(tail, "sifted_beside", failing)
    assert all_said(open_run(record)) == whole
    assert len(tries) == 1, "it is not tried again"


@pytest.mark.slow
def test_a_record_read_beside_shows_what_one_shows_that_is_read_here(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = open_run(record)
    monkeypatch.setattr(beside, "STRETCH", 20_000)
    monkeypatch.setattr(tail, "LONG", 1)
    monkeypatch.setattr(tail, "PIECE", 500)
    other = open_run(record)
    assert all_said(other) == all_said(here)
    one, two = other._tables, here._tables  # type: ignore[attr-defined]
    assert (one.lines, one.bad) == (two.lines, two.bad)
    assert len(one.bad) == Intake.MOST_BAD
    for column in ("intended_s", "ended_s", "executor", "node", "outcome", "counted"):
        assert np.array_equal(one.requests[column], two.requests[column], equal_nan=column.endswith("_s"))
