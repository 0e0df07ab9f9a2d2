"""How far a command is: lines on stderr while it works, nothing with `--json` or `--quiet`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build.command_line import edgebed, small

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.slow
def test_a_single_long_run_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebed.commands.console.LINE_S", 0.001)
    path = str(small(tmp_path, slots=100))
    said = edgebed("simulate", path, "--scheme", "AL", "--out", str(tmp_path / "a")).stderr
    shares = [int(line.split(": ")[1].split("%")[0]) for line in said.splitlines() if "%" in line]
    assert said.splitlines()[0] == "small, virtual ..."
    assert any(0 < share < 100 for share in shares), said
    assert shares == sorted(shares)
    for option in ("--quiet", "--json"):
        done = edgebed("simulate", path, "--scheme", "AL", "--out", str(tmp_path / option), option)
        assert done.stderr == ""
