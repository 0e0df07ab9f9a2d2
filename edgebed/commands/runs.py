"""`edgebed runs`: what was run, wherever it lies: listed, found again, compared, exported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from edgebed.commands.command import Command
from edgebed.commands.console import Failed, out, print_rows, say, warn
from edgebed.commands.entry import FAILED
from edgebed.commands.options import (
    LARGEST_SEED,
    BaselineOption,
    JsonOption,
    QuietOption,
    default_folder,
    print_json,
)
from edgebed.places import runs_folder
from emulation.domain.mistakes import ConfigError, did_you_mean

if TYPE_CHECKING:
    from edgebed.report.columns import Columns
    from edgebed.report.model import Comparison
    from edgebed.runs.found import FoundRun, Trouble
    from edgebed.runs.several import Group

app = typer.Typer(help="List, find, compare and export runs, wherever they lie.", no_args_is_help=True)

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Folders to look in, at any depth. By default that of results, `runs`.", file_okay=False
    ),
]
SomeFolders = Annotated[
    list[Path],
    typer.Argument(
        help="Folders of comparisons, of single runs, or folders that hold many of them.",
        exists=True,
        file_okay=False,
    ),
]
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?")
Table = Literal["requests", "decisions", "executors", "events", "summaries", "models", "tenants"]


@app.command("list", cls=Command)
def list_runs(
    folders: FoldersArgument = None, quiet: QuietOption = False, as_json: JsonOption = False
) -> None:
    """List every run, with what became of it."""
    find(folders, quiet=quiet, as_json=as_json)


@app.command(cls=Command)
def find(
    folders: FoldersArgument = None,
    scheme: Annotated[
        list[str] | None,
        typer.Option(
            "--scheme", help="Of this scheme; `*` stands for anything. By default of any; repeatable."
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", help="Of this scenario; `*` stands for anything. By default of any; repeatable."
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed", min=0, max=LARGEST_SEED, help="Made with this seed. By default on any; repeatable."
        ),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help="Whole, cut, running, failed, missing (planned and not run) or damaged. By default any; repeatable.",
        ),
    ] = None,
    world: Annotated[
        Literal["virtual", "live"] | None,
        typer.Option("--world", help="Played in this world. By default in either."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DATE", help="Made on this day or later (2026-01-31, UTC). By default on any."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="Made on this day or earlier. By default on any."),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the runs that answer to everything asked; exit code 1 if there is none."""
    from edgebed.runs.found import Wanted, search
    from edgebed.ui.sources import is_growing

    wanted = Wanted(
        tuple(scenario or ()), tuple(scheme or ()), tuple(seed or ()), _statuses(status or ()), world,
        _date("--since", since), _date("--until", until),
    )  # fmt: skip
    runs, troubles = search(folders or [runs_folder()], wanted, is_growing)
    if as_json:
        print_json(
            {
                "runs": [_plain(run) for run in runs],
                "left_out": [{"folder": str(t.folder), "why": t.why} for t in troubles],
            }
        )
    elif runs:
        _print(runs)
    _tell(troubles)
    if not runs:
        looked = ", ".join(map(str, folders or [runs_folder()]))
        raise Failed(f"no run of that kind in {looked}" if wanted != Wanted() else f"no run in {looked}")


@app.command(cls=Command)
def compare(
    folders: SomeFolders,
    baseline: BaselineOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the tables of runs from several folders, experiment by experiment."""
    groups, troubles = _groups(folders)
    _conclude(troubles, show(groups, baseline, as_json))


@app.command(cls=Command)
def export(
    folders: SomeFolders,
    tables: Annotated[
        str,
        typer.Option(
            "--tables",
            help="Which tables, comma-separated: requests, decisions, executors, events, summaries, models, tenants.",
        ),
    ] = "summaries,models",
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV files; what is written by default.")] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write Parquet (pip install 'edgebed[frames]').")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", file_okay=False, help="Folder for the files. By default a new one, `runs/export-<time>`."
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write tables of all runs in some folders, each with a column that says which experiment and folder it is of."""
    from edgebed.report.columns import csv_of
    from edgebed.report.paper import has_parquet, parquet_of
    from emulation.recording import write_together

    names = _tables(tables)
    if parquet and not has_parquet():
        raise ConfigError("--parquet: pyarrow is not installed; pip install 'edgebed[frames]', or take --csv")
    groups, troubles = _groups(folders)
    found = {group.name: group.comparison() for group in groups}
    where = folder or default_folder("export")
    files = {}
    for name in names:
        columns = _exported(groups, found, name)
        if csv or not parquet:
            files[where / f"{name}.csv"] = csv_of(columns)
        if parquet:
            files[where / f"{name}.parquet"] = parquet_of(columns)
    where.mkdir(parents=True, exist_ok=True)
    write_together(files)
    for path in files:
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)
    _conclude(troubles, found)


