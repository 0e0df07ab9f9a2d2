"""The commands that steer a run: `inject`, `undo`, `switch`, `events`, `rate`. They ask its `/control`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import orjson
import typer

from edgebed.commands.console import out, print_rows, warn
from edgebed.commands.options import JsonOption, print_json
from emulation.domain.mistakes import ConfigError

if TYPE_CHECKING:
    from edgebed.ui.steering.client import Control
    from emulation.domain.scenario import Scenario
    from serve_apps.wire.steer import EventEntry

T = TypeVar("T")
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Where the testbed is. By default the one that `edgebed up` left."
    ),
]
SAID = {
    "waiting": "to come",
    "in_force": "in force",
    "ending": "being undone",
    "over": "over",
    "missed": "did not land",
}
"""States of events in words."""


def inject(
    kind: Annotated[
        str,
        typer.Argument(
            help="What goes wrong: slowdown, drift, ramp, pause, error, leave, drain, node_kill, link_delay, "
            "link_loss, replica_crash, replica_kill, llm_outage or scheme."
        ),
    ],
    for_s: Annotated[
        float,
        typer.Option(
            "--for", min=0.001, max=1e9, help="How long it lasts, in virtual seconds; then it is undone."
        ),
    ] = 60.0,
    node: Annotated[
        str | None,
        typer.Option(
            "--node",
            help="The node it happens to; every kind but link_delay, link_loss, llm_outage and scheme needs one. By "
            "default none.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Only this model on the node. By default all of its models.")
    ] = None,
    factor: Annotated[
        float | None,
        typer.Option(
            "--factor",
            min=0.001,
            max=10_000.0,
            help="How many times slower: slowdown and ramp need it. By default none.",
        ),
    ] = None,
    in_flight: Annotated[
        Literal["requeue", "fail", "resume"] | None,
        typer.Option(
            "--in-flight",
            help="What becomes of the work on a node that leaves or drains: it goes elsewhere, is lost, or goes on "
            "when the node is back. By default requeue.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other field of the event, as a scenario file has it; repeatable.",
        ),
    ] = None,
    url: UrlOption = None,
) -> None:
    """Make something go wrong on the live testbed, from now on for a while."""
    given = {"node": node, "model": model, "factor": factor, "in_flight": in_flight}
    event: dict[str, object] = {"kind": kind, **{name: v for name, v in given.items() if v is not None}}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write name=value")
        event[name] = value
    number = _done(url, lambda control: control.inject(event, for_s))
    out.print(f"event {number}: {kind} for {for_s:g} virtual seconds")


def undo(
    number: Annotated[
        int,
        typer.Argument(
            metavar="NUMBER",
            min=0,
            max=1_000_000,
            help="The number of the event, as `inject` said it and `edgebed events` lists it.",
        ),
    ],
    url: UrlOption = None,
) -> None:
    """Undo an event of the live testbed now, before its time."""
    until_s = _done(url, lambda control: control.undo(number))
    out.print(f"event {number}: undone at {until_s:.1f} virtual seconds")


def switch(
    scheme: Annotated[
        str,
        typer.Argument(
            metavar="SCHEME", help="The scheme that is to decide from now on; `edgebed schemes` lists them."
        ),
    ],
    url: UrlOption = None,
) -> None:
    """Have another scheme decide on the live testbed; `edgebed undo` brings the one before back."""
    from edgebed.wiring.parts import find_scheme

    find_scheme(scheme)
    done = _done(url, lambda control: control.switch(scheme))
    since = f"decides since {done.in_force_s:.1f} virtual seconds, before it {done.before}"
    out.print(f"event {done.event}: {done.scheme} {since}")
    if done.missing:
        warn(f"not taken up yet by {', '.join(done.missing)}")


def events(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List the events of the live testbed: what is in force, to come and over."""
    found = _done(url, lambda control: control.events())
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif found.events:
        columns = ("event", "what", "of", "state", "since", "until", "by hand")
        print_rows(columns, [_row(entry) for entry in found.events])
    else:
        out.print(f"no event so far, at {found.t_s:.1f} virtual seconds")


