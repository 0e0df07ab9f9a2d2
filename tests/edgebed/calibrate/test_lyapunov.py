"""Calibration of the Lyapunov deployer: what it watches, where its rules point, what it leaves, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from controller.deployers.lyapunov import LyapunovConfig
from edgebed.calibrate.evaluate import check_seeds, evaluated
from edgebed.calibrate.lyapunov import (
    TUNABLE,
    CalibratedCoefficients,
    Settings,
    calibrate,
    churn,
    prices,
    stats_of,
    with_parameters,
)
from edgebed.calibrate.windows import RunStats, WindowStats, run_stats
from edgebed.commands.main import app, main
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, load_scenario
from emulation.metrics.summary import summarise

SHORT = load_scenario("bristol-A").model_copy(update={"slots": 12, "tail_slots": 4, "epoch_slots": 12})
DEAR = with_parameters(SHORT, {"p1": 4.0, "p2": 4.0, "churn": 0.6})
"""GPUs and changes cost far too much."""
SETTINGS = Settings(seeds=(1000, 1001), iterations=2, window_slots=4)


def window(**changes: float | None) -> WindowStats:
    base = WindowStats(latency=0.3, latency_image=0.3, latency_text=0.3, gpu_utilisation=0.3, flips=0.1)
    return replace(base, **changes)  # type: ignore[arg-type]


def measured(*windows: WindowStats) -> RunStats:
    return RunStats(0.2, 100.0, 0.9, 0.9, 0.5, 1.0, windows)


# -- what is watched -----------------------------------------------------------------------------------------


def test_windows_tile_the_run_and_agree_with_its_summary() -> None:
    run = simulate_in_memory(SHORT, "RL", 0)
    stats, summary = run_stats(run, SHORT, 5), summarise(run)
    assert len(stats.windows) == 3
    slots = (5, 5, 2)
    nodes = len(SHORT.testbed.nodes)
    flips = sum(w.flips * n * nodes for w, n in zip(stats.windows, slots, strict=True))
    assert flips == pytest.approx(summary.reconfigurations)
    busy = sum((w.gpu_utilisation or 0.0) * n for w, n in zip(stats.windows, slots, strict=True))
    assert busy / sum(slots) == pytest.approx(stats.gpu_utilisation)
    assert stats.objective == summary.objective
    assert 0.0 < (stats.gpu_utilisation or 0.0) < 1.0


def test_a_request_that_was_not_served_counts_with_the_whole_deadline() -> None:
    hopeless = SHORT.model_copy(update={"deadline_s": 0.001})
    stats = run_stats(simulate_in_memory(hopeless, "RL", 0), hopeless, 12)
    assert [w.latency for w in stats.windows] == [1.0]
    assert stats.objective == 1.0
    assert stats.mean_latency_s is None


# -- where the rules point -----------------------------------------------------------------------------------


def test_a_saturated_gpu_becomes_cheaper_while_work_waits_and_gpus_do_not() -> None:
    waiting, idle = window(latency=0.6, gpu_utilisation=0.2), window(latency=0.1, gpu_utilisation=0.9)
    assert prices(measured(waiting), SETTINGS)["p1"] == pytest.approx(-0.8)
    assert prices(measured(idle), SETTINGS)["p1"] == 1.0
    assert prices(measured(waiting, window()), SETTINGS)["p1"] == pytest.approx(-0.4)


def test_image_work_becomes_cheaper_while_images_wait_longer_than_text() -> None:
    assert prices(measured(window(latency_image=0.5)), SETTINGS)["p2"] == pytest.approx(-0.4)
    assert prices(measured(window(latency_text=0.4)), SETTINGS)["p2"] == pytest.approx(0.2)
    assert prices(measured(window(latency_image=None)), SETTINGS)["p2"] == 0.0


def test_flips_in_calm_windows_move_churn_and_those_under_backlog_move_kappa() -> None:
    calm, congested = window(latency=0.1, flips=0.15), window(latency=0.8, flips=0.05)
    towards = churn(measured(calm, congested), SETTINGS)
    assert towards == {"churn": pytest.approx(0.5), "kappa": pytest.approx(-0.5)}


# -- what it leaves ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> CalibratedCoefficients:
    return calibrate(DEAR, SETTINGS, workers=1)


@pytest.mark.slow
def test_objective_on_its_own_seeds_never_rises_and_only_what_helped_is_kept(
    found: CalibratedCoefficients,
) -> None:
    kept = [t.measured.objective for t in found.trials if t.kept]
    assert kept == sorted(kept, reverse=True)
    assert found.best.objective < found.trials[0].measured.objective
    assert found.final == [t for t in found.trials if t.kept][-1].coefficients
    assert all(t.measured.objective >= min(kept) for t in found.trials)
    assert len(found.trials) == 1 + 2 * SETTINGS.iterations


def test_the_final_coefficients_really_give_the_objective_they_claim(found: CalibratedCoefficients) -> None:
    scenario = with_parameters(DEAR, found.final)
    runs = [stats_of(scenario, "RL", 4, seed)[1] for seed in SETTINGS.seeds]
    assert sum(r.objective for r in runs) / 2 == found.best.objective


@pytest.mark.slow
def test_calibration_finds_its_way_back_from_a_bad_start() -> None:
    frozen = with_parameters(SHORT, {"v": 30.0})
    settings = replace(SETTINGS, tune=("v",), iterations=6, step=2.0)
    found = calibrate(frozen, settings, workers=1)
    assert found.final["v"] < 16.4
    assert found.best.objective < found.trials[0].measured.objective - 0.05


@pytest.mark.slow
def test_any_coefficient_can_be_tuned_and_stays_one_the_deployer_takes() -> None:
    settings = replace(SETTINGS, seeds=(1000,), iterations=1, tune=TUNABLE, step=3.0)
    short = SHORT.model_copy(update={"slots": 2, "tail_slots": 0})
    found = calibrate(short, settings, workers=1)
    assert set(found.final) == set(TUNABLE)
    for trial in found.trials:
        LyapunovConfig.model_validate(trial.coefficients)


@pytest.mark.slow
def test_evaluation_compares_start_and_result_over_the_same_seeds(found: CalibratedCoefficients) -> None:
    other = replace(found, final={**found.final, "f0": 0.9})
    rows = {(r.scheme, r.figure): r for r in evaluated(DEAR, other, 2)}
    assert {s for s, _ in rows} == {"RL", "AL"}
    row = rows["AL", "mean_latency_s"]
    assert row.start is not None
    assert row.found is not None
    assert row.difference is not None
    assert row.difference.mean != 0.0
    assert row.difference.mean == pytest.approx(row.found.mean - row.start.mean)
    check_seeds(SETTINGS, 1000)
    with pytest.raises(ConfigError, match="1000 is a calibration seed"):
        check_seeds(SETTINGS, 1001)


# -- the command ---------------------------------------------------------------------------------------------

QUICK = ("--iterations", "1", "--seeds", "2", "--window", "4")


def short_file(folder: Path, **changes: Any) -> Path:
    scenario = {
        "name": "short",
        "testbed": "bristol-a",
        "workload": [{"kind": "slotted", "k_max": 8}],
        "slots": 6,
        "tail_slots": 2,
        "epoch_slots": 6,
        "slot_s": 30,
        "deadline_s": 900,
        "controllers": {"lyapunov": {"f0": 0.3}},
        **changes,
    }
    file = folder / "short.yaml"
    file.write_text(yaml.safe_dump(scenario))
    return file


@pytest.mark.slow
def test_same_seeds_give_the_same_bytes_and_a_snippet_that_a_scenario_takes(tmp_path: Path) -> None:
    file = short_file(tmp_path)
    snippets, outputs = [], []
    for name in ("one.yaml", "two.yaml"):
        out = tmp_path / "new" / name
        done = CliRunner().invoke(
            app, ["calibrate", "lyapunov", str(file), *QUICK, "--evaluate", "2", "--out", str(out), "--json"]
        )
        assert done.exit_code == 0, done.output
        snippets.append(out.read_bytes())
        outputs.append(done.stdout)
    assert snippets[0] == snippets[1]
    assert outputs[0] == outputs[1]
    data = json.loads(outputs[0])
    snippet = yaml.safe_load(snippets[0])
    assert snippet == {"controllers": data["controllers"]}
    assert snippet["controllers"]["lyapunov"] == {"f0": 0.3, **data["final"]}
    assert set(data["final"]) == {"p1", "p2", "churn", "kappa"}
    assert {r["scheme"] for r in data["evaluation"]} == {"RL", "AL"}
    loaded = load_scenario(short_file(tmp_path, **snippet))
    assert isinstance(loaded, Scenario)
    assert simulate_in_memory(loaded, "AL", 0).footer is not None


@pytest.mark.slow
def test_tables_name_every_trial_and_say_what_was_kept(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["calibrate", "lyapunov", str(short_file(tmp_path)), *QUICK])
    assert done.exit_code == 0, done.output
    for word in ("p1 p2", "churn kappa", "start", "kept", "flips/slot", "GPU busy"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "changes", "says"),
    [
        (("--tune", "p1,kapa"), {}, "did you mean 'kappa'"),
        (("--tune", "p1,p1"), {}, "twice"),
        (("--tune", " , ", "--window", "5"), {}, "--window has no effect"),
        (("--scheme", "RF"), {}, "does not deploy by Lyapunov"),
        (("--scheme", "RX"), {}, "unknown scheme"),
        (("--evaluate", "3", "--first-seed", "2"), {}, "2 is a calibration seed"),
        ((), {"deadline_s": None}, "has no deadline_s"),
        ((), {"controllers": {"lyapunov": {"p1": -1.0}}}, "controllers.lyapunov.p1"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(
    arguments: tuple[str, ...],
    changes: dict[str, Any],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = short_file(tmp_path, **changes)
    monkeypatch.setattr("sys.argv", ["edgebed", "calibrate", "lyapunov", str(file), *QUICK, *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_target_that_is_a_folder_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = short_file(tmp_path)
    for target in (tmp_path, file / "below.yaml"):
        monkeypatch.setattr("sys.argv", ["edgebed", "calibrate", "lyapunov", str(file), "--out", str(target)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert "folder" in capsys.readouterr().err
