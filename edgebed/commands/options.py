"""Options that several commands share, and what reads them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from edgebed.harmless import harmless_json
from edgebed.places import runs_folder
from emulation.domain.mistakes import ConfigError

MOST_SEEDS = 10_000
"""In one comparison."""
LARGEST_SEED = 2**63 - 1
"""What a record can hold."""


def scenario_names() -> list[str]:
    """Packaged scenarios, for the shell's completion."""
    from emulation.files import list_scenarios

    return list_scenarios()


def scheme_names() -> list[str]:
    """Schemes, for the shell's completion."""
    from edgebed.wiring.parts import scheme_names as known

    return known()


def _check_address(address: str | None) -> str | None:
    if address not in (None, "auto"):
        host, colon, port = address.rpartition(":")
        if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigError(f"--address {address!r}: is no Ray cluster; give auto, or its head's HOST:PORT")
    return address


LEAST_KEPT_MB = 8
"""Of a record: less would be gone before it is read."""
_UNITS_MB = {"MB": 1, "GB": 1000, "TB": 1_000_000}


def size_of(option: str, given: str) -> int | None:
    """Bytes of a size as `500MB` or `8GB`; None: `all`. Raises `ConfigError`."""
    text = given.strip().upper()
    number, unit = text[:-2], text[-2:]
    if text == "ALL":
        return None
    if unit not in _UNITS_MB or not number.isdecimal() or len(number) > 9:
        raise ConfigError(f"{option} {given[:40]!r}: is no size; give one as 500MB or 8GB, or all")
    size_mb = int(number) * _UNITS_MB[unit]
    if size_mb < LEAST_KEPT_MB:
        raise ConfigError(f"{option} {given!r}: is too little; give {LEAST_KEPT_MB}MB at least")
    return size_mb * 1_000_000


ScenarioArgument = Annotated[
    str,
    typer.Argument(
        help="The scenario: a packaged name (`edgebed scenarios` lists them) or the path of a YAML file.",
        autocompletion=scenario_names,
    ),
]
PaperOption = Annotated[
    Path | None,
    typer.Option(
        "--paper",
        file_okay=False,
        help="Folder for a paper: pictures as PDF and SVG, tables in LaTeX, and the data of both as CSV and Parquet. "
        "By default none of it is written.",
    ),
]
SchemeOption = Annotated[
    str,
    typer.Option(
        "--scheme",
        help="The scheme that decides: a name from `edgebed schemes`, or one of your own as package.module:NAME.",
        autocompletion=scheme_names,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as JSON on standard output, and nothing else but warnings and errors.",
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Say nothing of how far it is; warnings and errors are still shown."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for the records and the report. By default a new one, `runs/<name>-<time>`; the environment "
        "variable EDGEBED_RUNS names another folder in the place of `runs`.",
        file_okay=False,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        max=LARGEST_SEED,
        help="Number that all random draws come from: which requests, how long each takes. The same seed gives "
        "the same run.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with what the folder of --out holds: runs that are there and whole are not made again.",
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        help="The scheme that the others are compared with. By default the first of --schemes.",
        autocompletion=scheme_names,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=1024,
        help="Virtual runs at a time. By default one per core, and of those that ask a language model one: what its "
        "server is asked beside a question counts as thinking.",
    ),
]
ReasonerOption = Annotated[
    str | None,
    typer.Option(
        "--reasoner",
        metavar="NAME",
        help="What thinks where a scheme has agents: `rules` (a deterministic program), `openai` (a language "
        "model, named by the EDGEBED_LLM_* variables), `scripted:FILE` or `replay:FILE` (answers from a file), "
        "`first` or `random` (choosers without judgement, to compare a model with). "
        "By default as the scenario says, else `rules`.",
    ),
]
AgentsModeOption = Annotated[
    Literal["choice", "free", "auto"] | None,
    typer.Option(
        "--agents-mode",
        help="How a language model answers: `choice` (one of a few good options), `free` (it writes the command out), "
        "`auto` (choice for small models, free for others). By default as the scenario says, else `auto`.",
    ),
]
ApproveOption = Annotated[
    bool,
    typer.Option(
        "--approve",
        help="Hold what an agent decided until somebody approves, edits or rejects it (`edgebed proposals`); after a "
        "while the rules decide. In virtual time nobody is there, unless `agents.approve` names a stand-in.",
    ),
]
SpeedupOption = Annotated[
    float | None,
    typer.Option(
        "--speedup",
        min=0.01,
        max=1000.0,
        help="Virtual seconds per second of real time; 10 plays ten minutes in one. By default as the scenario "
        "says.",
    ),
]
LifecycleOption = Annotated[
    Literal["warm", "cold"] | None,
    typer.Option(
        "--lifecycle",
        help="warm: the processes of all models stay up, and starting a model is emulated. cold: they are really "
        "started and stopped, at speedup 1 only. By default as the scenario says.",
    ),
]
GatewaysOption = Annotated[
    int | None,
    typer.Option(
        "--gateways",
        min=1,
        max=64,
        metavar="N",
        help="Gateway processes that share the port and the requests. By default as the scenario says.",
    ),
]
HostOption = Annotated[
    str,
    typer.Option(
        "--host",
        help="Address that the gateway listens on; with --address, `node` is that of the machine it lands on. On any "
        "but a loopback address, `inject` needs the token in EDGEBED_TOKEN.",
    ),
]
UiOption = Annotated[
    bool,
    typer.Option(
        "--ui",
        help="Show it in a browser meanwhile, in a process of its own on this machine; its address is printed.",
    ),
]
UiPortOption = Annotated[
    int,
    typer.Option("--ui-port", min=0, max=65535, help="Port of the page of --ui; 0 takes any free one."),
]
RayletsOption = Annotated[
    bool,
    typer.Option(
        "--raylets",
        help="Give each edge node a Ray node of its own, so that one can really be killed. Starts more slowly.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        callback=_check_address,
        help="Join the Ray cluster at this address (`auto`: the one of this machine). By default one is "
        "started here.",
    ),
]
UnprotectedOption = Annotated[
    bool,
    typer.Option(
        "--unprotected",
        help="Join a Ray cluster that asks for no token, too: everybody who reaches its ports can run programs on its "
        "machines. With --address.",
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        help="What answers for the models that the testbed file gives no backend: `emulated` (synthetic "
        "answers at the profile's pace) or `real-tiny` (small real models with random weights, made at their "
        "first use).",
    ),
]


