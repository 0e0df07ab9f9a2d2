"""`edgebed matrix`: scenarios x parameter values x schemes x seeds, and how far one order of the schemes holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.console import complain, out, say
from edgebed.commands.entry import FAILED, INTERRUPTED
from edgebed.commands.options import JsonOption, QuietOption, WorkersOption, print_json
from edgebed.places import runs_folder
from emulation.domain.mistakes import ConfigError, did_you_mean


def plan_names() -> list[str]:
    """Shipped plans, for the shell's completion."""
    from edgebed.matrix.plan import plan_names as known

    return known()


def matrix(
    plan: Annotated[
        str,
        typer.Argument(
            help="The plan: the path of a YAML file, or the name of a shipped one (`standard`).",
            autocompletion=plan_names,
        ),
    ],
    rank_by: Annotated[
        str | None,
        typer.Option(
            "--rank-by",
            help="The figure to rank by: penalised_latency_s, mean_latency_s, p95_s, success_ratio, goodput, "
            "fairness_norm or objective; by default the plan's. No run is made again for it.",
        ),
    ] = None,
    workers: WorkersOption = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            file_okay=False,
            help="Folder for runs and result. By default `runs/matrix-<name of the plan>`. What it holds of the plan "
            "is not run again.",
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run every scheme in every cell of a plan in virtual time, on all cores, and say how far one order holds.

    The same command again goes on where it was stopped: a finished run is found by its content and not made again.
    """
    from edgebed.matrix.plan import load_plan
    from edgebed.matrix.running import run_plan

    wanted, beside = load_plan(plan)
    if rank_by is not None:
        wanted = wanted.model_copy(update={"rank_by": _metric(rank_by)})
    where = folder or runs_folder() / f"matrix-{wanted.name}"
    made = run_plan(wanted, beside, where, as_json, workers)
    _conclude(made, where, as_json)


def _metric(name: str) -> str:
    from edgebed.matrix.metrics import METRICS

    if name not in METRICS:
        raise ConfigError(f"--rank-by {name!r}: {did_you_mean(name, list(METRICS))}")
    return name


def _conclude(made: object, folder: Path, as_json: bool) -> None:
    """Print and write the result. Leaves with 130 after an interrupt, with 1 if a run failed or nothing was written."""
    from edgebed.matrix.files import TEXT, summary_json, summary_lines, write_files
    from edgebed.matrix.running import Made
    from edgebed.matrix.stability import analyse
    from edgebed.matrix.tables import costs_table, order_table
    from edgebed.report.text_table import print_text_table

    assert isinstance(made, Made)
    results = made.results
    found = analyse(results, results.plan.rank_by)
    if as_json:
        print_json({**summary_json(results, found, made.interrupted), "folder": str(folder)})
    else:
        for line in summary_lines(results, found, made.interrupted):
            out.print(f"{line.word}: {line.text}", highlight=False, soft_wrap=True)
        if found is not None:
            print_text_table(order_table(results, found), out)
            print_text_table(costs_table(results, found), out)
    written = True
    try:
        write_files(results, found, made.interrupted, folder)
        say(f"result: {folder / TEXT}")
    except OSError as error:
        complain(f"{error.filename}: not written: {error.strerror}")
        written = False
    if made.interrupted:
        raise typer.Exit(INTERRUPTED)
    if results.failed or not written:
        raise typer.Exit(FAILED)
