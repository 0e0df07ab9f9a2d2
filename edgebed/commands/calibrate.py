"""The sub-command `edgebed calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.calibrate_check import check
from edgebed.commands.command import Command
from edgebed.commands.console import out, progress_bar, say
from edgebed.commands.options import JsonOption, QuietOption, print_json, scenario_names, scheme_names

app = typer.Typer(
    help="Hold profiles against real runs; search a controller's coefficients in virtual time.",
    no_args_is_help=True,
)


app.command("check", cls=Command)(check)


@app.command(cls=Command)
def lyapunov(
    scenario: Annotated[
        str,
        typer.Argument(
            help="The scenario to calibrate on: a packaged name or the path of a YAML file. Its own "
            "coefficients are where the search starts.",
            autocompletion=scenario_names,
        ),
    ],
    tune: Annotated[
        str,
        typer.Option(
            "--tune",
            help="Coefficients to search for, comma-separated: p1, p2, churn and kappa as in the paper; also "
            "v, p0, f0 and other parameters of the deployer `lyapunov`.",
        ),
    ] = "p1,p2,churn,kappa",
    iterations: Annotated[
        int,
        typer.Option("--iterations", min=1, max=1000, help="How often each coefficient is moved, at most."),
    ] = 8,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=1000, help="How many seeds every trial is run on.")
    ] = 6,
    first_seed: Annotated[
        int, typer.Option("--first-seed", min=0, max=2**62, help="The first of these seeds.")
    ] = 1000,
    evaluate: Annotated[
        int,
        typer.Option(
            "--evaluate",
            min=0,
            max=1000,
            help="Compare start and result afterwards on so many other seeds, from 0; 0 leaves it out.",
        ),
    ] = 0,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme",
            help="The scheme that is run; it must deploy by `lyapunov`. The paper calibrates under random routing.",
            autocompletion=scheme_names,
        ),
    ] = "RL",
    window_slots: Annotated[
        int, typer.Option("--window", min=1, max=100_000, help="Slots that are judged together.")
    ] = 10,
    flip_target: Annotated[
        float,
        typer.Option(
            "--flip-target",
            min=0.001,
            max=1000.0,
            help="Changes of mode per node and slot that are not too many.",
        ),
    ] = 0.1,
    step: Annotated[
        float,
        typer.Option(
            "--step",
            min=0.05,
            max=3.0,
            help="How far a coefficient moves at first, as a natural logarithm: 0.7 doubles or halves it.",
        ),
    ] = 0.7,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            dir_okay=False,
            help="YAML file for the result, to paste into a scenario. By default it is only printed.",
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search coefficients of the Lyapunov deployer in virtual time, as its paper calibrates them."""
    from edgebed.calibrate.evaluate import check_seeds, evaluated
    from edgebed.calibrate.lyapunov import Settings, Trial, calibrate
    from edgebed.calibrate.lyapunov import check as check_settings
    from edgebed.calibrate.page import check_target, evaluation_table, to_json, trials_table, write_snippet
    from edgebed.report.text_table import print_text_table
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
    if evaluate:
        say(f"evaluating on {evaluate} other seeds ...")
    rows = evaluated(loaded, calibrated, evaluate) if evaluate else []
    if file is not None:
        write_snippet(file, loaded, settings, calibrated)
    if as_json:
        print_json(to_json(loaded, settings, calibrated, rows))
        return
    for table in (trials_table(calibrated), *([evaluation_table(rows)] if rows else [])):
        print_text_table(table, out)
    if file is not None:
        say(f"coefficients: {file}")
