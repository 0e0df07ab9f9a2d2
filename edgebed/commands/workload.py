"""`edgebed workload`: what a scenario asks for, and what of a trace was left out and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebed.commands.console import complain, out, print_rows, say
from edgebed.commands.entry import FAILED
from edgebed.commands.options import JsonOption, QuietOption, ScenarioArgument, SeedOption, print_json

if TYPE_CHECKING:
    from edgebed.runs.demand import Demand


def workload(
    scenario: ScenarioArgument,
    seed: SeedOption = 0,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            dir_okay=False,
            help="File for all requests as CSV, one per line. By default none is written.",
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a scenario's sources read, send and drop for which reason, and what every model is asked."""
    from edgebed.runs.demand import demand_of, write_requests
    from emulation.files import load_scenario

    found, requests = demand_of(load_scenario(scenario), seed)
    if file is not None:
        write_requests(requests, file)
        say(f"wrote {file}")
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    wrong = [a for a in found.sources if not a.adds_up]
    if wrong:
        complain("; ".join(f"{a.source} does not add up: {a.said}" for a in wrong))
        raise typer.Exit(FAILED)


def _print(found: Demand) -> None:
    rows = [
        (
            a.source, a.kind, str(a.read), str(a.emitted), str(sum(a.dropped.values())),
            ", ".join(f"{why} {n}" for why, n in sorted(a.dropped.items()) if n) or "–",
        )
        for a in found.sources
    ]  # fmt: skip
    print_rows(("source", "kind", "read", "sent", "dropped", "for this reason"), rows)
    out.print()
    numbers = [
        (
            m.model, str(m.requests), f"{m.per_s:.3g}",
            _pair(m.prompt_tokens_p50, m.prompt_tokens_p95), _pair(m.output_tokens_p50, m.output_tokens_p95),
        )
        for m in found.models
    ]  # fmt: skip
    print_rows(("model", "requests", "per s", "tokens in p50 / p95", "tokens out p50 / p95"), numbers)
    out.print()
    out.print(f"requests of seed {found.seed}: sha256 {found.digest}", highlight=False, soft_wrap=True)


def _pair(a: float | None, b: float | None) -> str:
    return "–" if a is None or b is None else f"{a:.0f} / {b:.0f}"
