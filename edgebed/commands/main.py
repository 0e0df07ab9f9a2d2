"""The command `edgebed`: what a user can do. Thin: each command says what it takes and calls what does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.calibrate import app as calibrate_app
from edgebed.commands.check import check as check_laws
from edgebed.commands.cluster import app as cluster_app
from edgebed.commands.command import Command
from edgebed.commands.concluding import conclude_and_show
from edgebed.commands.console import out, print_rows, say, warn
from edgebed.commands.entry import run
from edgebed.commands.load import load
from edgebed.commands.matrix import matrix
from edgebed.commands.metrics import app as metrics_app
from edgebed.commands.models import app as models_app
from edgebed.commands.new import new
from edgebed.commands.options import (
    AddressOption,
    AgentsModeOption,
    ApproveOption,
    BackendOption,
    BaselineOption,
    GatewaysOption,
    HostOption,
    JsonOption,
    LifecycleOption,
    OutOption,
    PaperOption,
    QuietOption,
    RayletsOption,
    ReasonerOption,
    ResumeOption,
    ScenarioArgument,
    SchemeOption,
    SeedOption,
    SpeedupOption,
    UiOption,
    UiPortOption,
    UnprotectedOption,
    WorkersOption,
    adjusted,
    default_folder,
    names_of,
    print_json,
    seeds_of,
)
from edgebed.commands.profile import profile, profiles
from edgebed.commands.recover import recover
from edgebed.commands.reproduce import app as reproduce_app
from edgebed.commands.runs import app as runs_app
from edgebed.commands.schema import schema
from edgebed.commands.standing import down, up
from edgebed.commands.steer import approve as approve_proposal
from edgebed.commands.steer import events, inject, proposals, rate, reject, switch, undo
from edgebed.commands.train import app as train_app
from edgebed.commands.ui import ui
from edgebed.commands.workload import workload
from emulation.domain.mistakes import ConfigError

RUNS = "Compare"
LIVE = "A live testbed that stays"
RECORDS = "From records"
PAPERS = "The papers' experiments"
MODELS = "Real models and their profiles"
LISTS = "What there is"
OWN = "Controllers of your own"

app = typer.Typer(
    help="Compare controllers for generative inference at the edge: in virtual time, or live on Ray under real "
    "HTTP load.",
    epilog="A first run, seconds long: `edgebed compare demo`. Results go to `runs/` here (EDGEBED_RUNS), what "
    "outlives a command to `~/.edgebed` (EDGEBED_HOME).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: what a user can cause is one message and an exit code, never a traceback."""
    sys.exit(run(app))


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from emulation.compiled import said

        out.print(f"edgebed {version('edgebed')}, {said()}", highlight=False, soft_wrap=True)
        raise typer.Exit


