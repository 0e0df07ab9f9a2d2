"""`edgebed train`: learn controllers on the virtual engine."""

from __future__ import annotations

import os
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import out, print_rows, progress_bar, say, warn
from edgebed.commands.entry import INTERRUPTED
from edgebed.commands.options import (
    LARGEST_SEED,
    JsonOption,
    QuietOption,
    ScenarioArgument,
    default_folder,
    print_json,
)
from emulation.domain.mistakes import ConfigError

if TYPE_CHECKING:
    from edgebed.rl.training import Played, Training

app = typer.Typer(help="Train controllers that learn, in virtual time.", no_args_is_help=True)

EXTRA = ("torch", "pettingzoo", "gymnasium", "greenlet")
"""What training needs beside the base installation; deciding by what was trained needs none of it."""


@app.callback()
def train() -> None:
    """Takes what stands before the command."""


@app.command(cls=Command)
def drl(
    scenario: ScenarioArgument = "bristol-A",
    episodes: Annotated[
        int,
        typer.Option(
            "--episodes", min=4, max=1_000_000, help="How many runs of the scenario to learn from."
        ),
    ] = 160,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=LARGEST_SEED,
            help="Number that first weights and exploration come from; the scenarios played have seeds of their own, "
            "from a million on.",
        ),
    ] = 0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", file_okay=False,
            help="Folder for weights and learning curve. By default a new one, `runs/drl-<time>`.",
        ),
    ] = None,
    every: Annotated[
        int,
        typer.Option(
            "--save-every", min=1, max=1_000_000,
            help="After how many episodes what was learned so far is written, so that a training that is killed "
            "leaves that.",
        ),
    ] = 10,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Train the agents of scheme DRL: routing by MAPPO, deployment by deep Q-learning."""
    check_extra()
    from emulation.files import load_scenario

    world, where = load_scenario(scenario), folder or default_folder("drl")
    if (where / "drl.npz").exists():
        raise ConfigError(f"--out {where}: holds weights already; give another folder")
    if where.exists() and not os.access(where, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {where}: is a folder you may not write to; give another one")
    # Brings torch, which takes seconds: no mistake above waits for it.
    from edgebed.rl.training import Training, train, write_learned, write_training

    training = Training(world, episodes, seed)
    stopped = False
    with progress_bar(f"learning on {training.scenario.name}", episodes, as_json) as bar:

        def tell(point: Played) -> None:
            bar.update(point.episode + 1, _figures(point))
            if (point.episode + 1) % every == 0:
                write_learned(training, where)

        try:
            train(training, tell)
        except KeyboardInterrupt:
            stopped = True
    if not training.curve:
        raise typer.Exit(INTERRUPTED)
    files = write_training(training, where)
    _show(training, files, as_json)
    if stopped:
        warn(f"stopped after {len(training.curve)} of {episodes} episodes; what was learned by then is kept")
        raise typer.Exit(INTERRUPTED)


def check_extra() -> None:
    """Raise `ConfigError` with the command that installs what training needs, where that is not there."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(f"{missing[0]} is not installed; training needs: pip install 'edgebed[rl]'")


def _figures(point: Played) -> str:
    return (
        f"{point.tier} learns, J {point.objective:.3f}, {point.latency_s:.0f} s, success {point.success:.2f},"
        f" {point.steps} slots, {point.cpu_s:.0f} CPU s"
    )


def _show(training: Training, files: list[Path], as_json: bool) -> None:
    about = training.checkpoint().about
    if as_json:
        print_json(
            {
                "files": [str(f) for f in files],
                "about": about.model_dump(),
                "last": asdict(training.curve[-1]),
            }
        )
        return
    tenth = max(len(training.curve) // 10, 1)
    parts = {"first tenth": training.curve[:tenth], "last tenth": training.curve[-tenth:]}
    rows = [
        (
            name, f"{_mean([p.objective for p in part]):.3f}", f"{_mean([p.latency_s for p in part]):.0f} s",
            f"{_mean([p.fairness_norm for p in part]):.3f}", f"{_mean([p.success for p in part]):.2f}",
        )
        for name, part in parts.items()
    ]  # fmt: skip
    print_rows(("episodes", "J", "mean latency", "F_norm", "success"), rows)
    last = training.curve[-1]
    out.print(
        f"{about.episodes} episodes, {about.steps} slots, {last.cpu_s:.0f} processor seconds, {last.wall_s:.0f} s;"
        f" written to {', '.join(str(f) for f in files)}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    say(
        f"compare with it: controllers: {{mappo: {{checkpoint: {files[0]}}}, dqn: {{checkpoint: {files[0]}}}}}"
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