def report_several(
    folders: Sequence[Path], baseline: str | None, folder: Path | None, paper: Path | None, as_json: bool
) -> None:
    """The report over several folders: a page over all, and one for each experiment. Leaves with 1 if something could
    not be read or does not hold."""
    if paper is not None:
        raise ConfigError(f"--paper {paper}: is of one comparison; name one folder, or leave it out")
    from edgebed.report.html import render
    from edgebed.report.several import page_names, page_of
    from emulation.recording import write_together

    groups, troubles = _groups(folders)
    found = show(groups, baseline, as_json)
    where = folder or default_folder("report")
    names = page_names(found)
    files = {where / names[title]: render(of).encode() for title, of in found.items()}
    said = [f"{t.folder}: {t.why}" for t in troubles]
    where.mkdir(parents=True, exist_ok=True)
    write_together(files | {where / "report.html": page_of(found, names, said)})
    say(f"report: {where / 'report.html'}")
    _conclude(troubles, found)


def show(groups: Sequence[Group], baseline: str | None, as_json: bool) -> dict[str, Comparison]:
    """Print every experiment, and all of them in one table; returns them by their names."""
    from edgebed.report import comparison_json, print_table
    from edgebed.report.several import overview
    from edgebed.report.text_table import print_text_table

    schemes = {run.header.scheme for group in groups for run in group.runs.values()}
    if baseline is not None and baseline not in schemes:
        raise ConfigError(
            f"--baseline {baseline!r}: was not run in any of them; {did_you_mean(baseline, sorted(schemes))}"
        )
    found = {group.name: group.comparison(baseline) for group in groups}
    if as_json:
        print_json(
            {
                "experiments": {
                    g.name: {**comparison_json(found[g.name]), "folders": [str(f) for f in g.folders]}
                    for g in groups
                }
            }
        )
        return found
    for group in groups:
        out.print(
            f"{group.name} ({', '.join(map(str, group.folders))})",
            style="bold",
            highlight=False,
            soft_wrap=True,
        )
        print_table(found[group.name], out)
        out.print()
    if len(groups) > 1:
        print_text_table(overview(found), out)
    return found


def _groups(folders: Sequence[Path]) -> tuple[list[Group], list[Trouble]]:
    """What can be compared; what cannot be read is told. Raises `ConfigError` if nothing can."""
    from edgebed.runs.several import groups_of

    say(f"reading the records in {', '.join(map(str, folders))} ...")
    groups, troubles = groups_of(folders)
    if not groups:
        raise ConfigError("; ".join(f"{t.folder}: {t.why}" for t in troubles[:3]))
    _tell(troubles)
    return groups, troubles


def _exported(groups: Sequence[Group], found: Mapping[str, Comparison], name: str) -> Columns:
    from edgebed.report.columns import TABLES
    from edgebed.report.several import joined

    parts = []
    for group in groups:
        columns = TABLES[name](found[group.name])
        length = len(next(iter(columns.values()), []))
        where = " ".join(map(str, group.folders))
        parts.append({"experiment": [group.name] * length, "folders": [where] * length, **columns})
    return joined(parts)


def _tables(text: str) -> list[str]:
    known = list(get_args(Table))
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise ConfigError(f"--tables {name!r}: {did_you_mean(name, known)}")
    if not names:
        raise ConfigError(f"--tables {text!r}: names no table; for example summaries,models")
    return names


def _statuses(names: Sequence[str]) -> tuple[str, ...]:
    from edgebed.runs.found import Status

    for name in names:
        if name not in get_args(Status):
            raise ConfigError(f"--status {name!r}: {did_you_mean(name, list(get_args(Status)))}")
    return tuple(names)


def _date(option: str, text: str | None) -> str | None:
    from datetime import datetime

    if text is None:
        return None
    try:
        datetime.fromisoformat(text)
        known = _DAY.fullmatch(text)
    except ValueError:
        known = None
    if known is None:
        raise ConfigError(f"{option} {text!r}: is no date; give one as 2026-01-31, or 2026-01-31T18:30 (UTC)")
    return text


def _print(runs: Sequence[FoundRun]) -> None:
    columns = ["made (UTC)", "scenario", "scheme", "seed", "world", "status", "folder"]
    rows = [
        [r.date[:16].replace("T", " "), r.scenario, r.scheme, str(r.seed), r.world, r.status, str(r.folder)]
        for r in runs
    ]
    if any(r.why for r in runs):
        columns.append("remark")
        rows = [[*row, r.why.removeprefix(f"{r.folder}/")] for row, r in zip(rows, runs, strict=True)]
    print_rows(columns, rows)


def _plain(run: FoundRun) -> dict[str, object]:
    return {
        "folder": str(run.folder), "comparison": str(run.root), "scenario": run.scenario, "scheme": run.scheme,
        "seed": run.seed, "world": run.world, "status": run.status, "date": run.date, "why": run.why,
    }  # fmt: skip


def _tell(troubles: Sequence[Trouble]) -> None:
    for trouble in troubles:
        warn(f"{trouble.folder}: left out: {trouble.why}")


def _conclude(troubles: Sequence[Trouble], found: Mapping[str, Comparison]) -> None:
    """Leave with 1 if a folder that was asked for could not be taken, or a check of an experiment does not hold."""
    unsound = [name for name, comparison in found.items() if not comparison.sound]
    for name in unsound:
        warn(f"{name}: a run is missing, was cut or failed, or a check does not hold; its report says which")
    if troubles or unsound:
        raise typer.Exit(FAILED)
