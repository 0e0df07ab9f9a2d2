"""Rewriting a record line by line comes to what sorting all of it in memory does, and holds none of it."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.domain.records import Record, RequestRecord, RunHeader
from emulation.jsonl import RecordError
from emulation.recording import RECORD_FILE, SIDE_FILE, JsonlSink, encode, rows_of, write_records
from emulation.rewriting import lines_of, rewrite, sides_of
from tests.build.records import decision, event, footer, header, request, state

Row = tuple[Record, Mapping[str, Any] | None]

moments = st.floats(0, 5).map(lambda s: round(s, 1))
lines = st.one_of(
    moments.map(lambda t: request(t, 1.0)),
    moments.map(lambda t: decision(t, "router")),
    moments.map(lambda t: event(t, "onset")),
    moments.map(lambda t: state(t, "n1/a", "ready")),
)
sides = st.one_of(st.none(), st.fixed_dictionaries({"wall": moments}))


def counted(record: Record) -> Record:
    """As `finish` changes records: the header and requests, the latter to an earlier moment as well."""
    if isinstance(record, RunHeader):
        return replace(record, slots=7)
    return replace(record, counted=False, t_s=record.t_s / 2) if isinstance(record, RequestRecord) else record


def written(folder: Path, rows: list[Row]) -> None:
    sink = JsonlSink(folder)
    for row in rows:
        sink.write(*row)
    sink.close()


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
@given(st.lists(st.tuples(lines, sides), max_size=12), sides)
def test_it_is_what_sorting_everything_comes_to(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], first: Mapping[str, Any] | None
) -> None:
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    whole: list[Row] = [(header(), first), *rows, (footer([]), None)]
    written(here, whole)
    rewrite(here, counted)
    write_records(there, [(counted(record), side) for record, side in whole])
    assert files(here) == files(there)


def test_a_torn_last_line_goes_and_its_side_data_too(tmp_path: Path) -> None:
    rows: list[Row] = [
        (header(), None),
        (request(2.0, 1.0), {"wall": 1.0}),
        (request(1.0, 1.0), {"wall": 2.0}),
    ]
    written(tmp_path, rows)
    file = tmp_path / RECORD_FILE
    file.write_bytes(file.read_bytes()[:-9])
    rewrite(tmp_path, lambda record: record)
    assert rows_of(tmp_path) == rows[:2]
    assert (tmp_path / SIDE_FILE).read_bytes().count(b"\n") == 1


def test_a_bad_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    written(tmp_path, [(header(), None), (request(1.0, 1.0), {"wall": 1.0})])
    file = tmp_path / RECORD_FILE
    file.write_bytes(file.read_bytes() + b"{}\n" + encode(footer([])))
    before = files(tmp_path)
    with pytest.raises(RecordError, match="line 3"):
        rewrite(tmp_path, counted)
    assert files(tmp_path) == before


def test_side_data_of_some_lines(tmp_path: Path) -> None:
    written(tmp_path, [(header(), {"a": 1}), (request(1.0, 1.0), {"b": 2}), (footer([]), {"c": 3})])
    assert [{k: v for k, v in row.items() if k != "line"} for row in sides_of(tmp_path, {0, 2})] == [
        {"a": 1},
        {"c": 3},
    ]
    assert [line.at for line in lines_of(tmp_path)][0] == 0


@pytest.mark.slow
def test_a_record_never_stands_in_memory(tmp_path: Path) -> None:
    written(
        tmp_path,
        [(header(), None), *((request(i / 10, 1.0), {"wall": float(i)}) for i in range(3000, 0, -1))],
    )
    size = sum(map(len, files(tmp_path).values()))
    rewrite(tmp_path, counted)  # what is loaded once does not count
    tracemalloc.start()
    rewrite(tmp_path, counted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4


@pytest.mark.parametrize("write", [rewrite, lambda folder, _: write_records(folder, rows_of(folder))])
@pytest.mark.parametrize(
    "killed_at", [("replace", 1), ("replace", 2), ("open", 1), ("open", 2), ("never", 0)]
)
def test_side_data_stays_with_its_line_whenever_the_writer_is_killed(
    tmp_path: Path, write: Any, killed_at: tuple[str, int]
) -> None:
    rows: list[Row] = [
        (header(), None),
        *((request(9.0 - t, 1.0), {"of": 9.0 - t}) for t in range(5)),
        (footer([]), None),
    ]
    written(tmp_path, rows)

    def together() -> list[tuple[float, float]]:
        return [(r.intended_s, s["of"]) for r, s in rows_of(tmp_path) if isinstance(r, RequestRecord) and s]

    before, in_order = together(), sorted(together())
    child = os.fork()
    if child == 0:
        die_at(*killed_at)
        write(tmp_path, lambda record: record)
        os._exit(0)
    os.waitpid(child, 0)
    after_the_first = killed_at in (("replace", 2), ("never", 0))
    assert together() == (in_order if after_the_first else before)
    rewrite(tmp_path, lambda record: record)
    assert together() == in_order
    assert sorted(files(tmp_path)) == [RECORD_FILE, SIDE_FILE]


def die_at(method: str, number: int) -> None:
    """Have this process killed as a part is opened for writing, or as it is to take its place, for this time."""
    left, doing = [number], getattr(Path, method, None)

    def done(path: Path, *args: Any, **named: Any) -> Any:
        if path.name.endswith(".part") and "rb" not in args:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        assert doing is not None
        return doing(path, *args, **named)

    if doing is not None:
        setattr(Path, method, done)
