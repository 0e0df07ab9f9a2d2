"""`edgebed models`: make checkpoints with random weights, tiny or full-size, tokenizers included."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.console import print_rows, say
from edgebed.commands.options import print_json
from emulation.files import ConfigError, did_you_mean

if TYPE_CHECKING:
    from edgebed.models.checkpoints import Made

app = typer.Typer(help="Make model checkpoints for the real backends.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Where to; must not be there yet.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the weights.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON list instead of a table.")]
_DTYPES = ("float32", "float16", "bfloat16")


@app.command("make-tiny")
def make_tiny(folder: FolderArgument, seed: SeedOption = 0, as_json: JsonOption = False) -> None:
    """All four architectures with random weights, a few megabytes in all: to try and to test the real code."""
    from edgebed.models import checkpoints

    say("making tiny checkpoints (seconds) ...")
    _show(checkpoints.make_tiny(folder, seed), as_json)


@app.command("make-random")
def make_random(
    name: Annotated[str, typer.Argument(help="gpt2, gpt2-large, blip-large or sd-v1-5.")],
    folder: FolderArgument,
    dtype: Annotated[str, typer.Option("--dtype", help="float32, float16 or bfloat16.")] = "float32",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """One full-size model with random weights: costs what the published one costs, says nothing sensible."""
    from edgebed.models import checkpoints

    if dtype not in _DTYPES:
        raise ConfigError(f"--dtype {dtype!r}; {did_you_mean(dtype, _DTYPES)}")
    say(f"making {name} with random weights (up to a minute or two) ...")
    _show([checkpoints.make_random(name, folder, seed, dtype)], as_json)  # type: ignore[arg-type]


def _show(made: list[Made], as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(m), "folder": str(m.folder)} for m in made])
        return
    columns = ("model", "parameters", "on disk", "folder")
    print_rows(
        columns,
        [(m.name, f"{m.parameters / 1e6:.1f} M", f"{m.megabytes:.1f} MB", str(m.folder)) for m in made],
    )
