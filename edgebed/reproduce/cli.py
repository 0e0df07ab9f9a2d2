"""The sub-command `edgebed reproduce`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from edgebed.console import out, say

app = typer.Typer(
    help="Run a paper's experiments and set its tables and figures beside ours.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Keeps `e3` a sub-command while it is the only one."""


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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """E3-Agent: Tables 5 and 6, Figures 3 and 4, and what it does not show: pools, noise, mismatch, ablations."""
    from rich.table import Table

    from edgebed.reproduce.e3 import reproduce

    where = folder or Path("runs") / f"reproduce-e3-{datetime.now():%Y%m%d-%H%M%S}"
    found = reproduce(where, quick, quiet=as_json, pools=pools)
    if as_json:
        typer.echo(
            orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
        )
        return
    for sheet in found.sheets:
        table = Table(*sheet.columns, title=sheet.title, caption=sheet.note, box=None, title_justify="left")
        for row in sheet.rows:
            table.add_row(*row)
        out.print(table)
    say(f"report: {where / 'report.html'}")
