"""The sub-command `edgebed reproduce`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.console import out, say
from edgebed.commands.options import JsonOption, print_json

if TYPE_CHECKING:
    from edgebed.reproduce.common.course import Reproduction

app = typer.Typer(
    help="Run a paper's experiments and set its tables and figures beside ours.", no_args_is_help=True
)


@app.command()
def e3(
    quick: Annotated[
        bool, typer.Option("--quick", help="A few pools and seeds: minutes become seconds.")
    ] = False,
    pools: Annotated[
        int | None, typer.Option("--pools", min=1, max=1000, help="Random pools per setting; default 60.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results; default: runs/reproduce-e3-<time>.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """E3-Agent: Tables 5 and 6, Figures 3 and 4, and what it does not show: pools, noise, mismatch, ablations."""
    from edgebed.reproduce.e3.run import reproduce

    _show(reproduce(folder or _folder("e3"), quick, quiet=as_json, pools=pools), as_json)


@app.command()
def ma(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="2 seeds, 6 epochs: minutes become seconds."),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, max=1000, help="Seeds of every run; default 12, and 6 for fig7."),
    ] = None,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if", help="Planners of fig7 and adaptation emulate their short list: ten times as long."
        ),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Parts: fig5, fig6, fig7, adaptation, inconsistency; comma-separated."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results; default: runs/reproduce-ma-<time>.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Multi-Agentic: Figures 5, 6 and 7 on two testbeds, adaptation to change, and RL's fairness examined."""
    from edgebed.reproduce.ma.run import parts_of, reproduce

    parts = parts_of(only)
    where = folder or _folder("ma")
    _show(reproduce(where, quick, quiet=as_json, seeds=seeds, only=parts, what_if=what_if), as_json)


def _folder(paper: str) -> Path:
    return Path("runs") / f"reproduce-{paper}-{datetime.now():%Y%m%d-%H%M%S}"


def _show(done: Reproduction, as_json: bool) -> None:
    """JSON or tables on stdout; where the report is on stderr."""
    if as_json:
        print_json(done.to_json())
        return
    from edgebed.report.sheet import print_sheet

    for sheet in done.sheets.values():
        print_sheet(sheet, out)
    say(f"report: {done.folder / 'report.html'}")
