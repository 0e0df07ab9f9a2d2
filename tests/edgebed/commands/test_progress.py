"""How far a command is: lines on stderr, nothing with `--json` or `--quiet`; and exit codes that say if all was run."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebed.commands.entry import FAILED, INTERRUPTED
from edgebed.reproduce.common.course import Reproduction
from tests.build.command_line import edgebed, small


def test_a_single_long_run_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebed.commands.console.LINE_S", 0.05)
    path = str(small(tmp_path, slots=300))
    said = edgebed("simulate", path, "--scheme", "AL", "--out", str(tmp_path / "a")).stderr
    shares = [int(line.split(": ")[1].split("%")[0]) for line in said.splitlines() if "%" in line]
    assert said.splitlines()[0] == "small, virtual ..."
    assert any(0 < share < 100 for share in shares), said
    assert shares == sorted(shares)
    for option in ("--quiet", "--json"):
        done = edgebed("simulate", path, "--scheme", "AL", "--out", str(tmp_path / option), option)
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("interrupted", "failed", "code"),
    [(False, {}, 0), (True, {}, INTERRUPTED), (False, {"AL": "died"}, FAILED)],
)
def test_a_reproduction_that_is_not_whole_ends_with_another_code(
    interrupted: bool, failed: dict[str, str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Reproduction(tmp_path, interrupted=interrupted, failed=failed)
    monkeypatch.setattr("edgebed.reproduce.e3.run.reproduce", lambda *_, **__: done)
    edgebed("reproduce", "e3", "--quick", "--out", str(tmp_path / "out"), code=code)
