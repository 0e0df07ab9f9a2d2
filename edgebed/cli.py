"""The command `edgebed`: what a user can do. Thin: each command says what it takes and calls what does it."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from controller.agents.llm import ReasonerError
from edgebed.calibrate.cli import app as calibrate_app
from edgebed.console import out, say
from edgebed.models.cli import app as models_app
from edgebed.profile.cli import profile, profiles
from edgebed.reproduce.cli import app as reproduce_app
from emulation.files import ConfigError
from emulation.recording import RecordError
from workloads.traces import TraceError

app = typer.Typer(
    help="Compare resource managers for generative inference at the edge, in virtual time and live on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

app.add_typer(models_app, name="models")
app.command("profile")(profile)
app.command("profiles")(profiles)
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(reproduce_app, name="reproduce")

ScenarioArgument = Annotated[
    str, typer.Argument(help="A packaged scenario (see `edgebed scenarios`) or a YAML file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for records and report; default: runs/<name>.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of requests, noise and draws.")]
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
UrlOption = Annotated[str, typer.Option("--url", help="Base URL of a gateway.")]


def main() -> None:
    """Entry point: wrong input is one message and exit code 2, never a traceback."""
    try:
        app()
    except (ConfigError, RecordError, TraceError, ReasonerError) as error:
        say(f"[red]error:[/red] {_escaped(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)


@app.command()
def schemes(as_json: JsonOption = False) -> None:
    """List the schemes: every system of both papers, and ours."""
    from rich.table import Table

    from controller.schemes import SCHEMES

    rows = [
        {
            "name": s.label(), "scheme": s.name, "paper": s.paper, "router": s.router, "perf": s.perf,
            "scheduler": s.scheduler, "deployer": s.deployer, "planner": s.planner, "reasoner": s.reasoner,
            "summary": s.summary,
        }
        for s in SCHEMES.values()
    ]  # fmt: skip
    if as_json:
        _print_json(rows)
        return
    table = Table("scheme", "paper", "router", "scheduler", "deployer", "planner", "what it does", box=None)
    for row in rows:
        names = ("name", "paper", "router", "scheduler", "deployer", "planner", "summary")
        table.add_row(*(str(row[n] or "–") for n in names))
    out.print(table)


@app.command()
def scenarios(as_json: JsonOption = False) -> None:
    """List the packaged scenarios."""
    from rich.table import Table

    from emulation.files import list_scenarios, load_scenario

    found = [load_scenario(name) for name in list_scenarios()]
    if as_json:
        _print_json([{"name": s.name, "testbed": s.testbed.name, "note": s.note.strip()} for s in found])
        return
    table = Table("scenario", "testbed", "nodes", "slots", "events", "what it is", box=None)
    for s in found:
        table.add_row(
            s.name,
            s.testbed.name,
            str(len(s.testbed.nodes)),
            str(s.slots),
            str(len(s.events)),
            s.note.strip(),
        )
    out.print(table)


@app.command()
def simulate(
    scenario: ScenarioArgument,
    scheme: Annotated[str, typer.Option("--scheme", help="See `edgebed schemes`.")] = "sect",
    seed: SeedOption = 0,
    reasoner: ReasonerOption = None,
    folder: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one scheme on one seed in virtual time."""
    compare(scenario, schemes=scheme, seeds=str(seed), reasoner=reasoner, folder=folder, as_json=as_json)


