"""Options that several commands share, and what reads them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from emulation.files import ConfigError

ScenarioArgument = Annotated[
    str, typer.Argument(help="A packaged scenario (see `edgebed scenarios`) or a YAML file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for records and report; default: runs/<name>.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of requests, noise and draws.")]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with what --out holds: runs that are there and whole are not made again."
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option("--baseline", help="The scheme that the others are compared with; default: the first."),
]
ReasonerOption = Annotated[
    str | None,
    typer.Option(
        "--reasoner",
        help="Of every agent and meta-controller: rules, openai, scripted:<file> or replay:<file>.",
    ),
]
RayletsOption = Annotated[
    bool,
    typer.Option("--raylets", help="Live: one raylet per edge node, so that nodes can really be killed."),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="Live: Ray cluster to join (auto, host:port); default: our own."),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        help="Live, of models the testbed names none for: emulated, or real-tiny (every model by a tiny real one).",
    ),
]


def adjusted(scenario: Any, speedup: float | None, lifecycle: str | None) -> Any:
    """The scenario with the live settings of the command line. Raises `ConfigError`."""
    from pydantic import ValidationError

    from emulation.domain.scenario import LiveConfig

    changes = {"speedup": speedup, "lifecycle": lifecycle}
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return scenario
    try:
        live = LiveConfig.model_validate({**scenario.live.model_dump(), **given})
    except ValidationError as error:
        raise ConfigError(
            f"{' '.join(f'--{n} {v}' for n, v in given.items())}: {error.errors()[0]['msg']}"
        ) from error
    return scenario.model_copy(update={"live": live})


def names_of(text: str) -> list[str]:
    """The schemes that `--schemes` names, in order. Raises `ConfigError` if it names none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--schemes {text!r} names no scheme; for example AL,MA,sect")
    return names


def seeds_of(text: str) -> list[int]:
    """The seeds that `--seeds` names, in order. Raises `ConfigError` for anything but a list of different seeds."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            low, _, high = part.strip().partition("-")
            seeds.extend(range(int(low), int(high or low) + 1))
    except ValueError as error:
        raise ConfigError(
            f"--seeds {text!r} is not a list of seeds; write for example 0,1,2 or 0-11"
        ) from error
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(f"--seeds {text!r} must name at least one seed, each once")
    return seeds


def default_folder(name: str) -> Path:
    """Where records go if nobody says so."""
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def print_json(data: Any) -> None:
    """Print data as JSON to standard output, which then holds nothing else."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    sys.stdout.write(orjson.dumps(data, option=options).decode() + "\n")