@app.callback()
def edgebed(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    """Takes what stands before the command."""


@app.command(cls=Command, rich_help_panel=RUNS)
def simulate(
    scenario: ScenarioArgument,
    scheme: SchemeOption = "sect",
    seed: SeedOption = 0,
    reasoner: ReasonerOption = None,
    agents_mode: AgentsModeOption = None,
    folder: OutOption = None,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one scheme on one seed in virtual time, and report it."""
    compare(
        scenario, schemes=scheme, seeds=str(seed), reasoner=reasoner, agents_mode=agents_mode, folder=folder,
        resume=resume, as_json=as_json,
    )  # fmt: skip


@app.command(cls=Command, rich_help_panel=RUNS)
def compare(
    scenario: ScenarioArgument,
    schemes: Annotated[
        str,
        typer.Option(
            "--schemes",
            help="The schemes to compare, comma-separated, in the order of the tables; `edgebed schemes` lists "
            "them, and your own are named package.module:NAME.",
        ),
    ] = "AL,MA,sect",
    seeds: Annotated[
        str,
        typer.Option(
            "--seeds",
            help="One run per scheme and seed: `0,1,2` or `0-11`. With the same seed all schemes get the same "
            "requests.",
        ),
    ] = "0",
    live: Annotated[
        bool, typer.Option("--live", help="Run on Ray under real HTTP load, in the place of virtual time.")
    ] = False,
    check_parity: Annotated[
        bool,
        typer.Option(
            "--check-parity", help="Check afterwards that virtual time gives the same latencies; with --live."
        ),
    ] = False,
    speedup: SpeedupOption = None,
    lifecycle: LifecycleOption = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="Port of the gateway; 0 takes any free one; with --live."
        ),
    ] = 0,
    gateways: GatewaysOption = None,
    raylets: RayletsOption = False,
    address: AddressOption = None,
    unprotected: UnprotectedOption = False,
    backend: BackendOption = "emulated",
    reasoner: ReasonerOption = None,
    agents_mode: AgentsModeOption = None,
    approve: ApproveOption = False,
    folder: OutOption = None,
    resume: ResumeOption = False,
    workers: WorkersOption = None,
    baseline: BaselineOption = None,
    show: UiOption = False,
    ui_port: UiPortOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare schemes on the same requests and events, in virtual time or live."""
    from edgebed.runs.asked import Asked, carry_out
    from edgebed.runs.layout import Layout
    from emulation.files import load_scenario

    loaded = adjusted(load_scenario(scenario), speedup, lifecycle, gateways)
    layout = Layout(folder or default_folder(loaded.name))
    asked = Asked(
        scenario=loaded, schemes=names_of(schemes), seeds=seeds_of(seeds), layout=layout, reasoner=reasoner,
        agents_mode=agents_mode, approve=approve, baseline=baseline, resume=resume, workers=workers, quiet=as_json,
        live=live, host=host, port=port, speedup=speedup, backend=backend, address=address, raylets=raylets,
        unprotected=unprotected, check_parity=check_parity, ui_port=ui_port if show else None,
    )  # fmt: skip
    outcome = carry_out(asked)
    conclude_and_show(layout, as_json, outcome)


@app.command(cls=Command, rich_help_panel=RUNS)
def demo(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the gateway; 0 takes any free one.")
    ] = 0,
    backend: BackendOption = "emulated",
    folder: OutOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare three schemes live on this machine, with a slowdown and a node that leaves: four minutes."""
    emulated = backend == "emulated"  # only of emulated models the virtual world knows the service times
    compare(
        "demo", live=True, check_parity=emulated, port=port, backend=backend, folder=folder, as_json=as_json
    )


app.command(cls=Command, rich_help_panel=RUNS)(matrix)

for command in (up, load, rate, inject, undo, switch, events, proposals, reject, down):
    app.command(cls=Command, rich_help_panel=LIVE)(command)
app.command("approve", cls=Command, rich_help_panel=LIVE)(approve_proposal)


@app.command(cls=Command, rich_help_panel=RECORDS)
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="A folder that compare, simulate, demo or up wrote; or several, or one that holds several, each "
            "experiment with tables of its own.",
            exists=True,
            file_okay=False,
        ),
    ],
    baseline: BaselineOption = None,
    paper: PaperOption = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            file_okay=False,
            help="Folder for the report over several folders. By default a new one, `runs/report-<time>`.",
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the report of recorded runs again, and print its table; with --paper also what a paper takes in."""
    from edgebed.commands.runs import report_several
    from edgebed.runs.found import roots_below
    from edgebed.runs.layout import layout_of

    layout = layout_of(folders[0])
    if len(folders) > 1 or not layout.is_comparison and next(roots_below(folders[0]), None) is not None:
        report_several(folders, baseline, folder, paper, as_json)
        return
    if folder is not None:
        raise ConfigError(
            f"--out {folder}: the report of one comparison lies in its own folder; leave it out"
        )
    layout.scenario()  # a folder that is none of ours is said before anything else
    say(f"reading the records in {folders[0]} ...")
    conclude_and_show(layout, as_json, baseline=baseline, paper=paper)


app.command(cls=Command, rich_help_panel=RECORDS)(recover)
app.command(cls=Command, rich_help_panel=RECORDS)(ui)


@app.command(cls=Command, rich_help_panel=RECORDS)
def replay(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder of one recorded run, `<out>/<scheme>/seed-<n>`.", exists=True, file_okay=False
        ),
    ],
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay a run's arrivals and decisions in virtual time; exit code 1 if a mean latency differs by over 2%."""
    from edgebed.report.export import parity_json
    from edgebed.runs.folder_runs import one_run
    from edgebed.runs.parity import replay_rows

    original, scenario = one_run(folder)
    say(f"replaying {folder} in virtual time ...")
    rows = replay_rows(original, scenario)
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


@app.command(cls=Command, rich_help_panel=LISTS)
def schemes(as_json: JsonOption = False) -> None:
    """List the schemes that can be compared: every system of both papers, ours, and those of installed packages."""
    from edgebed.wiring.parts import found_schemes

    found, troubles = found_schemes()
    for trouble in troubles:
        warn(trouble)
    rows = [
        {
            "name": s.label(), "scheme": s.name, "paper": s.paper, "router": s.router, "perf": s.perf,
            "scheduler": s.scheduler, "deployer": s.deployer, "planner": s.planner, "reasoner": s.reasoner,
            "summary": s.summary,
        }
        for s in found
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    parts = ("paper", "router", "scheduler", "deployer", "planner")
    shown = [[str(row[n] or "–") for n in ("name", *parts, "summary")] for row in rows]
    print_rows(("scheme", *parts, "what it does"), shown)


@app.command(cls=Command, rich_help_panel=LISTS)
def scenarios(as_json: JsonOption = False) -> None:
    """List the packaged scenarios: a testbed, its requests, and what goes wrong."""
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


app.command(cls=Command, rich_help_panel=OWN)(new)
app.command("check", cls=Command, rich_help_panel=OWN)(check_laws)
app.add_typer(runs_app, name="runs", rich_help_panel=RECORDS)
app.add_typer(cluster_app, name="cluster", rich_help_panel=LIVE)
app.add_typer(metrics_app, name="metrics", rich_help_panel=LIVE)
app.add_typer(reproduce_app, name="reproduce", rich_help_panel=PAPERS)
app.add_typer(calibrate_app, name="calibrate", rich_help_panel=MODELS)
app.add_typer(models_app, name="models", rich_help_panel=MODELS)
app.add_typer(train_app, name="train", rich_help_panel=MODELS)
app.command("profile", cls=Command, rich_help_panel=MODELS)(profile)
app.command(cls=Command, rich_help_panel=LISTS)(profiles)
app.command(cls=Command, rich_help_panel=LISTS)(schema)
app.command(cls=Command, rich_help_panel=LISTS)(workload)


if __name__ == "__main__":
    main()
