"""The sub-command `edgebed reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import complain, out, say
from edgebed.commands.entry import FAILED, INTERRUPTED
from edgebed.commands.options import JsonOption, QuietOption, default_folder, print_json

if TYPE_CHECKING:
    from edgebed.reproduce.common.course import Reproduction

app = typer.Typer(
    help="Run a paper's experiments and set its tables and figures beside ours.", no_args_is_help=True
)

FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        file_okay=False,
        help="Folder for the results. By default a new one, `runs/reproduce-<paper>-<time>`.",
    ),
]


@app.command(cls=Command)
def e3(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Run few pools and seeds, to see it work: seconds in the place of minutes."
        ),
    ] = False,
    pools: Annotated[
        int | None,
        typer.Option(
            "--pools", min=1, max=1000, help="How many random pools of devices per setting. By default 60."
        ),
    ] = None,
    folder: FolderOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Reproduce E3-Agent: Tables 5 and 6, Figures 3 and 4, and beyond them pools, noise and ablations."""
    from edgebed.reproduce.e3.run import reproduce

    _show(reproduce(folder or default_folder("reproduce-e3"), quick, quiet=as_json, pools=pools), as_json)


@app.command(cls=Command)
def ma(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Run 2 seeds and 6 epochs, to see it work: seconds in the place of minutes."
        ),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=1, max=1000, help="How many seeds of every run. By default 12, and 6 for fig7."
        ),
    ] = None,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if",
            help="Let the planners of fig7 and adaptation try their best plans in an emulation before they "
            "choose: takes ten times as long.",
        ),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            help="Run only these parts, comma-separated: fig5, fig6, fig7, adaptation, inconsistency. By default all.",
        ),
    ] = None,
    folder: FolderOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Reproduce Multi-Agentic: its Figures 5, 6 and 7 on two testbeds, adaptation to change, and RL's fairness."""
    from edgebed.reproduce.ma.run import parts_of, reproduce

    parts = parts_of(only)
    where = folder or default_folder("reproduce-ma")
    _show(reproduce(where, quick, quiet=as_json, seeds=seeds, only=parts, what_if=what_if), as_json)


def _show(done: Reproduction, as_json: bool) -> None:
    """JSON or tables on stdout; where the report is on stderr. Leaves with 130 after Ctrl-C, 1 after a failure."""
    from edgebed.report.text_table import print_text_table

    if as_json:
        print_json(done.to_json())
    else:
        for table in done.tables.values():
            print_text_table(table, out)
    if done.unwritten:
        complain(done.unwritten)
    else:
        say(f"report: {done.folder / 'report.html'}")
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)
    if not done.complete:
        raise typer.Exit(FAILED)
