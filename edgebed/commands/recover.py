"""The command `recover`: closes the records of runs that were cut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.console import complain, out
from edgebed.commands.entry import FAILED
from edgebed.commands.options import JsonOption, print_json


def recover(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run that was cut, or one that holds such runs at any depth.",
            exists=True,
            file_okay=False,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Close the record of a run that was cut, so that it can be reported; a record that is whole stays as it is."""
    from dataclasses import asdict

    from edgebed.runs.recover import recover as close_all

    found = close_all(folder)
    if as_json:
        print_json([{**asdict(one), "folder": str(one.folder)} for one in found])
    else:
        for one in found:
            if one.how == "closed":
                left = f", {one.unfinished} more in the system" if one.unfinished else ""
                out.print(f"{one.folder}: closed, {one.requests} requests{left}")
            elif one.how == "whole":
                out.print(f"{one.folder}: whole")
    for one in found:
        if one.how == "failed":
            complain(f"{one.folder}: not closed: {one.why}")
    if any(one.how == "failed" for one in found):
        raise typer.Exit(FAILED)
