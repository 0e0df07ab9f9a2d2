"""Runs anywhere on disk: which folders hold some, and what each of them is by its first and its last line alone.

A folder that is damaged, or that is somebody else's, is a line that says so; it keeps nobody from seeing the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from edgebed.runs.layout import SCENARIO_FILE, Layout, layout_of, seed_of
from edgebed.runs.manifest import MANIFEST_FILE, Manifest, RunNote, read_manifest, read_note
from emulation.domain.mistakes import ConfigError
from emulation.domain.records import RunFooter, RunHeader
from emulation.jsonl import RecordError
from emulation.recording import RECORD_FILE, SEGMENTS, decode

Status = Literal["whole", "cut", "running", "failed", "missing", "damaged"]
LONGEST_LINE = 1 << 24
"""Bytes of a header or a footer, at most."""
_TAIL = 1 << 16


@dataclass(frozen=True, slots=True)
class FoundRun:
    """One run, or the place of one that was planned."""

    folder: Path
    root: Path
    """The comparison it is of."""
    scenario: str
    scheme: str
    seed: int
    world: str
    status: Status
    date: str
    """When it was made, ISO 8601 in UTC: by its note, else by its file; empty where nothing says so."""
    why: str = ""
    """Of one that failed, was cut or is damaged."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A folder that cannot be listed."""

    folder: Path
    why: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs somebody looks for; what is empty or None asks for nothing. Names may have `*` and `?` in them."""

    scenarios: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    statuses: tuple[str, ...] = ()
    world: str | None = None
    since: str | None = None
    """ISO 8601: a day, or a time in UTC."""
    until: str | None = None
    """The same; a day counts to its end."""

    def takes(self, run: FoundRun) -> bool:
        """Whether it is one of them."""
        named = ((self.scenarios, run.scenario), (self.schemes, run.scheme))
        if not all(not patterns or any(fnmatchcase(name, p) for p in patterns) for patterns, name in named):
            return False
        if (self.seeds and run.seed not in self.seeds) or (self.world and run.world != self.world):
            return False
        if self.statuses and run.status not in self.statuses:
            return False
        early = self.since is not None and run.date[: len(self.since)] < self.since
        late = self.until is not None and run.date[: len(self.until)] > self.until
        return not (early or late)


def roots_below(folder: Path) -> Iterator[Path | Trouble]:
    """The comparisons in a folder, at any depth, or the one that the folder of a run, or of a scheme's runs, is of; in
    order of their names.

    Links are not followed, and folders whose name begins with a dot are left alone.
    """
    above = layout_of(folder).root
    if above != folder and any(f == folder or f.parent == folder for f in Layout(above).records()):
        yield above
        return
    troubles: list[Trouble] = []
    noted = lambda error: troubles.append(Trouble(Path(error.filename), error.strerror or "cannot be read"))  # noqa: E731
    for at, folders, files in os.walk(folder, onerror=noted):
        yield from troubles
        troubles.clear()
        root = Path(at)
        if MANIFEST_FILE in files or (SCENARIO_FILE in files and Layout(root).records()):
            folders.clear()
            yield root
            continue
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != SEGMENTS)
    yield from troubles


def found_in(root: Path, is_growing: Callable[[Path], bool]) -> Iterator[FoundRun | Trouble]:
    """Every run of a comparison: planned ones in their order, then what lies beside them.

    `is_growing`: whether somebody writes the record of a folder now.
    """
    layout = Layout(root)
    try:
        manifest = read_manifest(root)
        name = _name(layout, manifest)
    except (ConfigError, OSError) as error:
        yield Trouble(root, str(error).removeprefix(f"{root}: "))
        return
    planned = {layout.run_folder(*pair): pair for pair in manifest.pairs()} if manifest is not None else {}
    for folder in dict.fromkeys((*planned, *layout.records())):
        pair = planned.get(folder, (folder.parent.name, seed_of(folder) or 0))
        try:
            yield _run(folder, root, name, pair, manifest, is_growing)
        except OSError as error:
            yield Trouble(folder, error.strerror or str(error))


def run_folders(layout: Layout) -> list[Path]:
    """Folders of the runs there is a record of, in the order of the comparison; of names where nothing says one."""
    folders = layout.records()
    try:
        manifest = read_manifest(layout.root)
    except ConfigError:  # being written, or of another version
        manifest = None
    if manifest is not None:
        planned = [layout.run_folder(*pair) for pair in manifest.pairs()]
        folders.sort(key=lambda f: planned.index(f) if f in planned else len(planned))
    return folders


def search(
    folders: Iterable[Path], wanted: Wanted, is_growing: Callable[[Path], bool]
) -> tuple[list[FoundRun], list[Trouble]]:
    """The runs that somebody looks for in some folders, and what could not be looked into. Raises `ConfigError` for a
    folder that is not there."""
    runs: dict[Path, FoundRun] = {}
    troubles: dict[Path, Trouble] = {}
    for folder in folders:
        for root in roots_below(folder):
            inside = [root] if isinstance(root, Trouble) else found_in(root, is_growing)
            for one in inside:
                if isinstance(one, Trouble):
                    troubles[one.folder] = one
                elif wanted.takes(one) and _asked_for(folder, one):
                    runs[one.folder] = one
    return list(runs.values()), list(troubles.values())


def _asked_for(folder: Path, run: FoundRun) -> bool:
    """Whether the folder of a run was named itself, or one above it."""
    return folder == run.folder or folder in run.folder.parents or run.root == folder


def _name(layout: Layout, manifest: Manifest | None) -> str:
    if manifest is not None:
        return str(manifest.experiment.get("name", layout.root.name))
    return layout.scenario().name


def _run(
    folder: Path, root: Path, scenario: str, pair: tuple[str, int], manifest: Manifest | None,
    is_growing: Callable[[Path], bool],
) -> FoundRun:  # fmt: skip
    world = manifest.world if manifest is not None else "virtual"
    try:
        note = read_note(folder)
    except ConfigError as error:
        return FoundRun(folder, root, scenario, *pair, world, "damaged", _date(folder, None), str(error))
    date = _date(folder, note)
    if note is not None and note.failed is not None:
        return FoundRun(folder, root, scenario, *pair, world, "failed", date, note.failed)
    record = folder / RECORD_FILE
    if not record.exists():
        return FoundRun(folder, root, scenario, *pair, world, "missing", date)
    try:
        header, footer = ends_of(record)
    except RecordError as error:
        return FoundRun(folder, root, scenario, *pair, world, "damaged", date, str(error))
    status: Status = "whole" if footer is not None and not footer.interrupted else "cut"
    if status == "cut" and is_growing(folder):
        status = "running"
    astray = f"{header.scheme} seed {header.seed} lies here" if (header.scheme, header.seed) != pair else ""
    cut_by = (note.cut or "") if note is not None and status == "cut" else ""
    return FoundRun(
        folder,
        root,
        header.scenario,
        header.scheme,
        header.seed,
        header.world,
        "damaged" if astray else status,
        date,
        astray or cut_by,
    )


def ends_of(record: Path) -> tuple[RunHeader, RunFooter | None]:
    """Header and footer of a record; None where it was not closed. Raises `OSError`, or `RecordError` with the file."""
    with record.open("rb") as file:
        header = _decoded(record, 1, file.readline(LONGEST_LINE))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        last = file.read().rstrip(b"\n").rsplit(b"\n", 1)[-1]
    if not isinstance(header, RunHeader):
        raise RecordError(f"{record}: line 1: is no header; not a record of a run")
    if not last.endswith(b'"kind":"footer"}'):
        return header, None
    footer = _decoded(record, 0, last)
    return header, footer if isinstance(footer, RunFooter) else None


def _decoded(record: Path, line: int, text: bytes) -> object:
    try:
        return decode(text)
    except RecordError as error:
        raise type(error)(f"{record}: {f'line {line}' if line else 'last line'}: {error}") from None


def _date(folder: Path, note: RunNote | None) -> str:
    if note is not None:
        return note.origin.date
    try:
        written_s = (folder / RECORD_FILE).stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(written_s, UTC).isoformat(timespec="seconds")