def adjusted(scenario: Any, speedup: float | None, lifecycle: str | None, gateways: int | None = None) -> Any:
    """The scenario with the live settings of the command line. Raises `ConfigError`."""
    from pydantic import ValidationError

    from emulation.domain.complaints import complaint
    from emulation.domain.scenario import LiveConfig

    changes = {"speedup": speedup, "lifecycle": lifecycle, "gateways": gateways}
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return scenario
    try:
        live = LiveConfig.model_validate({**scenario.live.model_dump(), **given})
    except ValidationError as error:
        raise ConfigError(f"--{complaint(LiveConfig, error)}") from error
    return scenario.model_copy(update={"live": live})


def with_time_limit(scenario: Any, time_limit_s: float | None) -> Any:
    """The scenario whose requests may take so long (0: as long as they take). Raises `ConfigError`."""
    from pydantic import TypeAdapter, ValidationError

    from emulation.domain.quantities import Length

    if time_limit_s is None:
        return scenario
    try:
        limit_s = TypeAdapter(Length).validate_python(time_limit_s) if time_limit_s else None
    except ValidationError as error:
        raise ConfigError(f"--time-limit {time_limit_s:g}: {error.errors()[0]['msg']}") from error
    return scenario.model_copy(update={"deadline_s": limit_s})


def names_of(text: str) -> list[str]:
    """The schemes that `--schemes` names, in order. Raises `ConfigError` if it names none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--schemes {text!r} names no scheme; for example AL,MA,sect")
    return names


def seeds_of(text: str) -> list[int]:
    """The seeds that `--seeds` names, in order. Raises `ConfigError` for anything but a list of different seeds."""
    seeds: list[int] = []
    for part in text.split(","):
        low, high = _span(part.strip(), text)
        if high - low >= MOST_SEEDS - len(seeds):
            raise ConfigError(f"--seeds {text[:60]!r} names more than {MOST_SEEDS} seeds; name fewer")
        seeds.extend(range(low, high + 1))
    if len(set(seeds)) != len(seeds):
        raise ConfigError(f"--seeds {text[:60]!r} must name each seed once")
    return seeds


def _span(part: str, text: str) -> tuple[int, int]:
    """First and last seed of `7` or `0-11`."""
    low, dash, high = part.partition("-")
    ends = (low, high if dash else low)
    if not all(end.isascii() and end.isdigit() and len(end) <= 19 for end in ends):
        raise ConfigError(f"--seeds {text[:60]!r} is not a list of seeds; write for example 0,1,2 or 0-11")
    first, last = map(int, ends)
    if last < first or last > LARGEST_SEED:
        raise ConfigError(
            f"--seeds {text[:60]!r}: {part} names no seeds; they run from 0 to {LARGEST_SEED}, the smaller first"
        )
    return first, last


def default_folder(name: str) -> Path:
    """Where records go if nobody says so."""
    return runs_folder() / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def print_json(data: Any) -> None:
    """Print data as JSON to standard output, which then holds nothing else."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    sys.stdout.write(harmless_json(orjson.dumps(data, option=options).decode()) + "\n")
