"""The commands of a live testbed that stays, `up` and `down`; what steers it is in `steer.py`, `load` in `load.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.command import given_words
from edgebed.commands.console import complain, out, say, warn
from edgebed.commands.options import (
    AddressOption,
    AgentsModeOption,
    ApproveOption,
    BackendOption,
    GatewaysOption,
    HostOption,
    JsonOption,
    LifecycleOption,
    OutOption,
    QuietOption,
    RayletsOption,
    ReasonerOption,
    SchemeOption,
    SeedOption,
    SpeedupOption,
    UiOption,
    UiPortOption,
    UnprotectedOption,
    adjusted,
    default_folder,
    print_json,
    scenario_names,
    size_of,
    with_time_limit,
)
from edgebed.commands.thinking import check_thinking, thinks_as
from emulation.domain.mistakes import ConfigError

if TYPE_CHECKING:
    from serve_apps.gateway.server.settings import HttpSettings


def up(
    ctx: typer.Context,
    scenario: Annotated[
        str,
        typer.Argument(
            help="The scenario whose testbed stands up; its requests are sent by `edgebed load`, its events "
            "are not played.",
            autocompletion=scenario_names,
        ),
    ] = "demo",
    scheme: SchemeOption = "MA",
    seed: SeedOption = 0,
    host: HostOption = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the gateway; 0 takes any free one.")
    ] = 8000,
    gateways: GatewaysOption = None,
    raylets: RayletsOption = False,
    address: AddressOption = None,
    unprotected: UnprotectedOption = False,
    backend: BackendOption = "emulated",
    reasoner: ReasonerOption = None,
    agents_mode: AgentsModeOption = None,
    approve: ApproveOption = False,
    speedup: SpeedupOption = None,
    lifecycle: LifecycleOption = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            min=0,
            max=1e9,
            metavar="SECONDS",
            help="Virtual seconds after which a request is given up and answered as expired; 0: never. By default as "
            "the scenario says.",
        ),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in this terminal until Ctrl-C takes the testbed down.")
    ] = False,
    http: Annotated[
        Path | None,
        typer.Option(
            "--http",
            exists=True,
            dir_okay=False,
            help="YAML file with limits of the HTTP server, as docs/reference/http-settings.md has them. By "
            "default those stand.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Another name by which clients may call it, *.lan for all names below lan; repeatable.",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            metavar="ORIGIN",
            help="A web site whose pages may call it from a browser, as https://page.example; repeatable.",
        ),
    ] = None,
    keep_records: Annotated[
        str,
        typer.Option(
            "--keep-records",
            metavar="SIZE",
            help="How much of the record is kept, as 500MB or 8GB: the oldest of it goes. all: everything.",
        ),
    ] = "8GB",
    folder: OutOption = None,
    show: UiOption = False,
    ui_port: UiPortOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start a live testbed that stays until `edgebed down`, behind an OpenAI-compatible address."""
    from dataclasses import asdict

    from edgebed.models.tiny import with_backend
    from edgebed.runs.comparison import check
    from edgebed.runs.layout import Layout
    from edgebed.runs.live import as_live
    from edgebed.runs.room import HOST as ROOM_HOST
    from edgebed.runs.room import room_url
    from edgebed.runs.standing import serve_in_foreground
    from edgebed.runs.standing import up as bring_up
    from emulation.domain.cluster import TestbedConfig
    from emulation.files import load_scenario
    from serve_apps.testbed.live import LiveOptions
    from serve_apps.testbed.ports import checked_port

    keep_bytes = size_of("--keep-records", keep_records)
    loaded = with_time_limit(adjusted(load_scenario(scenario), speedup, lifecycle, gateways), time_limit)
    loaded = thinks_as(loaded, reasoner, agents_mode, approve)
    check(loaded, [scheme], live=True, seeds=[seed])
    check_thinking(loaded, [scheme], reasoner, approve)
    loaded, backend = with_backend(loaded, backend, speedup)
    loaded = as_live(loaded, backend)
    layout = Layout(folder or default_folder(f"up-{loaded.name}"))
    options = LiveOptions(
        host=host, port=port, lifecycle=loaded.live.lifecycle, backend=backend, raylets=raylets,
        gateways=loaded.live.gateways,
        address=address, unprotected=unprotected, http=http_settings(http, allow_host or [], allow_origin or []),
    )  # fmt: skip
    page = checked_port(ROOM_HOST, ui_port) if show else None
    if foreground:
        serve_in_foreground(loaded, scheme, seed, options, layout, keep_bytes, page)
        return
    words = given_words(ctx, without=("as_json", "quiet", "folder", "ui_port"))
    standing = bring_up(options, layout, [*words, *([] if page is None else ["--ui-port", str(page)])])
    if as_json:
        shown = {} if page is None else {"ui": room_url(page)}
        print_json({**asdict(standing), "folder": str(layout.root), **shown})
        return
    out.print(
        f"up: {standing.url}/v1  (scheme {scheme}, speedup {loaded.live.speedup:g}, records in {layout.root})"
    )
    if page is not None:
        out.print(f"control room: {room_url(page)}")
    if len(standing.gateways) > 1:
        out.print(f"each gateway alone: {', '.join(standing.gateways)}")
    if (agent := TestbedConfig.model_validate_json(standing.testbed).agent_llm) is not None:
        out.print(f"the agents' model: {agent.url}")
    out.print("next: edgebed load, edgebed inject slowdown --node ..., edgebed down", style="dim")


def http_settings(file: Path | None, hosts: list[str], origins: list[str]) -> HttpSettings:
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
    from edgebed.runs.testbed_client import down as take_down

    say("taking down what stands here ...")
    ended = take_down()
    if ended is not None and ended.left:
        warn(f"its processes {', '.join(map(str, ended.left))} were still there, and were ended")
    if ended is None:
        out.print("no testbed stands here")
    elif ended.failure:
        complain(f"down, but not as it should be: {ended.failure}; records and up.log in {ended.folder}")
        raise typer.Exit(1)
    else:
        out.print("down")
