"""`edgebed cluster`: the file by which Ray's launcher, or KubeRay, brings the machines of a testbed up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import out

app = typer.Typer(help="Bring up the machines of a testbed: files for Ray's launcher.", no_args_is_help=True)


@app.callback()
def cluster() -> None:
    """Takes what stands before the command."""


@app.command(cls=Command)
def render(
    testbed: Annotated[
        str,
        typer.Argument(
            help="The testbed: a packaged name or the path of a YAML file, as a scenario names it."
        ),
    ],
    provider: Annotated[
        Literal["local"],
        typer.Option("--provider", help="Where the machines are: `local` are machines of your own, by SSH."),
    ],
    file: Annotated[Path, typer.Option("--out", dir_okay=False, help="The file to write; it is replaced.")],
    machines: Annotated[
        Path | None,
        typer.Option(
            "--machines",
            exists=True,
            dir_okay=False,
            help="YAML file that says what each machine is, as docs/reference/machines.md has it.",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="ADDRESS", help="Address of the head. By default the one of --machines."
        ),
    ] = None,
) -> None:
    """Write the file that brings up the machines of a testbed, after Ray has checked it."""
    from edgebed.cluster.render import render as rendered
    from emulation.files import load_testbed
    from emulation.recording import write_whole

    write_whole(file, rendered(load_testbed(testbed), provider, machines, head, str(file)).encode())
    out.print(f"{file}: written, and Ray's own check finds nothing wrong with it")
