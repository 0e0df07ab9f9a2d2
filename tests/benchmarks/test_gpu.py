"""The GPU measurement: refuses without a card, goes on where it was, says of a dry run that it is one."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import live, memory, parts
from benchmarks.gpu.plan import LIMIT_S, MODELS, PARTS, VLLM_PYTHON, Part, Setting
from edgebed.models.checkpoints import FULL, TINY
from emulation.domain.scenario import Scenario


@pytest.fixture
def dry(tmp_path: Path) -> Setting:
    return Setting(folder=tmp_path / "gpu-dry", dry=True)


def ran(
    monkeypatch: pytest.MonkeyPatch, setting: Setting, fails: str = "", limit_s: float = LIMIT_S
) -> list[str]:
    """Parts that a run begins; each leaves its file, but for the one that fails."""
    begun: list[str] = []

    def instead(part: Part, of: Setting, left_s: float) -> tuple[str, str]:
        begun.append(part.name)
        if part.name == fails:
            return "FAILED", "it broke"
        of.write(part.name, {})
        return "measured", ""

    monkeypatch.setattr(command, "_run", instead)
    command.run(setting, limit_s)
    return begun


def test_without_a_card_it_refuses_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_gpu_there", lambda: False)
    assert command.main(["--out", str(tmp_path / "gpu")]) == 2
    said = capsys.readouterr().err
    assert "no NVIDIA GPU" in said
    assert "--dry" in said
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_torch_has_no_card_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert command._gpu_there() is False


def test_all_four_models_are_there_at_full_size_and_tiny() -> None:
    assert {m.published for m in MODELS} == set(FULL)
    assert {m.tiny for m in MODELS} == set(TINY)
    assert {f"profile:{m.id}" for m in MODELS} < {p.name for p in PARTS}


def test_every_part_is_one_that_can_be_measured(dry: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (parts, "host"), (parts, "profile"), (parts, "contention"), (parts, "injected"), (parts, "vllm"),
        (memory, "memory"), (live, "calibration"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *given, of=name: {"measured": of})
    found = [command.measure(part.name, dry)["measured"] for part in PARTS]
    assert set(found) == {"host", "profile", "contention", "injected", "vllm", "memory", "calibration"}


def test_a_second_run_measures_only_what_failed(dry: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    every = [p.name for p in PARTS]
    assert ran(monkeypatch, dry, fails="memory") == every
    assert ran(monkeypatch, dry) == ["memory"]
    assert ran(monkeypatch, dry) == []


def test_nothing_is_begun_that_the_time_does_not_allow(
    dry: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(monkeypatch, dry, limit_s=0.0) == []
    said = capsys.readouterr().out
    assert said.count("not begun") == len(PARTS)
    assert "run this again" in said


def test_the_exit_code_says_whether_all_is_there(dry: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_run", lambda part, of, left_s: ("FAILED", "it broke"))
    assert command.run(dry, LIMIT_S) == command.FAILED

    def measured(part: Part, of: Setting, left_s: float) -> tuple[str, str]:
        of.write(part.name, {})
        return "measured", ""

    monkeypatch.setattr(command, "_run", measured)
    assert command.run(dry, LIMIT_S) == command.OK


@pytest.mark.slow
def test_a_part_that_breaks_leaves_its_log_and_no_figures(tmp_path: Path) -> None:
    setting = Setting(folder=tmp_path / "gpu-dry", dry=True)
    setting.folder.mkdir()
    said = command._run(Part("calibration", 60.0), setting, 500.0)  # its profile is not there
    assert said[0] == "FAILED"
    assert "profile-gpt2.json" in said[1]
    assert (setting.folder / "logs" / "calibration.log").is_file()
    assert not setting.raw("calibration").exists()


@pytest.mark.slow
def test_a_part_that_is_skipped_is_missing_until_it_is_measured(
    dry: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """vLLM has an environment of its own; the file of an earlier version that says "skipped" is no figure."""
    assert find_spec("vllm") is None
    for part in PARTS:
        dry.write(part.name, {})
    dry.write("vllm", {"skipped": "vllm is not installed in this environment"})
    monkeypatch.delenv(VLLM_PYTHON, raising=False)
    assert command.run(dry, LIMIT_S) == command.FAILED
    said = capsys.readouterr().out
    assert "vllm: skipped: vllm is not installed; pip install" in said
    assert "vllm: measured" not in said
    assert "missing: vllm (skipped)" in said
    assert not dry.measured("vllm")


def test_vllm_is_measured_by_the_python_that_is_named(
    dry: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python, asked = tmp_path / "python", tmp_path / "asked"
    python.write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    python.chmod(0o755)
    dry.folder.mkdir()
    monkeypatch.setenv(VLLM_PYTHON, str(python))
    assert command._run(Part("vllm", 60.0), dry, 60.0) == ("measured", "")
    assert "--part vllm" in asked.read_text()
    monkeypatch.setenv(VLLM_PYTHON, str(tmp_path / "none"))
    assert command._run(Part("vllm", 60.0), dry, 60.0)[0] == "FAILED"


def test_every_file_of_a_dry_run_says_that_it_means_nothing(dry: Setting, tmp_path: Path) -> None:
    dry.write("host", {"cores": 2})
    assert "none" in json.loads(dry.raw("host").read_text())["meaning"]
    real = Setting(folder=tmp_path / "gpu", dry=False)
    real.write("host", {"cores": 2})
    assert json.loads(real.raw("host").read_text()) == {"part": "host", "dry_run": False, "cores": 2}


def test_the_ledger_admits_as_many_as_the_fraction_allows(dry: Setting) -> None:
    found = memory.memory(dry)
    assert {f: row["admitted"] for f, row in found["ledger"].items()} == {"1": 1, "0.5": 2, "0.25": 4}
    assert found["ok"]


def test_a_ledger_that_admits_another_number_is_not_ok(monkeypatch: pytest.MonkeyPatch, dry: Setting) -> None:
    monkeypatch.setattr(memory, "CONTEXT_MB", 0.0)  # replicas then claim their share and a context beside it
    assert not memory.memory(dry)["ok"]


@pytest.mark.parametrize("is_dry", [True, False])
def test_the_scenario_of_the_calibration_is_a_valid_one(tmp_path: Path, is_dry: bool) -> None:
    setting = Setting(folder=tmp_path, dry=is_dry)
    scenario = Scenario.model_validate(live.scenario_of(setting, [1e-4, 8e-3]))
    assert scenario.horizon_s == (live.DRY_SECONDS if is_dry else live.SECONDS)
    assert scenario.testbed.modes("gpu-a", "gpt2") == (("cpu",) if is_dry else ("gpu",))


@pytest.mark.models
@pytest.mark.slow
def test_a_dry_profile_has_every_point_and_writes_no_profile_file(dry: Setting, tiny: Path) -> None:
    dry.folder.mkdir(parents=True)
    (dry.folder / "models").symlink_to(tiny)
    for part in ("profile:gpt2", "profile:sd"):
        dry.write(part, command.measure(part, dry))
    found: dict[str, Any] = orjson.loads(dry.raw("profile:gpt2").read_bytes())
    assert len(found["profile"]["points"]) == len(dry.grid.sizes("text")) * dry.grid.repeats
    assert not list(dry.folder.rglob("*.yaml"))
