"""A machine that is busy with other things is noticed, and what was measured on it is not taken for the model's law."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.profile import busy as module
from edgebed.profile import measuring
from edgebed.profile.busy import LEAST, QUIET, Computing, checked
from emulation.files import ConfigError, load_profile


class Hand:
    """Clocks that a test moves."""

    def __init__(self) -> None:
        self.wall_s = self.thread_s = self.process_s = 0.0

    def computing(self, threads: int = 1) -> Computing:
        return Computing(threads, lambda: self.wall_s, lambda: self.thread_s, lambda: self.process_s)

    def passes(self, wall_s: float, thread_s: float, process_s: float) -> None:
        self.wall_s += wall_s
        self.thread_s += thread_s
        self.process_s += process_s


@pytest.mark.parametrize(
    ("threads", "wall_s", "thread_s", "process_s", "share"),
    [
        (1, 1.0, 1.0, 1.0, 1.0),
        (1, 0.94, 0.08, 0.08, 0.08 / 0.94),
        (1, 1.0, 0.0, 0.97, 0.97),  # an engine with a thread of its own
        (4, 1.0, 0.99, 2.5, 0.99),  # not everything is computed by all threads
        (4, 1.0, 0.4, 1.6, 0.4),
        (1, 1.0, 1.0, 1.3, 1.0),
    ],
)
def test_the_share_of_the_time_that_was_computed(
    threads: int, wall_s: float, thread_s: float, process_s: float, share: float
) -> None:
    hand = Hand()
    computing = hand.computing(threads)
    for _ in range(3):
        with computing.counted():
            hand.passes(wall_s, thread_s, process_s)
        hand.passes(50.0, 0.0, 0.0)  # between two measurements
    assert computing.share() == pytest.approx(share)


@given(st.floats(0, 1), st.booleans())
def test_the_verdict_is_by_the_share(share: float, anyway: bool) -> None:
    if share < LEAST and not anyway:
        with pytest.raises(ConfigError, match="--anyway"):
            checked(share, anyway)
    else:
        said = checked(share, anyway)
        assert (said is None) == (share >= QUIET)
        assert said is None or "busy" in said


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize(("share", "options", "code"), [(0.1, [], 2), (0.1, ["--anyway"], 0), (0.5, [], 0)])
def test_the_command_says_it_and_writes_nothing_where_nothing_was_measured(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, options: list[str], code: int
) -> None:
    monkeypatch.setattr(measuring.Computing, "share", lambda self: share)
    file = tmp_path / "m.yaml"
    given: list[Any] = [
        "profile",
        tiny / "gpt2",
        file,
        "--model",
        "m",
        "--inputs",
        "8,64",
        "--outputs",
        "2,8",
    ]
    result = CliRunner().invoke(app, [*map(str, given), *options])
    assert (result.exit_code == 0) == (code == 0)
    assert file.exists() == (code == 0)
    if code:
        assert isinstance(result.exception, ConfigError)
        assert "the machine was busy" in str(result.exception)
    else:
        found = load_profile(file)
        assert found.measured is not None
        assert found.measured.cpu_share == share
        assert "the machine was busy" in " ".join(result.output.split())
    assert share < module.QUIET
