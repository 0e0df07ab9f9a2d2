"""The commands of a live testbed that stays: `up`, `load`, `inject`, `down`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from edgebed.commands.console import out, say
from edgebed.commands.options import (
    AddressOption,
    BackendOption,
    JsonOption,
    OutOption,
    RayletsOption,
    SeedOption,
    adjusted,
    default_folder,
    print_json,
)
from emulation.files import ConfigError

if TYPE_CHECKING:
    from serve_apps.gateway.server.settings import HttpSettings


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
    http: Annotated[
        Path | None,
        typer.Option(
            "--http", help="YAML file of the gateway's limits; see docs/reference/http-settings.md."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Name clients may call the gateway by; *.lan for all below."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="Origin whose web pages may call /v1, as https://page.example."),
    ] = None,
    folder: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a live testbed that stays, with an OpenAI-compatible gateway."""
    from dataclasses import asdict

    from edgebed.models.tiny import with_backend
    from edgebed.runs.comparison import check
    from edgebed.runs.layout import Layout
    from edgebed.runs.live import as_live
    from edgebed.runs.standing import serve_in_foreground
    from edgebed.runs.standing import up as bring_up
    from emulation.domain.cluster import TestbedConfig
    from emulation.files import load_scenario
    from serve_apps.testbed.live import LiveOptions

    loaded = adjusted(load_scenario(scenario), speedup, lifecycle)
    check(loaded, [scheme], live=True)
    loaded, backend = with_backend(loaded, backend, speedup)
    loaded = as_live(loaded, backend)
    layout = Layout(folder or default_folder(f"up-{loaded.name}"))
    options = LiveOptions(
        host=host, port=port, lifecycle=loaded.live.lifecycle, backend=backend, raylets=raylets,
        address=address, http=_http_settings(http, allow_host or [], allow_origin or []),
    )  # fmt: skip
    if foreground:
        serve_in_foreground(loaded, scheme, seed, options, layout)
        return
    say(f"starting Ray and {len(loaded.testbed.executors())} replicas ...")
    standing = bring_up(options, layout, sys.argv[2:])
    if as_json:
        print_json({**asdict(standing), "folder": str(layout.root)})
        return
    out.print(
        f"up: {standing.url}/v1  (scheme {scheme}, speedup {loaded.live.speedup:g}, records in {layout.root})"
    )
    if (agent := TestbedConfig.model_validate_json(standing.testbed).agent_llm) is not None:
        out.print(f"the agents' model: {agent.url}")
    out.print("next: edgebed load, edgebed inject slowdown --node ..., edgebed down", style="dim")


def _http_settings(file: Path | None, hosts: list[str], origins: list[str]) -> HttpSettings:
    """The file's, with these names and origins beside its own. Raises `ConfigError`."""
    from pydantic import ValidationError

    from emulation.files import load_settings
    from serve_apps.gateway.server.settings import HttpSettings

    found = HttpSettings() if file is None else load_settings(HttpSettings, file)
    kinds = {
        "allow_hosts": (hosts, "--allow-host", "a host name without port, *.example.org, or *"),
        "allow_origins": (origins, "--allow-origin", "scheme://host[:port] or *"),
    }
    for field, (given, option, form) in kinds.items():
        for value in given:
            try:
                HttpSettings.model_validate({field: [value]})
            except ValidationError:
                raise ConfigError(f"{option} {value!r} is not {form}") from None
    added = {"allow_hosts": (*found.allow_hosts, *hosts), "allow_origins": (*found.allow_origins, *origins)}
    return found.model_copy(update=added)


def down() -> None:
    """Take the standing testbed down; its record is closed. Exit code 1 if anything went wrong with it."""
    from edgebed.runs.standing import down as take_down

    ended = take_down()
    if ended is None:
        out.print("no testbed stands here")
    elif ended.failure:
        say(f"down, but not as it should be: {escape(ended.failure)}; records and up.log in {ended.folder}")
        raise typer.Exit(1)
    else:
        out.print("down")


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
    from edgebed.runs.load_summary import print_load, summarise_load
    from edgebed.runs.standing import load as send
    from edgebed.runs.standing import speedup_of, standing_url
    from emulation.files import load_scenario
    from workloads.load import client_log

    loaded = load_scenario(scenario)
    where = standing_url(url)
    code = send(scenario, seed, speedup or speedup_of(where) or loaded.live.speedup, where, log)
    summary = summarise_load(client_log(log))
    if as_json:
        print_json(summary)
    else:
        print_load(summary, out)
    if code:
        raise typer.Exit(1)


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
    from edgebed.runs.standing import inject as play
    from edgebed.runs.standing import standing_url

    given = {"node": node, "model": model, "factor": factor, "in_flight": in_flight}
    event: dict[str, object] = {"kind": kind, **{name: v for name, v in given.items() if v is not None}}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write name=value")
        event[name] = value
    number = play(standing_url(url), event, for_s)
    out.print(f"event {number}: {kind} for {for_s:g} virtual seconds")
