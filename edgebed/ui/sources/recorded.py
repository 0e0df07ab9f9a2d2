"""Opens runs that were recorded: one folder, or all of a comparison."""

from __future__ import annotations

from pathlib import Path

from edgebed.runs.layout import layout_of, seed_of
from edgebed.ui.sources.files import OpenFile, begin_s, client_logs
from edgebed.ui.sources.first_token import FirstTokens
from edgebed.ui.sources.intake import Intake
from edgebed.ui.sources.source import RecordedRun
from edgebed.ui.views import Source
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import RECORD_FILE

PIECE = 1 << 24
"""Bytes read at once."""


def open_run(folder: Path, scenario: Scenario | None = None) -> Source:
    """The run of a folder, of either world, whether it was closed or cut.

    `scenario`: what it is of, where that was read already. Raises `ConfigError` if the folder holds no record, or
    nothing says of which testbed it is.
    """
    if scenario is None:
        scenario = layout_of(folder).scenario()
    file = folder / RECORD_FILE
    intake, first_tokens = Intake(scenario.testbed), FirstTokens()
    try:
        record, at = OpenFile(file), 0
        intake.begin(record)
        while piece := record.read(at, PIECE):
            intake.feed(piece)
            at += len(piece)
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror}; give the folder of a run, with its {RECORD_FILE}"
        ) from error
    intake.end()
    for log in client_logs(folder):
        first_tokens.feed(log.name, log.read_bytes())
    return RecordedRun(
        scenario, folder.parent.name, seed_of(folder) or 0, intake.tables, first_tokens, begin_s(folder)
    )


def open_runs(root: Path) -> list[Source]:
    """Every run that a comparison's folder holds a record of, in the order of its names.

    Raises `ConfigError` if it holds none.
    """
    layout = layout_of(root)
    folders = layout.records()
    if not folders:
        raise ConfigError(f"{root}: holds no record of a run; give a folder that `edgebed compare` wrote")
    scenario = layout.scenario()
    return [open_run(folder, scenario) for folder in folders]
