"""A run that was cut is closed from what was acknowledged, once; one that is whole, or still goes on, is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.runs.client_log import CLIENT_LOG
from edgebed.runs.recover import recover
from emulation.domain.mistakes import ConfigError
from emulation.metrics.conservation import conservation
from emulation.recording import RECORD_FILE, JsonlSink, read_run
from serve_apps.records.books import Books
from serve_apps.records.store import OPEN_FOLDER
from tests.build.fakes import device_testbed, header, request, scenario
from tests.edgebed.runs.test_client_log import seen

WORLD = scenario(device_testbed())


def cut(folder: Path, **changes: Any) -> Books:
    """The books of a live run with one request done and one in the system, as its recorder has them."""
    from dataclasses import replace

    books = Books(folder, replace(header(WORLD), world="live", **changes), WORLD.testbed)
    one, two = request(1, 5.0), request(2, 4.0)
    books.post("g", 1, [("arrive", (one,)), ("arrive", (two,)), ("end", (one, "done", 6.0))])
    return books


def test_what_was_acknowledged_is_kept_and_what_was_not_is_cut_off(tmp_path: Path) -> None:
    cut(tmp_path).abandon()
    acknowledged = (tmp_path / RECORD_FILE).read_bytes()
    with (tmp_path / RECORD_FILE).open("ab") as torn:
        torn.write(acknowledged.splitlines()[1] + b"\n" + b'{"t_s": 3')
    (found,) = recover(tmp_path)
    assert (found.how, found.requests, found.unfinished) == ("closed", 2, 1)
    run = read_run(tmp_path)
    assert [(r.request_id, r.outcome) for r in run.requests] == [
        ("r000001", "done"),
        ("r000002", "unfinished"),
    ]
    assert run.footer is not None
    assert run.footer.interrupted
    assert conservation(run).ok
    assert not (tmp_path / OPEN_FOLDER).exists()
    before = (tmp_path / RECORD_FILE).read_bytes()
    assert [one.how for one in recover(tmp_path)] == ["whole"]
    assert (tmp_path / RECORD_FILE).read_bytes() == before


def test_a_run_that_is_being_recorded_is_left_alone(tmp_path: Path) -> None:
    books = cut(tmp_path)
    before = (tmp_path / RECORD_FILE).read_bytes()
    result = CliRunner().invoke(app, ["recover", str(tmp_path)])
    assert result.exit_code == 1
    assert "it is being recorded; end it first" in " ".join(result.output.split())
    assert (tmp_path / RECORD_FILE).read_bytes() == before
    books.abandon()


def test_its_clients_log_is_joined_and_held_against_it(tmp_path: Path) -> None:
    cut(tmp_path).abandon()
    (tmp_path / CLIENT_LOG).write_text(
        seen("r000001", 5.0, "done") + seen("lost", 5.5, "done").replace('"a"', '"m"')
    )
    recover(tmp_path)
    (problem,) = conservation(read_run(tmp_path)).problems
    assert problem == "1 answers that a client has are not in the record: lost"


def test_a_testbed_that_stayed_gets_its_true_horizon(tmp_path: Path) -> None:
    cut(tmp_path, horizon_s=1e9).abandon()
    recover(tmp_path)
    assert read_run(tmp_path).header.horizon_s == 6.0
    assert [one.how for one in recover(tmp_path)] == ["whole"]


def test_a_run_of_virtual_time_is_closed_too_and_a_bad_one_stops_no_other(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "b")
    sink.write(header(WORLD))
    sink.close()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / RECORD_FILE).write_bytes(b"")
    result = CliRunner().invoke(app, ["recover", str(tmp_path)])
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "nothing of this one was kept" in said
    assert "b: closed, 0 requests" in said


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no record"):
        recover(tmp_path)


def test_a_recorder_that_was_killed_while_it_closed_a_run_leaves_it_to_be_closed(tmp_path: Path) -> None:
    books = cut(tmp_path)
    books.close(9.0, interrupted=False)
    (found,) = recover(tmp_path)
    assert (found.how, found.unfinished) == ("closed", 0)
    run = read_run(tmp_path)
    assert run.footer is not None
    assert not run.footer.interrupted
    assert conservation(run).ok
