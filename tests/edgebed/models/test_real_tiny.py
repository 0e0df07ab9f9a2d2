"""`--backend real-tiny`: any testbed on tiny real models."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.models.tiny import SPEEDUP, tiny_folder, with_backend
from edgebed.runs.live import as_live
from emulation.files import ConfigError, list_scenarios, load_scenario
from serve_apps.replica.choice import real_models

pytestmark = pytest.mark.models


@pytest.mark.parametrize("name", [n for n in list_scenarios() if not load_scenario(n).testbed.backends])
def test_every_packaged_scenario_can_run_on_tiny_real_models(
    name: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebed.models.tiny.tiny_folder", lambda: tiny)
    scenario, default = with_backend(load_scenario(name), "real-tiny", None)
    ready = as_live(scenario, default)
    assert ready.live.speedup <= SPEEDUP
    for node in ready.testbed.nodes:
        assert real_models(ready.testbed, node.id, default) == ready.testbed.hosted(node.id)
        for model in ready.testbed.hosted(node.id):
            entry = ready.testbed.backend(node.id, model)
            assert entry is not None
            assert Path(entry.settings["source"]).is_dir()
            assert entry.settings["device"] == "cpu"
            assert entry.stand_in


@pytest.mark.slow
def test_checkpoints_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBED_HOME", str(tmp_path / "made"))
    with_backend(load_scenario("demo"), "real-tiny", None)
    first = sorted((p, p.stat().st_mtime_ns) for p in tiny_folder().rglob("*"))
    with_backend(load_scenario("demo"), "real-tiny", None)
    assert first == sorted((p, p.stat().st_mtime_ns) for p in tiny_folder().rglob("*"))


def test_a_speedup_that_was_asked_for_is_kept(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebed.models.tiny.tiny_folder", lambda: tiny)
    demo = load_scenario("demo")
    scenario, default = with_backend(demo, "real-tiny", demo.live.speedup)
    assert as_live(scenario, default).live.speedup == demo.live.speedup > SPEEDUP


def test_what_is_no_stand_in_holds_the_clock_to_its_own_pace(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebed.models.tiny.tiny_folder", lambda: tiny)
    scenario, default = with_backend(load_scenario("demo"), "real-tiny", None)
    first, *others = scenario.testbed.backends
    mixed = (first.model_copy(update={"stand_in": False}), *others)
    testbed = scenario.testbed.model_copy(update={"backends": mixed})
    with pytest.raises(
        ConfigError, match=f"speedup must be 1, not {SPEEDUP:g} \\({first.model} on jetson-thor, "
    ):
        as_live(scenario.model_copy(update={"testbed": testbed}), default)


@pytest.mark.parametrize("command", ["up", "compare"])
def test_an_unknown_backend_is_one_clear_error(command: str) -> None:
    live = ["demo", "--live"] if command == "compare" else []
    result = CliRunner().invoke(app, [command, *live, "--backend", "emulate"])
    assert isinstance(result.exception, ConfigError)
    assert "--backend emulate: unknown backend 'emulate'; known:" in str(result.exception)
