"""`edgebed models`: folders of models to be run as real ones, with random weights or from a GGUF file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import out, print_rows, say
from edgebed.commands.options import LARGEST_SEED, JsonOption, QuietOption, print_json

if TYPE_CHECKING:
    from edgebed.models.checkpoints import Made

app = typer.Typer(help="Make models to be run as real ones.", no_args_is_help=True)

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


@app.command("from-gguf", cls=Command)
def from_gguf(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="The GGUF file of a text model.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path,
        typer.Option("--out", help="The folder to make; it must not be there yet. Its name is the model's."),
    ],
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a folder of a GGUF file, its weights as plain numbers, and say what a testbed file must say of it."""
    from edgebed.models import gguf

    say(f"reading {file.name} (up to a minute or two) ...")
    made, entry = gguf.from_gguf(file, folder)
    if as_json:
        print_json({**asdict(made), "folder": str(made.folder), "testbed": entry.to_data()})
        return
    _show([made], as_json)
    out.print("\nInto the testbed file (the law of its service times: `edgebed profile`):\n", soft_wrap=True)
    out.print(entry.to_yaml(), soft_wrap=True, highlight=False, markup=False)


def _show(made: list[Made], as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(m), "folder": str(m.folder)} for m in made])
        return
    columns = ("model", "parameters", "on disk", "folder")
    print_rows(
        columns,
        [(m.name, f"{m.parameters / 1e6:.1f} M", f"{m.megabytes:.1f} MB", str(m.folder)) for m in made],
    )