@app.command()
def compare(
    scenario: ScenarioArgument,
    schemes: Annotated[
        str, typer.Option("--schemes", help="Comma-separated, in the order of the tables.")
    ] = "AL,MA,sect",
    seeds: Annotated[
        str, typer.Option("--seeds", help="`0,1,2` or `0-11`; each is paired across schemes.")
    ] = "0",
    live: Annotated[bool, typer.Option("--live", help="On a Ray cluster under real HTTP load.")] = False,
    check_parity: Annotated[
        bool, typer.Option("--check-parity", help="With --live: check it against virtual time.")
    ] = False,
    speedup: Annotated[
        float | None, typer.Option("--speedup", min=0.01, help="Live: virtual seconds per second.")
    ] = None,
    lifecycle: Annotated[str | None, typer.Option("--lifecycle", help="Live: warm or cold.")] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Live: gateway port; 0 picks one.")
    ] = 0,
    raylets: RayletsOption = False,
    address: AddressOption = None,
    backend: BackendOption = "emulated",
    reasoner: ReasonerOption = None,
    folder: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare schemes on the same requests and events, in virtual time or live."""
    from edgebed.comparison import check, compare_virtual, conclude
    from edgebed.layout import Layout
    from edgebed.reasoners import with_reasoner
    from emulation.files import load_scenario

    loaded = with_reasoner(_adjusted(load_scenario(scenario), speedup, lifecycle), reasoner)
    names, numbers = _names(schemes), _seeds(seeds)
    check(loaded, names, live)
    if check_parity and not live:
        raise ConfigError("--check-parity compares a live run with virtual time; add --live")
    layout = Layout(folder or _default_folder(loaded.name))
    if live:
        from edgebed.live import as_live, compare_live
        from edgebed.models.tiny import with_backend

        loaded, backend = with_backend(loaded, backend, speedup)
        loaded = as_live(loaded, backend)
        runs, parity = compare_live(
            loaded, names, numbers, layout, port, check_parity, as_json, backend, address, raylets
        )
    else:
        runs, parity = compare_virtual(loaded, names, numbers, layout, quiet=as_json), None
    if not runs:
        say("nothing was finished, so there is nothing to report")
        raise typer.Exit(130)
    _show(conclude(runs, loaded, layout, parity), layout, as_json)


@app.command()
def demo(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Gateway port; 0 picks one.")] = 0,
    backend: BackendOption = "emulated",
    folder: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Three schemes live on this machine, a slowdown and a node that leaves, and a report: what `make demo` runs."""
    emulated = backend == "emulated"  # only of emulated models the virtual world knows the service times
    compare(
        "demo", live=True, check_parity=emulated, port=port, backend=backend, folder=folder, as_json=as_json
    )


@app.command()
def up(
    scenario: Annotated[
        str, typer.Argument(help="Testbed and live settings; its requests are sent by `edgebed load`.")
    ] = "demo",
    scheme: Annotated[str, typer.Option("--scheme", help="See `edgebed schemes`.")] = "MA",
    seed: SeedOption = 0,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; control needs EDGEBED_TOKEN off loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Gateway port; 0 picks one.")] = 8000,
    raylets: RayletsOption = False,
    address: AddressOption = None,
    backend: BackendOption = "emulated",
    speedup: Annotated[
        float | None, typer.Option("--speedup", min=0.01, help="Virtual seconds per second.")
    ] = None,
    lifecycle: Annotated[str | None, typer.Option("--lifecycle", help="warm or cold.")] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in this terminal; Ctrl-C ends it.")
    ] = False,
    folder: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a live testbed that stays, with an OpenAI-compatible gateway."""
    from dataclasses import asdict

    from edgebed.comparison import check
    from edgebed.layout import Layout
    from edgebed.live import as_live
    from edgebed.models.tiny import with_backend
    from edgebed.testbed import serve_in_foreground
    from edgebed.testbed import up as bring_up
    from emulation.domain.cluster import TestbedConfig
    from emulation.files import load_scenario
    from serve_apps.live import LiveOptions

    loaded = _adjusted(load_scenario(scenario), speedup, lifecycle)
    check(loaded, [scheme], live=True)
    loaded, backend = with_backend(loaded, backend, speedup)
    loaded = as_live(loaded, backend)
    layout = Layout(folder or _default_folder(f"up-{loaded.name}"))
    options = LiveOptions(
        host=host, port=port, lifecycle=loaded.live.lifecycle, backend=backend, raylets=raylets,
        address=address,
    )  # fmt: skip
    if foreground:
        serve_in_foreground(loaded, scheme, seed, options, layout)
        return
    say(f"starting Ray and {len(loaded.testbed.executors())} replicas ...")
    standing = bring_up(options, layout, sys.argv[2:])
    if as_json:
        _print_json({**asdict(standing), "folder": str(layout.root)})
        return
    out.print(
        f"up: {standing.url}/v1  (scheme {scheme}, speedup {loaded.live.speedup:g}, records in {layout.root})"
    )
    if (agent := TestbedConfig.model_validate_json(standing.testbed).agent_llm) is not None:
        out.print(f"the agents' model: {agent.url}")
    out.print("next: edgebed load, edgebed inject slowdown --node ..., edgebed down", style="dim")


@app.command()
def down() -> None:
    """Take the standing testbed down; its record is closed."""
    from edgebed.testbed import down as take_down

    out.print("down" if take_down() else "no testbed stands here")


@app.command()
def load(
    scenario: Annotated[str, typer.Argument(help="Whose requests to send.")] = "demo",
    url: Annotated[
        str | None, typer.Option("--url", help="Any OpenAI-compatible URL; default: the standing testbed.")
    ] = None,
    seed: SeedOption = 0,
    speedup: Annotated[
        float | None, typer.Option("--speedup", min=0.01, help="Default: the testbed's, else the scenario's.")
    ] = None,
    log: Annotated[Path, typer.Option("--log", help="The client's log, one JSON line per request.")] = Path(
        "runs/client.jsonl"
    ),
    as_json: JsonOption = False,
) -> None:
    """Load a gateway with a scenario's requests, open loop, and sum up what the client saw."""
    from edgebed.load_summary import print_load, summarise_load
    from edgebed.testbed import load as send
    from edgebed.testbed import speedup_of, standing_url
    from emulation.files import load_scenario
    from workloads.load import client_log

    loaded = load_scenario(scenario)
    where = standing_url(url)
    code = send(scenario, seed, speedup or speedup_of(where) or loaded.live.speedup, where, log)
    summary = summarise_load(client_log(log))
    if as_json:
        _print_json(summary)
    else:
        print_load(summary, out)
    if code:
        raise typer.Exit(1)


