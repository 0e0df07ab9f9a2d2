"""The end of every command that has runs to show: table, files, and an exit code that says whether all is well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgebed.commands.console import complain, out, say, warn
from edgebed.commands.entry import FAILED, INTERRUPTED, WRONG
from edgebed.commands.options import print_json
from emulation.domain.mistakes import ConfigError

if TYPE_CHECKING:
    from edgebed.report import Comparison
    from edgebed.runs.comparison import Outcome
    from edgebed.runs.layout import Layout


def conclude_and_show(
    layout: Layout,
    as_json: bool,
    outcome: Outcome | None = None,
    baseline: str | None = None,
    paper: Path | None = None,
) -> None:
    """Print what the folder holds, and write report and CSV. `outcome`: of the runs this command made, if any;
    `paper`: folder for the files of a paper.

    Leaves with 130 after an interrupt, with 2 where a reasoner will never answer again, and with 1 if anything else
    failed, was cut, does not hold or was not written. Raises `ConfigError` if the folder holds no run at all.
    """
    from edgebed.runs.comparison import conclude, nothing_whole

    interrupted = outcome is not None and outcome.interrupted
    refused = outcome is not None and bool(outcome.refused)
    comparison = conclude(layout, outcome, baseline)
    if comparison is None:
        if outcome is None:
            raise ConfigError(nothing_whole(layout))
        complain(nothing_whole(layout, outcome.failed))
        raise typer.Exit(INTERRUPTED if interrupted else WRONG if refused else FAILED)
    _print(comparison, layout, as_json)
    written = _written(comparison, layout) and (paper is None or _paper_written(comparison, paper))
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if refused:
        raise typer.Exit(WRONG)
    if not comparison.sound or not written or (outcome is not None and outcome.broken):
        raise typer.Exit(FAILED)


def _print(comparison: Comparison, layout: Layout, as_json: bool) -> None:
    from edgebed.report import comparison_json, print_table

    if as_json:
        print_json({**comparison_json(comparison), "report": str(layout.report), "folder": str(layout.root)})
    else:
        print_table(comparison, out)


def _written(comparison: Comparison, layout: Layout) -> bool:
    """Whether report and CSV were written; if not, why is said."""
    from edgebed.runs.comparison import write_files

    try:
        write_files(comparison, layout)
    except OSError as error:
        complain(f"{error.filename}: not written: {error.strerror}")
        return False
    say(f"report: {layout.report}")
    return True


def _paper_written(comparison: Comparison, folder: Path) -> bool:
    """Whether the files of a paper were written; if not, why is said."""
    from edgebed.report.paper import has_parquet, write_paper

    try:
        counts = write_paper(comparison, folder)
    except OSError as error:
        complain(f"{error.filename}: not written: {error.strerror}")
        return False
    say(f"paper: {folder} ({', '.join(f'{count} {ending}' for ending, count in counts.items())})")
    if not has_parquet():
        warn("no Parquet was written, only CSV: pip install 'edgebed[frames]' brings what writes it")
    return True
