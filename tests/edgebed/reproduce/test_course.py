"""A reproduction takes what can be made: a run that fails is named and left out, and results are never mixed."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from edgebed.commands.reproduce import _show
from edgebed.reproduce.common.course import Paper, Part, Reproduction, reproduce
from emulation.files import ConfigError

PAPER = Paper("toy", "A toy paper", "Made in {took}.", ("none",), ())


def _inverse(number: int) -> float:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1 / number


def course(folder: Path) -> tuple[Reproduction, dict[int, float]]:
    taken: dict[int, float] = {}

    def conclude(done: Reproduction) -> None:
        done.found["sum"] = sum(taken.values())

    part = Part("inverses", range(5), _inverse, taken.__setitem__, conclude)
    return reproduce(PAPER, folder, [part], quiet=True, workers=2), taken


def test_runs_that_fail_are_named_and_the_others_are_concluded(tmp_path: Path) -> None:
    done, taken = course(tmp_path / "out")
    assert taken == {1: 1.0, 2: 0.5, 4: 0.25}
    assert done.failed.keys() == {"0", "3"}
    assert done.failed["0"].startswith("ZeroDivisionError: division by zero (test_course.py, line")
    assert "SIGKILL" in done.failed["3"]
    assert not done.complete
    said = orjson.loads((tmp_path / "out" / "results.json").read_bytes())
    assert (said["sum"], said["complete"], len(said["failed"])) == (1.75, False, 2)
    assert "0, in no figure: ZeroDivisionError" in (tmp_path / "out" / "report.html").read_text()


def test_results_that_cannot_be_written_are_still_there_to_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("edgebed.reproduce.common.course.write_whole", full)
    done, _ = course(tmp_path / "out")
    assert done.found["sum"] == 1.75
    assert done.unwritten.endswith("results.json: not written: No space left on device")
    assert not done.complete


@pytest.mark.parametrize(
    ("left", "code"),
    [({}, 0), ({"failed": {"a": "b"}}, 1), ({"unwritten": "full"}, 1), ({"interrupted": True}, 130)],
)
def test_the_exit_code_says_whether_everything_was_made(
    tmp_path: Path, left: dict[str, Any], code: int
) -> None:
    done = Reproduction(tmp_path, **left)
    if code == 0:
        _show(done, as_json=True)
        return
    with pytest.raises(typer.Exit) as ended:
        _show(done, as_json=True)
    assert ended.value.exit_code == code


@pytest.mark.parametrize("there", ["results.json", "mine.txt"])
def test_results_of_two_calls_are_not_mixed(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("old")
    with pytest.raises(ConfigError, match=f"not empty.*{there}"):
        course(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [there]
