"""A calibration on paper: tables, plain data, and the snippet for a scenario file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from edgebed.calibrate.evaluate import EvaluatedFigure
from edgebed.calibrate.lyapunov import FIGURES, CalibratedCoefficients, Settings
from edgebed.report.figures import NOT_MEASURED, SHARES, number
from edgebed.report.stats import Interval
from edgebed.report.text_table import TextTable
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.metrics.shares import share_text
from emulation.recording import write_whole


def trials_table(calibrated: CalibratedCoefficients) -> TextTable:
    """One line per set of coefficients that was tried."""
    names = list(calibrated.start)
    columns = ("#", "moved", *names, "mean latency", "F_norm", "success", "GPU busy", "flips/slot", "J", "")
    rows = [
        (
            str(trial.iteration),
            " ".join(trial.moved) or "start",
            *(f"{trial.coefficients[n]:g}" for n in names),
            _text(trial.measured.mean_latency_s, ".1f", " s"),
            number(trial.measured.fairness_norm, 3, share=True),
            number(trial.measured.success_ratio, 3, share=True),
            _text(trial.measured.gpu_utilisation, ".2f"),
            f"{trial.measured.flips_per_slot:.2f}",
            f"{trial.measured.objective:.4f}",
            "kept" if trial.kept else "taken back",
        )
        for trial in calibrated.trials
    ]
    note = "Means over the calibration seeds. A move that does not lower J is taken back."
    return TextTable("Calibration of the Lyapunov deployer", note, columns, tuple(rows), keys=2)


def evaluation_table(rows: Sequence[EvaluatedFigure]) -> TextTable:
    """Start against result, with 95% intervals over seeds."""
    cells = tuple(
        (
            row.scheme,
            row.figure,
            *(_interval(of, share=row.figure in SHARES) for of in (row.start, row.found)),
            _interval(row.difference, "+"),
        )
        for row in rows
    )
    columns = ("scheme", "figure", "start", "calibrated", "difference")
    note = "Means with 95% intervals; the difference is paired by seed."
    return TextTable("On other seeds", note, columns, cells, keys=2)


def to_json(
    scenario: Scenario,
    settings: Settings,
    calibrated: CalibratedCoefficients,
    rows: Sequence[EvaluatedFigure],
) -> dict[str, Any]:
    """Everything as plain data; `controllers` is the snippet for a scenario."""
    return {
        "scenario": scenario.name,
        "scheme": settings.scheme,
        "seeds": list(settings.seeds),
        "trials": [
            {
                "iteration": t.iteration,
                "moved": list(t.moved),
                "kept": t.kept,
                "coefficients": t.coefficients,
                **{name: getattr(t.measured, name) for name in FIGURES},
            }
            for t in calibrated.trials
        ],
        "start": calibrated.start,
        "final": calibrated.final,
        "controllers": {"lyapunov": calibrated.parameters},
        "evaluation": [asdict(row) for row in rows],
    }


def check_target(file: Path | None) -> None:
    """Raise `ConfigError` where no file can be written, before any work is done."""
    if file is not None and file.is_dir():
        raise ConfigError(f"--out {file}: is a folder; give the name of a YAML file")
    above = [] if file is None else [p for p in file.parents if p.exists() and not p.is_dir()]
    if above:
        raise ConfigError(f"--out {file}: {above[0]} is not a folder")
    if file is not None:
        there = next(p for p in (file, *file.absolute().parents) if p.exists())
        if not os.access(there, os.W_OK):
            raise ConfigError(f"--out {file}: {there} cannot be written; give another file")


def write_snippet(
    file: Path, scenario: Scenario, settings: Settings, calibrated: CalibratedCoefficients
) -> None:
    """Write the coefficients as YAML, whole or not at all. Raises `ConfigError` if the file cannot be written."""
    first, last = settings.seeds[0], settings.seeds[-1]
    head = (
        f"# Lyapunov coefficients calibrated on {scenario.name}: {settings.scheme}, seeds {first} to {last},\n"
        f"# J {calibrated.trials[0].measured.objective:.4f} before, {calibrated.best.objective:.4f} after.\n"
    )
    body = yaml.safe_dump({"controllers": {"lyapunov": calibrated.parameters}}, sort_keys=True)
    try:
        write_whole(file, (head + body).encode())
    except OSError as error:
        raise ConfigError(f"--out {file}: cannot be written: {error}") from error


def _text(value: float | None, form: str, unit: str = "") -> str:
    return NOT_MEASURED if value is None else f"{value:{form}}{unit}"


def _interval(interval: Interval | None, sign: str = "", share: bool = False) -> str:
    if interval is None:
        return NOT_MEASURED
    mean = share_text(interval.mean, 4) if share else f"{interval.mean:{sign}.4g}"
    return mean if interval.half is None else f"{mean} ± {interval.half:.2g}"
