"""`edgebed metrics`: files with which Prometheus and Grafana watch a testbed, and a run's requests as spans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import out
from edgebed.commands.options import JsonOption, print_json

app = typer.Typer(help="Watch a testbed with Prometheus, Grafana and OpenTelemetry.", no_args_is_help=True)


@app.command("export", cls=Command)
def export(
    folder: Annotated[Path, typer.Option("--out", help="The folder to write; empty, or not there yet.")],
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Where the testbed is. By default whichever one stands on this machine, as they come and go.",
        ),
    ] = None,
    every_s: Annotated[
        int, typer.Option("--every", min=1, max=3600, help="Wall seconds between two looks.")
    ] = 5,
    as_json: JsonOption = False,
) -> None:
    """Write prometheus.yml, alert rules and a Grafana dashboard, ready to use."""
    from edgebed.observability.files import CONFIG
    from edgebed.observability.files import export as write

    files = write(folder, url, every_s)
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        out.print(str(file), highlight=False)
    config = next(file for file in files if file.name == CONFIG)
    out.print(f"next: prometheus --config.file={config}", style="dim", highlight=False)


@app.command("spans", cls=Command)
def spans(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder of one live run, `<out>/<scheme>/seed-<n>`.", exists=True, file_okay=False
        ),
    ],
    file: Annotated[
        Path, typer.Option("--out", help="The file to write: OTLP as JSON lines.", dir_okay=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Write the stages of a live run's requests, and its decisions, as OpenTelemetry spans."""
    from edgebed.observability.spans import write_spans

    count = write_spans(folder, file)
    if as_json:
        print_json({"file": str(file), "spans": count})
        return
    out.print(f"{count} spans in {file}", highlight=False)
