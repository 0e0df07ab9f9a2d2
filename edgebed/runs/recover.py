"""Closes the record of a run that was cut: what was acknowledged is kept, in canonical order, with a footer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edgebed.runs.client_log import CLIENT_LOG, join_client_log
from edgebed.runs.failure import said_of
from emulation.domain.mistakes import ConfigError
from emulation.domain.records import Record, RequestRecord, RunFooter, RunHeader
from emulation.domain.request import Request
from emulation.jsonl import RecordError
from emulation.record_lines import request_record
from emulation.recording import RECORD_FILE, SIDE_FILE, rows_of, take_the_places, write_records
from emulation.rewriting import lines_of
from serve_apps.records import open_run
from serve_apps.records.rows import request_of
from serve_apps.records.segments import BEGIN, finish, is_endless, last_states, move_out, segment_folder
from serve_apps.records.store import JOURNAL_FILE, OPEN_FOLDER, Sizes, journal_of, locked, sizes_of
from serve_apps.testbed.guardian import left_by_the_dead, save
from serve_apps.testbed.processes import end_marked

Row = tuple[Record, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one run's folder."""

    folder: Path
    how: Literal["whole", "closed", "failed"]
    """whole: there was nothing to do."""
    why: str = ""
    """It failed."""
    requests: int = 0
    unfinished: int = 0
    """Of these: in the system when the run was cut."""


def recover(folder: Path) -> list[Recovered]:
    """Close every run below a folder, or of this folder, that is not closed; again, and nothing is done.

    What gateways on this machine had answered for an owner that was killed is entered first, be its guardian at work
    or killed too. Raises `ConfigError` if there is none. One that fails stops no other: no record in it, no room, or
    its recorder still runs; its record is then as it was.
    """
    runs = {file.parent for file in folder.rglob(RECORD_FILE)}
    runs |= {
        file.parent.parent for file in folder.rglob(f"{OPEN_FOLDER}/{JOURNAL_FILE}")
    }  # its record was moved out
    if not runs:
        raise ConfigError(f"{folder}: holds no record; give a run's folder, or one that holds some")
    unsaved = _save_what_gateways_left()
    return [_recover(run, unsaved.get(run.resolve())) for run in sorted(runs)]


def _save_what_gateways_left() -> dict[Path, Path]:
    """Runs whose gateways had answered what cannot be entered, each with the note that says where it lies."""
    unsaved = {}
    for owner, note in left_by_the_dead():
        end_marked(owner.name)
        if not save(note) and (found := open_run.find(Path(note.read_text()) / open_run.POINTER)) is not None:
            unsaved[found.folder.resolve()] = note
    return unsaved


def _recover(folder: Path, unsaved: Path | None = None) -> Recovered:
    if unsaved is not None:
        why = f"what its gateways had answered cannot be entered; make room, or remove {unsaved} to do without it"
        return Recovered(folder, "failed", why)
    try:
        if not (folder / OPEN_FOLDER).exists():
            return _without_journal(folder)
        with locked(folder):
            take_the_places(folder)
            journal, _ = journal_of(folder)
            if journal and "turned_s" in journal[-1]:
                return _close_in_the_next(folder, journal)
            if journal:
                _cut_to(folder, sizes_of(folder, journal))
            return _close(folder, rows_of(folder), _open_requests(journal))
    except BlockingIOError:
        return Recovered(folder, "failed", "it is being recorded; end it first")
    except (RecordError, OSError) as error:
        return Recovered(folder, "failed", said_of(error) if isinstance(error, OSError) else str(error))


def _without_journal(folder: Path) -> Recovered:
    """Of virtual time, or closed by its recorder."""
    rows = rows_of(folder)
    closed = any(isinstance(record, RunFooter) for record, _ in rows)
    if closed and not is_endless(folder):
        return Recovered(folder, "whole")
    return _close(folder, rows, [])


def _close_in_the_next(folder: Path, journal: list[dict[str, Any]]) -> Recovered:
    """Close a run that was cut when a segment was over and the next one had not begun: that one has who was in the
    system then. Done again, it comes to the same."""
    number, begin_s = journal[-1]["segment"], journal[-1]["turned_s"]
    over = segment_folder(folder, number)
    if not (over / RECORD_FILE).exists():
        _cut_to(folder, sizes_of(folder, journal))
    states = last_states(over, folder)
    move_out(folder, number)
    header = next((line.record for line in lines_of(over)), None)
    if is_endless(over):
        finish(over)
    rows: list[Row] = [] if header is None else [(header, {"segment": number + 1, BEGIN: begin_s})]
    rows += [(replace(state, t_s=begin_s), None) for state in states]
    return _close(folder, rows, _open_requests(journal[:-1]), begin_s)


def _cut_to(folder: Path, sizes: Sizes) -> None:
    """Remove what was written and never acknowledged: it was sent again, or nobody was told that it is kept."""
    for name, size in ((RECORD_FILE, sizes.record), (SIDE_FILE, sizes.side)):
        file = folder / name
        if file.exists() and file.stat().st_size > size:
            with file.open("r+b") as out:
                out.truncate(size)


def _open_requests(journal: Sequence[Mapping[str, Any]]) -> list[Request]:
    """Who was in the system."""
    found: dict[str, Request] = {}
    for line in journal:
        carried = [row for _, row in line.get("base", {}).get("open", ())]
        for request in map(request_of, (*carried, *line.get("arrived", ()))):
            found[request.id] = request
        for ended in line.get("ended", ()):
            found.pop(ended[0], None)
    return list(found.values())


def _close(folder: Path, rows: list[Row], in_system: Sequence[Request], begin_s: float = 0.0) -> Recovered:
    header = next((record for record, _ in rows if isinstance(record, RunHeader)), None)
    if header is None:
        raise RecordError(
            f"{folder / RECORD_FILE}: a run begins with its header; nothing of this one was kept"
        )
    closed = any(isinstance(record, RunFooter) for record, _ in rows)
    if not closed:
        rows = [*rows, *_ending(header, [record for record, _ in rows], in_system, begin_s)]
    write_records(folder, rows)
    open_run.clear(folder)
    if is_endless(folder):
        finish(folder)
    if (folder / CLIENT_LOG).exists():
        join_client_log(folder)
    requests = sum(isinstance(record, RequestRecord) for record, _ in rows)
    return Recovered(folder, "closed", "", requests, 0 if closed else len(in_system))


def _ending(
    header: RunHeader, records: Sequence[Record], in_system: Sequence[Request], begin_s: float
) -> list[Row]:
    """A line for each request that was in the system, and the footer."""
    end_s = max(
        [
            begin_s,
            *(r.t_s for r in records if not isinstance(r, RunHeader)),
            *(r.arrival_s for r in in_system),
        ]
    )
    left = [request_record(r, "unfinished", end_s, r.arrival_s < header.horizon_s) for r in in_system]
    requests = [*(r for r in records if isinstance(r, RequestRecord)), *left]
    ends: dict[str, dict[str, int]] = {}
    for (model, outcome), n in sorted(Counter((r.model, str(r.outcome)) for r in requests).items()):
        if outcome != "unfinished":
            ends.setdefault(model, {})[outcome] = n
    footer = RunFooter(
        t_s=end_s,
        arrived=dict(sorted(Counter(r.model for r in requests).items())),
        ends=ends,
        in_system=dict(sorted(Counter(r.model for r in requests if r.outcome == "unfinished").items())),
        interrupted=True,
    )
    return [*((r, None) for r in left), (footer, {"recovered": True})]