@app.command()
def inject(
    kind: Annotated[
        str,
        typer.Argument(
            help="slowdown, drift, ramp, pause, error, leave, link_delay, replica_crash or llm_outage."
        ),
    ],
    for_s: Annotated[
        float, typer.Option("--for", min=0.001, help="Virtual seconds until it is undone.")
    ] = 60.0,
    node: Annotated[str | None, typer.Option("--node")] = None,
    model: Annotated[str | None, typer.Option("--model")] = None,
    factor: Annotated[float | None, typer.Option("--factor", help="Times slower.")] = None,
    in_flight: Annotated[
        str | None, typer.Option("--in-flight", help="leave: requeue, fail or resume.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any other field, as name=value; repeatable.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Default: the standing testbed.")] = None,
) -> None:
    """Make something go wrong on the live testbed, from now on for a while."""
    from edgebed.testbed import inject as play
    from edgebed.testbed import standing_url

    given = {"node": node, "model": model, "factor": factor, "in_flight": in_flight}
    event: dict[str, object] = {"kind": kind, **{name: v for name, v in given.items() if v is not None}}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write name=value")
        event[name] = value
    number = play(standing_url(url), event, for_s)
    out.print(f"event {number}: {kind} for {for_s:g} virtual seconds")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A folder that compare, simulate or demo wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Write the report of recorded runs again, and print its table."""
    from edgebed.comparison import conclude
    from edgebed.layout import layout_of

    layout = layout_of(folder)
    scenario, runs = layout.scenario(), layout.runs()
    if not runs:
        raise ConfigError(f"{folder}: holds no run; give a folder that `edgebed compare` wrote")
    _show(conclude(runs, scenario, layout), layout, as_json)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="The folder of one recorded run, live or virtual.")],
    as_json: JsonOption = False,
) -> None:
    """Replay a run's own arrivals and decisions in virtual time, and compare the per-type means."""
    from dataclasses import asdict

    from rich.table import Table

    from edgebed.layout import layout_of
    from edgebed.parity import replay_rows
    from emulation.recording import read_run

    rows = replay_rows(read_run(folder), layout_of(folder).scenario())
    if as_json:
        _print_json({"replay": [asdict(row) for row in rows], "ok": all(row.ok for row in rows)})
    else:
        table = Table("model", "recorded mean", "replayed mean", "difference", "within 2%", box=None)
        for row in rows:
            again = "–" if row.virtual_mean_s is None else f"{row.virtual_mean_s:.2f} s"
            apart = "–" if row.relative_difference is None else f"{100 * row.relative_difference:+.2f}%"
            table.add_row(row.model, f"{row.live_mean_s:.2f} s", again, apart, "yes" if row.ok else "no")
        out.print(table)
    if not all(row.ok for row in rows):
        raise typer.Exit(1)


def _show(comparison: Any, layout: Any, as_json: bool) -> None:
    from edgebed.report import comparison_json, print_table

    if as_json:
        _print_json({**comparison_json(comparison), "report": str(layout.report), "folder": str(layout.root)})
        return
    print_table(comparison, out)
    say(f"report: {layout.report}")


def _adjusted(scenario: Any, speedup: float | None, lifecycle: str | None) -> Any:
    """The scenario with the live settings of the command line."""
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


def _names(text: str) -> list[str]:
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise ConfigError(f"--schemes {text!r} names no scheme; for example AL,MA,sect")
    return found


def _seeds(text: str) -> list[int]:
    found: list[int] = []
    try:
        for part in text.split(","):
            low, _, high = part.strip().partition("-")
            found.extend(range(int(low), int(high or low) + 1))
    except ValueError as error:
        raise ConfigError(
            f"--seeds {text!r} is not a list of seeds; write for example 0,1,2 or 0-11"
        ) from error
    if not found or len(set(found)) != len(found):
        raise ConfigError(f"--seeds {text!r} must name at least one seed, each once")
    return found


def _default_folder(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _print_json(data: Any) -> None:
    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n")


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
