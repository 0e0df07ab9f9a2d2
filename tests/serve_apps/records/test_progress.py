"""The recorder's side of the progress record: every prompt in the file at most once, however the reports come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.domain.measured import Measured
from emulation.jsonl import RecordError
from serve_apps.records.progress import PROGRESS_FILE, ProgressBook, broken_promises, read_progress
from serve_apps.wire.messages import Finished
from tests.build.records import request, run


@pytest.fixture
def book(tmp_path: Path) -> Iterator[ProgressBook]:
    with closing(ProgressBook(tmp_path)) as found:
        yield found


def report(request_id: str, attempt: int, after: int, until: int) -> Finished:
    return Finished(
        request_id=request_id, attempt=attempt, executor="n/a", after=after, done=until, t_s=float(until),
        service_s=2.0 * until,
    )  # fmt: skip


def test_reports_are_in_the_file_at_once_and_say_who_finished_what(
    book: ProgressBook, tmp_path: Path
) -> None:
    book.add([report("a", 1, 0, 2), report("b", 1, 0, 1)])
    book.add([report("a", 1, 2, 3)])
    found = [(f.request_id, f.attempt, f.after, f.done) for f in read_progress(tmp_path)]  # not closed
    assert found == [("a", 1, 0, 2), ("b", 1, 0, 1), ("a", 1, 2, 3)]


def test_a_new_attempt_starts_from_what_is_written_and_the_old_one_is_no_longer_heard(
    book: ProgressBook, tmp_path: Path
) -> None:
    book.add([report("a", 1, 0, 2)])
    assert book.take_over("a", 2) == Measured(prompts_done=2, service_s=4.0)
    book.add([report("a", 1, 2, 4)])  # from a node that was thought dead
    book.add([report("a", 2, 2, 3)])
    assert [(f.attempt, f.after, f.done) for f in read_progress(tmp_path)] == [(1, 0, 2), (2, 2, 3)]
    assert book.take_over("unknown", 2) == Measured()


def test_a_late_report_of_a_request_that_ended_is_written_once(book: ProgressBook, tmp_path: Path) -> None:
    book.add([report("a", 1, 0, 2)])
    book.ended("a")
    book.add([report("a", 1, 0, 3)])
    book.add([report("a", 1, 0, 3)])
    assert [(f.after, f.done) for f in read_progress(tmp_path)] == [(0, 2), (2, 3)]


Call = st.tuples(
    st.sampled_from(["report", "again", "take_over", "end"]), st.integers(1, 3), st.integers(0, 6)
)


@given(st.lists(Call, max_size=30))
def test_no_order_of_reports_writes_a_prompt_twice(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    book = ProgressBook(folder)
    for what, attempt, prompts in calls:
        if what == "take_over":
            book.take_over("a", attempt)
        elif what == "end":
            book.ended("a")
        else:
            book.add([report("a", attempt, 0, prompts)] * (2 if what == "again" else 1))
    book.close()
    written = [index for f in read_progress(folder) for index in range(f.after, f.done)]
    assert sorted(written) == list(range(len(written)))


def test_broken_promises_name_what_was_served_twice_and_what_is_missing() -> None:
    served = run([request(0, 5, request_id=i, prompts=n) for i, n in (("a", 3), ("b", 2))])
    lines = [report("a", 1, 0, 2), report("a", 2, 1, 3), report("b", 1, 1, 2)]
    assert broken_promises(lines, served) == [
        "a: prompt 1 finished 2 times",
        "b: done, but prompts [0] are not in the record",
    ]
    whole = [report("a", 1, 0, 3), report("b", 1, 0, 2)]
    assert broken_promises(whole, served) == []


def test_a_torn_last_line_is_left_out_and_any_other_is_an_error(tmp_path: Path) -> None:
    book = ProgressBook(tmp_path)
    book.add([report("a", 1, 0, 2)])
    book.close()
    file = tmp_path / PROGRESS_FILE
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"request_id": "b"')
    assert len(read_progress(tmp_path)) == 1
    file.write_bytes(b"{}\n" + whole)
    with pytest.raises(RecordError, match="line 1"):
        read_progress(tmp_path)
