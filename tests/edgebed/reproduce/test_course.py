"""A reproduction takes what can be made: a run that fails is named and left out, and results are never mixed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import orjson
import pytest

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
    assert "FAILED, and in no figure: 0: ZeroDivisionError" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("there", ["results.json", "mine.txt"])
def test_results_of_two_calls_are_not_mixed(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("old")
    with pytest.raises(ConfigError, match=f"not empty.*{there}"):
        course(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [there]
