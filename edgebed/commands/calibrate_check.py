"""The sub-command `edgebed calibrate check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgebed.commands.console import out, say
from edgebed.commands.options import JsonOption, QuietOption, print_json
from emulation.domain.mistakes import ConfigError

if TYPE_CHECKING:
    from emulation.domain.scenario import Scenario
    from emulation.recording import Run


def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", exists=True, file_okay=False, help="The folder of one live run on real models."
        ),
    ],
    decisions: Annotated[
        Literal["recorded", "own"],
        typer.Option(
            "--decisions",
            help="recorded: every request goes where it went in the run. own: the controllers decide again.",
        ),
    ] = "recorded",
    within: Annotated[
        float,
        typer.Option(
            "--within",
            min=0.0,
            max=10.0,
            help="Largest difference of a model's mean latency that passes, relative to the run; 0.1 is 10%.",
        ),
    ] = 0.10,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            help="A profile, packaged or a file, in the place of the testbed's own; repeatable. By default the "
            "testbed's.",
        ),
    ] = None,
    refit: Annotated[
        Path | None,
        typer.Option(
            "--refit",
            file_okay=False,
            help="Folder for new profiles fitted to this run, a file for each model and mode. By default none "
            "are made.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--out",
            file_okay=False,
            help="Folder for page, plot and figures. By default the run's own folder.",
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a live run on real models again by their profiles; exit code 1 if they are too far off."""
    from edgebed.calibrate.check import check as run_again
    from edgebed.calibrate.check import real_places
    from edgebed.calibrate.check_page import table, to_json, verdict, write_report
    from edgebed.calibrate.refit import refit as fit_again
    from edgebed.calibrate.refit import write_refit
    from edgebed.report.text_table import print_text_table
    from emulation.files import load_profile

    given = [load_profile(name) for name in profile or ()]
    run, scenario, own = _one_run(folder)
    say(f"running {run.header.scenario}, {run.header.scheme} again by its profiles ...")
    found = run_again(run, scenario, decisions, within, given)
    page = write_report(report or own, found)
    written = (
        [] if refit is None else write_refit(refit, fit_again(run, scenario, real_places(run, scenario)))
    )
    if as_json:
        said = {**to_json(found), "report": str(page), "refit": [str(path) for path in written]}
        print_json(said)
    else:
        print_text_table(table(found), out)
        out.print(verdict(found))
    say(f"report: {page}")
    for path in written:
        say(f"refit: {path}")
    if not found.ok:
        raise typer.Exit(1)


def _one_run(folder: Path) -> tuple[Run, Scenario, Path]:
    """The run in a folder, or the only one below it, its scenario, and its own folder."""
    from edgebed.runs.folder_runs import one_run
    from emulation.recording import RECORD_FILE

    if (folder / RECORD_FILE).exists():
        return *one_run(folder), folder
    below = sorted(file.parent for file in folder.glob(f"*/seed-*/{RECORD_FILE}"))
    if len(below) > 1:
        named = ", ".join(str(f) for f in below)
        raise ConfigError(f"{folder}: holds {len(below)} runs; give the folder of one: {named}")
    own = below[0] if below else folder
    return *one_run(own), own
