"""The sub-command `edgebed calibrate check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.console import out, say
from edgebed.commands.options import print_json
from emulation.files import ConfigError, did_you_mean

if TYPE_CHECKING:
    from emulation.domain.scenario import Scenario
    from emulation.recording import Run


def check(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of one live run on real models.")],
    decisions: Annotated[
        str,
        typer.Option("--decisions", help="recorded: requests go where they went; own: controllers decide."),
    ] = "recorded",
    within: Annotated[
        float, typer.Option("--within", min=0.0, help="Largest relative difference of a per-type mean.")
    ] = 0.10,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile", help="A profile (packaged or a file) in place of the testbed's; repeatable."
        ),
    ] = None,
    refit: Annotated[
        Path | None,
        typer.Option("--refit", help="Folder for profiles fitted to this run, one file per model and mode."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--out", help="Folder for page, plot and figures; default: the run's own.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Replay a live run on real models by their profiles in virtual time; exit code 1 if its means are too far off."""
    from edgebed.calibrate.check import DECISIONS, real_places
    from edgebed.calibrate.check import check as run_again
    from edgebed.calibrate.check_page import table, to_json, verdict, write_report
    from edgebed.calibrate.refit import refit as fit_again
    from edgebed.calibrate.refit import write_refit
    from edgebed.report.sheet import print_sheet
    from emulation.files import load_profile

    how = next((d for d in DECISIONS if d == decisions), None)
    if how is None:
        raise ConfigError(f"--decisions {decisions!r}; {did_you_mean(decisions, DECISIONS)}")
    run, scenario, own = _one_run(folder)
    given = [load_profile(name) for name in profile or ()]
    found = run_again(run, scenario, how, within, given)
    page = write_report(report or own, found)
    written = (
        [] if refit is None else write_refit(refit, fit_again(run, scenario, real_places(run, scenario)))
    )
    if as_json:
        said = {**to_json(found), "report": str(page), "refit": [str(path) for path in written]}
        print_json(said)
    else:
        print_sheet(table(found), out)
        out.print(verdict(found))
    say(f"report: {page}")
    for path in written:
        say(f"refit: {path}")
    if not found.ok:
        raise typer.Exit(1)


def _one_run(folder: Path) -> tuple[Run, Scenario, Path]:
    """The run in a folder, or the only one below it, its scenario, and its own folder."""
    from edgebed.runs.kept import one_run
    from emulation.recording import RECORD_FILE

    if (folder / RECORD_FILE).exists():
        return *one_run(folder), folder
    below = sorted(file.parent for file in folder.glob(f"*/seed-*/{RECORD_FILE}"))
    if len(below) > 1:
        named = ", ".join(str(f) for f in below)
        raise ConfigError(f"{folder}: holds {len(below)} runs; give the folder of one: {named}")
    own = below[0] if below else folder
    return *one_run(own), own
