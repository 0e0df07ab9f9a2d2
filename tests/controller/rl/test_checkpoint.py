"""Checkpoints: written as read, whole or not at all, and refused in a sentence where anything is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.objective import Objective
from controller.rl.checkpoint import (
    ABOUT,
    FORMAT,
    SHIPPED,
    Checkpoint,
    Trained,
    read_checkpoint,
    write_checkpoint,
)
from controller.rl.nets import SHAPES, random_weights
from controller.schedulers.mappo import MappoScheduler
from edgebed.runs.virtual import simulate
from emulation.files import ConfigError, load_scenario, load_testbed
from tests.build.command_line import edgebed

ABOUT_IT = Trained(
    scenario="bristol-A", seed=3, first_world=1_000_000, episodes=2, steps=160, cpu_s=1.5, edgebed="0.1.0"
)


def made(path: Path, **changes: Any) -> Path:
    """A checkpoint file with some arrays replaced; None leaves one out."""
    arrays: dict[str, Any] = {n: a.astype(np.float32) for n, a in random_weights(3).items()}
    arrays[ABOUT] = np.frombuffer(ABOUT_IT.model_dump_json().encode(), dtype=np.uint8)
    arrays |= changes
    np.savez(path, allow_pickle=True, **{n: a for n, a in arrays.items() if a is not None})
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, again, weights = tmp_path / "a.npz", tmp_path / "b.npz", random_weights(3)
    write_checkpoint(path, Checkpoint(weights, ABOUT_IT))
    write_checkpoint(again, Checkpoint(weights, ABOUT_IT))
    read = read_checkpoint(path)
    assert read.about == ABOUT_IT
    assert all((read.weights[n] == weights[n].astype(np.float32)).all() for n in SHAPES)
    assert path.read_bytes() == again.read_bytes()


def test_the_one_that_is_shipped_says_where_it_comes_from_and_was_not_trained_on_what_is_compared() -> None:
    about = read_checkpoint(SHIPPED).about
    assert about.scenario == "bristol-A"
    assert about.format == FORMAT
    assert about.first_world >= 1_000_000
    assert about.steps > about.episodes > 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.write_bytes(b"no archive"), "not a zip file"),
        (lambda p: made(p, **{"router.w1": None}), "lacks 'router.w1'"),
        (lambda p: made(p, more=np.zeros(1)), "unknown array 'more'"),
        (lambda p: made(p, **{"router.b1": np.zeros(3, np.float32)}), "router.b1 is float32 of shape (3,)"),
        (lambda p: made(p, **{"router.b1": np.full(32, np.nan)}), "not finite"),
        (lambda p: made(p, **{"router.b1": np.zeros(32, np.int64)}), "router.b1 is int64"),
        (lambda p: made(p, **{"router.b1": np.array([print] * 32)}), "allow_pickle=False"),
        (lambda p: made(p, **{"router.w2": np.zeros(2_000_000)}), "more than 4000000"),
        (lambda p: made(p, about=np.frombuffer(b"{}", dtype=np.uint8)), "scenario"),
        (
            lambda p: made(
                p,
                about=np.frombuffer(
                    ABOUT_IT.model_copy(update={"format": 99}).model_dump_json().encode(), dtype=np.uint8
                ),
            ),
            "format 99",
        ),
    ],
)
def test_a_broken_one_is_refused_in_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], Any], said: str
) -> None:
    path = tmp_path / "broken.npz"
    spoil(path)
    with pytest.raises(ValueError, match="checkpoint") as refused:
        read_checkpoint(path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_a_scenario_that_names_no_checkpoint_is_refused_before_it_runs(tmp_path: Path) -> None:
    given = {"mappo": {"checkpoint": str(tmp_path / "nowhere.npz")}}
    scenario = load_scenario("bristol-A").model_copy(update={"controllers": given})
    with pytest.raises(ConfigError, match=r"nowhere\.npz"):
        simulate(scenario, "DRL", 0)


def test_another_checkpoint_decides_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    write_checkpoint(path, Checkpoint(random_weights(9), ABOUT_IT))
    testbed = load_testbed("bristol-a")
    schedulers = [
        MappoScheduler(testbed, MappoScheduler.Config(checkpoint=c), 1, Objective())
        for c in (None, str(path))
    ]
    assert (schedulers[0]._weights["router.w1"] != schedulers[1]._weights["router.w1"]).any()


def test_training_without_its_libraries_is_refused_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgebed.commands import train

    monkeypatch.setattr(train, "find_spec", lambda name: None if name == "pettingzoo" else object())
    said = edgebed("train", "drl", "--out", str(tmp_path / "made"), code=2).stderr
    assert "pip install 'edgebed[rl]'" in said
    assert not (tmp_path / "made").exists()


@pytest.mark.models
def test_training_into_a_folder_it_may_not_write_to_is_refused_before_it_learns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def learn(*_: Any) -> None:
        raise AssertionError("it began to learn")

    monkeypatch.setattr("edgebed.rl.training.train", learn)
    monkeypatch.setattr("os.access", lambda _, mode: not mode & os.W_OK)
    said = edgebed("train", "drl", "--out", str(tmp_path), code=2).stderr
    assert "is a folder you may not write to" in said
