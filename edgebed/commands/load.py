"""The command `edgebed load`: a scenario's requests to a server, and what the client saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.console import complain, out, progress_bar, warn
from edgebed.commands.entry import FAILED, INTERRUPTED
from edgebed.commands.options import JsonOption, QuietOption, SeedOption, print_json, scenario_names
from edgebed.commands.steer import begin_detached
from edgebed.places import runs_folder


def load(
    scenario: Annotated[
        str,
        typer.Argument(
            help="The scenario whose requests are sent: a packaged name, or the path of a YAML file.",
            autocompletion=scenario_names,
        ),
    ] = "demo",
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Any OpenAI-compatible server, for example http://127.0.0.1:8000. By default the testbed that "
            "`edgebed up` left standing. Its key, if it wants one, is read from EDGEBED_API_KEY.",
        ),
    ] = None,
    seed: SeedOption = 0,
    speedup: Annotated[
        float | None,
        typer.Option(
            "--speedup",
            min=0.01,
            max=1000.0,
            help="Virtual seconds per second of real time; 10 sends ten minutes of requests in one. By default the "
            "testbed's own, for other servers the scenario's.",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            dir_okay=False,
            help="File for the client's log, one JSON line per request. By default `runs/client.jsonl`.",
        ),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(
            "--fail-above",
            min=0.0,
            max=1.0,
            help="End with exit code 1 if more than this share of the requests fail, from 0 to 1. By default "
            "only if all of them do.",
        ),
    ] = None,
    density: Annotated[
        float,
        typer.Option(
            "--rate",
            min=0.001,
            max=100.0,
            help="How many times as densely as the scenario says the requests are sent, in the testbed's own time.",
        ),
    ] = 1.0,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="The testbed sends the requests itself, and the command returns; `edgebed rate` changes how densely, "
            "or stops it.",
        ),
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send a scenario's requests to a server at their own times, and sum up what the client saw."""
    from edgebed.runs.load_summary import print_load, summarise_load
    from edgebed.runs.loading import check_server, send, speedup_of
    from edgebed.runs.testbed_client import standing_url
    from emulation.files import load_scenario
    from workloads.generate import generate
    from workloads.load import client_log

    loaded = load_scenario(scenario)
    if detach:
        begin_detached(url, loaded, seed, density, as_json)
        return
    asked = generate(loaded, seed).items
    total = len(asked)
    where = standing_url(url)
    check_server(where, {request.model for request, _ in asked})
    own = speedup_of(where)
    rate = speedup or own or loaded.live.speedup
    if own is not None and rate != own:
        warn(
            f"the testbed runs at speedup {own:g} and the load is sent at {rate:g}: it is "
            f"{rate / own:.3g} times as dense as the scenario says, and its times do not compare with other runs"
        )
    file = log or runs_folder() / "client.jsonl"
    with progress_bar(f"load {loaded.name}", total) as bar:
        cut = send(
            scenario,
            seed,
            rate,
            where,
            file,
            lambda tally: bar.update(tally.ended, tally.words(total)),
            density,
        )
    found = client_log(file)
    summary = summarise_load(found)
    if as_json:
        print_json(summary)
    else:
        print_load(summary, out)
    if cut:
        complain(f"interrupted: {summary['all']['sent']} of {total} requests had been sent")
        raise typer.Exit(INTERRUPTED)
    failed = 1.0 - (summary["all"]["success_ratio"] or 0.0)
    if failed >= 1.0 or (fail_above is not None and failed > fail_above):
        raise typer.Exit(FAILED)
