"""`edgebed models`: make checkpoints with random weights, tiny or full-size, tokenizers included."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import print_rows, say
from edgebed.commands.options import LARGEST_SEED, JsonOption, QuietOption, print_json

if TYPE_CHECKING:
    from edgebed.models.checkpoints import Made

app = typer.Typer(help="Make models with random weights, to be run as real ones.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="The folder to make; it must not be there yet.")]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        max=LARGEST_SEED,
        help="Number that the random weights come from; the same gives the same.",
    ),
]


@app.command("make-tiny", cls=Command)
def make_tiny(
    folder: FolderArgument, seed: SeedOption = 0, quiet: QuietOption = False, as_json: JsonOption = False
) -> None:
    """Make small models of all four architectures with random weights: a few megabytes, to try the real code."""
    from edgebed.models import checkpoints

    say("making tiny checkpoints (seconds) ...")
    _show(checkpoints.make_tiny(folder, seed), as_json)


@app.command("make-random", cls=Command)
def make_random(
    name: Annotated[
        Literal["gpt2", "gpt2-large", "blip-large", "sd-v1-5"],
        typer.Argument(help="The published model to resemble."),
    ],
    folder: FolderArgument,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"],
        typer.Option("--dtype", help="Number format of the weights."),
    ] = "float32",
    seed: SeedOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make one full-size model with random weights: same cost as the published one, no sense."""
    from edgebed.models import checkpoints

    say(f"making {name} with random weights (up to a minute or two) ...")
    _show([checkpoints.make_random(name, folder, seed, dtype)], as_json)


def _show(made: list[Made], as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(m), "folder": str(m.folder)} for m in made])
        return
    columns = ("model", "parameters", "on disk", "folder")
    print_rows(
        columns,
        [(m.name, f"{m.parameters / 1e6:.1f} M", f"{m.megabytes:.1f} MB", str(m.folder)) for m in made],
    )
