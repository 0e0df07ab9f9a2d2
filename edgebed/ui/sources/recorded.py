"""Opens runs: one folder, or all of a comparison, and follows them where they go on."""

from __future__ import annotations

from pathlib import Path

from edgebed.runs.layout import layout_of
from edgebed.ui.sources.files import is_fresh, is_held
from edgebed.ui.sources.followed import FollowedRun
from edgebed.ui.views import Source
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import RECORD_FILE


def open_run(folder: Path, scenario: Scenario | None = None, url: str | None = None) -> Source:
    """The run of a folder, of either world: closed, cut, or still growing; it is followed from now on.

    `scenario`: what it is of, where that was read already. `url`: of the gateways that serve it, if it grows. Raises
    `ConfigError` if the folder holds no record, or nothing says of which testbed it is.
    """
    if scenario is None:
        scenario = layout_of(folder).scenario()
    file = folder / RECORD_FILE
    try:
        with file.open("rb"):
            pass
        run = FollowedRun(folder, scenario, url)
        run.read_all()
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror}; give the folder of a run, with its {RECORD_FILE}"
        ) from error
    return run


def open_runs(root: Path, url: str | None = None) -> list[Source]:
    """Every run that a comparison's folder holds a record of, in the order of its names.

    Raises `ConfigError` if it holds none.
    """
    layout = layout_of(root)
    folders = layout.records()
    if not folders:
        raise ConfigError(f"{root}: holds no record of a run; give a folder that `edgebed compare` wrote")
    scenario = layout.scenario()
    return [open_run(folder, scenario, url) for folder in folders]


def is_growing(folder: Path) -> bool:
    """Whether a run's record is being written now, by its files alone. Cheap."""
    return is_held(folder) or (is_fresh(folder) and not _is_closed(folder / RECORD_FILE))


def _is_closed(record: Path) -> bool:
    """Whether the last line of a record is its footer."""
    try:
        with record.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64))
            return file.read().rstrip(b"\n").endswith(b'"kind":"footer"}')
    except OSError:
        return False
