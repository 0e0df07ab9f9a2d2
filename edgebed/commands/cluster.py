"""`edgebed cluster`: the file by which Ray's launcher, or KubeRay, brings the machines of a testbed up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgebed.commands.command import Command, given_words
from edgebed.commands.console import out

app = typer.Typer(
    help="Bring up the machines of a testbed: files for Ray's launcher and for KubeRay.", no_args_is_help=True
)


@app.callback()
def cluster() -> None:
    """Takes what stands before the command."""


@app.command(cls=Command)
def render(
    ctx: typer.Context,
    testbed: Annotated[
        str,
        typer.Argument(
            help="The testbed: a packaged name or the path of a YAML file, as a scenario names it."
        ),
    ],
    provider: Annotated[
        Literal["aws", "gcp", "local", "kuberay"],
        typer.Option(
            "--provider",
            help="Where the machines are: rented from Amazon or Google, your own by SSH (`local`), or pods of "
            "Kubernetes under KubeRay's operator.",
        ),
    ],
    file: Annotated[Path, typer.Option("--out", dir_okay=False, help="The file to write; it is replaced.")],
    machines: Annotated[
        Path | None,
        typer.Option(
            "--machines",
            exists=True,
            dir_okay=False,
            help="YAML file that says what each machine is, as docs/reference/machines.md has it; `local`, `gcp` and "
            "`kuberay` need one. By default none.",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="ADDRESS",
            help="Address of the head of `local`. By default the one of --machines.",
        ),
    ] = None,
    spot: Annotated[
        bool,
        typer.Option(
            "--spot", help="Rent edge nodes that the provider may take back, for less; with `aws` and `gcp`."
        ),
    ] = False,
) -> None:
    """Write the file that brings up the machines of a testbed: for Ray's launcher, which has checked it, or KubeRay."""
    from edgebed.cluster.render import render as rendered
    from emulation.files import load_testbed
    from emulation.recording import write_whole

    command = " ".join(["edgebed cluster render", *given_words(ctx, without=("file",))])
    text = rendered(load_testbed(testbed), provider, machines, head, spot, file.name, command)
    write_whole(file, text.encode())
    checked = "" if provider == "kuberay" else ", and Ray's own check finds nothing wrong with it"
    out.print(f"{file}: written{checked}")
