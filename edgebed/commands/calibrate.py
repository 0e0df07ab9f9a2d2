"""The sub-command `edgebed calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.calibrate_check import check
from edgebed.commands.console import out, progress_bar, say
from edgebed.commands.options import JsonOption, print_json

app = typer.Typer(
    help="Compare real models with their laws; find a controller's coefficients offline.",
    no_args_is_help=True,
)


app.command("check")(check)


@app.command()
def lyapunov(
    scenario: Annotated[
        str, typer.Argument(help="A packaged scenario or a YAML file; its own are the start.")
    ],
    tune: Annotated[
        str, typer.Option("--tune", help="Coefficients to calibrate, comma-separated; v, p0, f0, ... too.")
    ] = "p1,p2,churn,kappa",
    iterations: Annotated[int, typer.Option("--iterations", min=1, max=1000)] = 8,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="How many calibration seeds.")] = 6,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="The first of them.")] = 1000,
    evaluate: Annotated[
        int,
        typer.Option("--evaluate", min=0, max=1000, help="Then compare start and result on seeds 0 to N-1."),
    ] = 0,
    scheme: Annotated[
        str, typer.Option("--scheme", help="What runs; the paper calibrates under random routing.")
    ] = "RL",
    window_slots: Annotated[int, typer.Option("--window", min=1, help="Slots per window.")] = 10,
    flip_target: Annotated[
        float, typer.Option("--flip-target", min=0.001, help="Mode changes per node and slot that are fine.")
    ] = 0.1,
    step: Annotated[
        float,
        typer.Option("--step", min=0.05, max=3.0, help="Largest first change of a coefficient's logarithm."),
    ] = 0.7,
    file: Annotated[
        Path | None, typer.Option("--out", help="YAML file for the result, to paste into a scenario.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Coefficients of the Lyapunov deployer (MA eqs. 15-19), as its paper calibrates them."""
    from edgebed.calibrate.evaluate import check_seeds, evaluated
    from edgebed.calibrate.lyapunov import Settings, Trial, calibrate
    from edgebed.calibrate.lyapunov import check as check_settings
    from edgebed.calibrate.page import check_target, evaluation_table, to_json, trials_table, write_snippet
    from edgebed.report.sheet import print_sheet
    from emulation.files import load_scenario

    loaded = load_scenario(scenario)
    settings = Settings(
        scheme, tuple(range(first_seed, first_seed + seeds)), iterations, window_slots, step, flip_target,
        tuple(name.strip() for name in tune.split(",") if name.strip()),
    )  # fmt: skip
    check_settings(loaded, settings)
    check_seeds(settings, evaluate)
    check_target(file)
    with progress_bar(f"calibrate on {loaded.name}", iterations, quiet=as_json) as bar:

        def show(trial: Trial) -> None:
            bar.update(trial.iteration, f"J {trial.measured.objective:.4f}")

        calibrated = calibrate(loaded, settings, on_trial=show)
        bar.update(iterations)
    rows = evaluated(loaded, calibrated, evaluate) if evaluate else []
    if file is not None:
        write_snippet(file, loaded, settings, calibrated)
    if as_json:
        print_json(to_json(loaded, settings, calibrated, rows))
        return
    for table in (trials_table(calibrated), *([evaluation_table(rows)] if rows else [])):
        print_sheet(table, out)
    if file is not None:
        say(f"coefficients: {file}")