def rate(
    factor: Annotated[
        float,
        typer.Argument(
            metavar="FACTOR",
            min=0.0,
            max=100.0,
            help="How many times as densely as its scenario says the rest of the load is sent; 0 sends no more.",
        ),
    ],
    url: UrlOption = None,
) -> None:
    """Change how densely the testbed sends itself the load that `edgebed load --detach` began."""
    load = _done(url, lambda control: control.change_rate(factor))
    at = f"{load.rate:g} times as densely as it says" if load.running else "no more is sent"
    out.print(f"load of {load.scenario}: {at}")


def proposals(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List the decisions of agents that wait for approval on the live testbed, and the latest that did."""
    found = _done(url, lambda control: control.proposals())
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif found.proposals:
        print_rows(("proposal", "of", "state", "until", "in force", "proposed", "why"), [
            (str(p.proposal), f"{p.actor}, {p.cause}", p.state.replace("_", " "), f"{p.until_s:.1f} s",
             _command_told(p.present), _command_told(p.proposed), p.reason)
            for p in found.proposals
        ])  # fmt: skip
    else:
        out.print(f"no proposal so far, at {found.t_s:.1f} virtual seconds")


ProposalArgument = Annotated[
    int,
    typer.Argument(
        metavar="NUMBER",
        min=1,
        max=1_000_000_000,
        help="The number of the proposal, as `edgebed proposals` lists it.",
    ),
]
WhyOption = Annotated[str, typer.Option("--why", help="A reason for the record. By default none.")]


def approve(
    number: ProposalArgument,
    edited: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="JSON",
            help="What is to be done in its place: the proposed command, as `edgebed proposals --json` shows it, "
            "changed. By default the proposal as it is.",
        ),
    ] = None,
    why: WhyOption = "",
    url: UrlOption = None,
) -> None:
    """Have a decision of an agent carried out that waits for approval."""
    command = None
    if edited is not None:
        try:
            command = orjson.loads(edited)
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"--with {edited[:60]!r}: is no JSON ({error})") from error
    done = _done(url, lambda control: control.approve(number, command, why))
    out.print(f"proposal {number} of {done.actor}: {done.state}")


def reject(number: ProposalArgument, why: WhyOption = "", url: UrlOption = None) -> None:
    """Reject a decision of an agent that waits for approval: the rules of its role decide instead."""
    done = _done(url, lambda control: control.reject(number, why))
    out.print(f"proposal {number} of {done.actor}: {done.state}")


def _command_told(command: Mapping[str, object] | None) -> str:
    """A command in a table: as JSON, cut."""
    return "–" if command is None else orjson.dumps(command).decode()[:200]


def begin_detached(url: str | None, scenario: Scenario, seed: int, rate: float, as_json: bool) -> None:
    """Have the testbed send itself the requests of this very scenario, and say where their log is."""
    from workloads.demand_digest import demand_digest

    demand = demand_digest(scenario)
    load = _done(url, lambda control: control.send(scenario.name, seed, rate, demand))
    if as_json:
        print_json(load.model_dump(mode="json"))
    else:
        out.print(f"load of {load.scenario}: begins at {load.began_s:.1f} virtual seconds; log in {load.log}")
        out.print("next: edgebed rate 2, edgebed rate 0", style="dim")


def _row(entry: EventEntry) -> tuple[str, ...]:
    """One event in a table; its times in virtual seconds."""
    since_s = entry.at_s if entry.onset_s is None else entry.onset_s
    until_s = entry.until_s if entry.undone_s is None else entry.undone_s
    until = "never" if until_s is None else f"{until_s:.1f} s"
    hand = "yes" if entry.by_hand else "no"
    return str(entry.event), entry.kind, entry.target, SAID[entry.state], f"{since_s:.1f} s", until, hand


def _done(url: str | None, ask: Callable[[Control], Awaitable[T]]) -> T:
    """What the testbed at a URL (None: the standing one) answers. Raises `ConfigError`."""
    import asyncio

    from edgebed.runs.testbed_client import standing_url

    where = standing_url(url)

    async def asked() -> T:
        from edgebed.ui.steering.client import Control

        async with Control(where) as control:
            return await ask(control)

    return asyncio.run(asked())
