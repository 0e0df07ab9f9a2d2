"""The command `edgebed`: what a user can do. Thin: each command says what it takes and calls what does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.agents.llm import ReasonerError
from edgebed.commands.calibrate import app as calibrate_app
from edgebed.commands.concluding import conclude_and_show
from edgebed.commands.console import print_rows, say
from edgebed.commands.models import app as models_app
from edgebed.commands.options import (
    AddressOption,
    BackendOption,
    BaselineOption,
    JsonOption,
    OutOption,
    RayletsOption,
    ReasonerOption,
    ResumeOption,
    ScenarioArgument,
    SeedOption,
    adjusted,
    default_folder,
    names_of,
    print_json,
    seeds_of,
)
from edgebed.commands.profile import profile, profiles
from edgebed.commands.reproduce import app as reproduce_app
from edgebed.commands.standing import down, inject, load, up
from edgebed.runs.failure import WorkError
from emulation.files import ConfigError
from emulation.jsonl import RecordError
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


def main() -> None:
    """Entry point: wrong input is one message and exit code 2, never a traceback."""
    try:
        app()
    except (ConfigError, RecordError, TraceError, ReasonerError) as error:
        say(f"[red]error:[/red] {_escaped(str(error))}")
        sys.exit(2)
    except WorkError as error:
        say(f"[red]error:[/red] {_escaped(str(error))}")
        sys.exit(1)
    except OSError as error:
        if error.strerror is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        say(f"[red]error:[/red] {_escaped(f'{where}{error.strerror}')}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)


@app.command()
def schemes(as_json: JsonOption = False) -> None:
    """List the schemes: every system of both papers, and ours."""
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
        print_json(rows)
        return
    parts = ("paper", "router", "scheduler", "deployer", "planner")
    shown = [[str(row[n] or "–") for n in ("name", *parts, "summary")] for row in rows]
    print_rows(("scheme", *parts, "what it does"), shown)


@app.command()
def scenarios(as_json: JsonOption = False) -> None:
    """List the packaged scenarios."""
    from emulation.files import list_scenarios, load_scenario

    found = [load_scenario(name) for name in list_scenarios()]
    if as_json:
        print_json([{"name": s.name, "testbed": s.testbed.name, "note": s.note.strip()} for s in found])
        return
    columns = ("scenario", "testbed", "nodes", "slots", "events", "what it is")
    sizes = [(str(len(s.testbed.nodes)), str(s.slots), str(len(s.events))) for s in found]
    print_rows(
        columns, [(s.name, s.testbed.name, *n, s.note.strip()) for s, n in zip(found, sizes, strict=True)]
    )


@app.command()
def simulate(
    scenario: ScenarioArgument,
    scheme: Annotated[str, typer.Option("--scheme", help="See `edgebed schemes`.")] = "sect",
    seed: SeedOption = 0,
    reasoner: ReasonerOption = None,
    folder: OutOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one scheme on one seed in virtual time."""
    compare(
        scenario,
        schemes=scheme,
        seeds=str(seed),
        reasoner=reasoner,
        folder=folder,
        resume=resume,
        as_json=as_json,
    )


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
    resume: ResumeOption = False,
    baseline: BaselineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare schemes on the same requests and events, in virtual time or live."""
    from edgebed.runs.comparison import check, compare_virtual
    from edgebed.runs.layout import Layout
    from edgebed.wiring.reasoners import with_reasoner
    from emulation.files import load_scenario

    loaded = with_reasoner(adjusted(load_scenario(scenario), speedup, lifecycle), reasoner)
    names, numbers = names_of(schemes), seeds_of(seeds)
    check(loaded, names, live)
    if check_parity and not live:
        raise ConfigError("--check-parity compares a live run with virtual time; add --live")
    layout = Layout(folder or default_folder(loaded.name))
    if live:
        from edgebed.models.tiny import with_backend
        from edgebed.runs.live import as_live, compare_live

        loaded, backend = with_backend(loaded, backend, speedup)
        loaded = as_live(loaded, backend)
        outcome = compare_live(
            loaded,
            names,
            numbers,
            layout,
            port,
            check_parity,
            as_json,
            backend,
            address,
            raylets,
            baseline,
            resume,
        )
    else:
        outcome = compare_virtual(loaded, names, numbers, layout, as_json, baseline, resume)
    conclude_and_show(layout, as_json, outcome)


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


for command in (up, down, load, inject):
    app.command()(command)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A folder that compare, simulate or demo wrote.")],
    baseline: BaselineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of recorded runs again, and print its table."""
    from edgebed.runs.layout import layout_of

    conclude_and_show(layout_of(folder), as_json, baseline=baseline)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="The folder of one recorded run, live or virtual.")],
    as_json: JsonOption = False,
) -> None:
    """Replay a run's own arrivals and decisions in virtual time, and compare the per-type means."""
    from edgebed.report.export import parity_json
    from edgebed.runs.kept import one_run
    from edgebed.runs.parity import replay_rows

    rows = replay_rows(*one_run(folder))
    if as_json:
        print_json({"replay": [parity_json(row) for row in rows], "ok": all(row.ok for row in rows)})
    else:
        shown = []
        for row in rows:
            again = "–" if row.virtual_mean_s is None else f"{row.virtual_mean_s:.2f} s"
            apart = "–" if row.relative_difference is None else f"{100 * row.relative_difference:+.2f}%"
            recorded = "–" if row.live_mean_s is None else f"{row.live_mean_s:.2f} s"
            shown.append((row.model, recorded, again, apart, "yes" if row.ok else "no"))
        print_rows(("model", "recorded mean", "replayed mean", "difference", "within 2%"), shown)
    if not all(row.ok for row in rows):
        raise typer.Exit(1)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
