"""The record of a testbed that stays for days, in segments: each a folder that can be reported by itself.

The present segment is in the run's own folder; those that are over are in `segments/<number>/` beside it, with what
says of which experiment they are. Together they are kept below a size: the oldest go. A request has its line in the
segment in which it ended, so arrived = ends in each, and nothing is in two.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

from emulation.domain.records import (
    EventRecord,
    ExecutorRecord,
    Record,
    RequestRecord,
    RunFooter,
    RunHeader,
)
from emulation.domain.slots import slots_until
from emulation.recording import RECORD_FILE, SEGMENTS, SIDE_FILE, decode
from emulation.rewriting import lines_of, rewrite, sides_of
from serve_apps.records.progress import PROGRESS_FILE

log = logging.getLogger("edgebed")

MOST_MB, LEAST_MB = 64, 1
"""Sizes of one segment: an eighth of what is kept, within these."""
LONGEST_H = 24.0
"""Wall hours of one segment."""
ENDLESS_S = 1e9
"""Horizon of a record whose true one is not known yet."""
BEGIN = "begin_s"
"""In the side row of a segment's header: when it begins, virtual seconds."""

CARRIED = "carried"
"""In the side row of a segment's footer: requests in the system when it ended, which the next one counts."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much of a record is kept."""

    keep_bytes: int

    @property
    def segment_bytes(self) -> int:
        """Size at which a segment is over."""
        return min(max(self.keep_bytes // 8, LEAST_MB * 2**20), MOST_MB * 2**20)


def segment_folder(folder: Path, number: int) -> Path:
    """Where segment `number` of the run in `folder` goes when it is over."""
    return folder.parent.parent / SEGMENTS / f"{number:05d}" / folder.parent.name / folder.name


def move_out(folder: Path, number: int) -> None:
    """Move what is written so far to where segment `number` belongs; again, and nothing is done. Raises `OSError`."""
    target, root = segment_folder(folder, number), folder.parent.parent
    if (target / RECORD_FILE).exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    for source, into in ((root, target.parent.parent), (folder, target)):
        for file in source.glob("*.json"):
            shutil.copyfile(file, into / file.name)
    for name in (SIDE_FILE, PROGRESS_FILE, RECORD_FILE):  # the record last: it says that all is there
        if (folder / name).exists():
            (folder / name).replace(target / name)


def last_states(*folders: Path) -> list[ExecutorRecord]:
    """The last state of every executor, by the first of these folders that has a record."""
    file = next(found for folder in folders if (found := folder / RECORD_FILE).exists())
    states: dict[str, ExecutorRecord] = {}
    with file.open("rb") as lines:
        for line in lines:
            record = decode(line) if b'"kind":"executor"' in line else None
            if isinstance(record, ExecutorRecord):
                states[record.executor] = record
    return [states[executor] for executor in sorted(states)]


def tidy(folder: Path, keeping: Keeping) -> None:
    """Put segments that are over in their final form, and remove the oldest of what is too much. Raises `OSError`."""
    over = sorted((folder.parent.parent / SEGMENTS).glob("*"))
    for segment in over:
        run = segment / folder.parent.name / folder.name
        if (run / RECORD_FILE).exists() and is_endless(run):
            finish(run)
    sizes = {segment: _size(segment) for segment in over}
    while over and sum(sizes[s] for s in over) + keeping.segment_bytes > keeping.keep_bytes:
        oldest = over.pop(0)
        log.warning("%s: removed, as no more than %d MB are kept", oldest, keeping.keep_bytes >> 20)
        shutil.rmtree(oldest)


def is_endless(folder: Path) -> bool:
    """Whether a record does not have its true horizon yet."""
    with (folder / RECORD_FILE).open("rb") as file:
        first = file.readline()
    header = decode(first) if first.endswith(b"\n") else None
    return isinstance(header, RunHeader) and header.horizon_s >= ENDLESS_S


def finish(folder: Path) -> None:
    """Give a record of a testbed that stayed its true horizon, in canonical order; every request in it counts.

    One that was cut stays as it is. Raises `OSError` and `RecordError`.
    """
    end_s, slot_s, phases, segment = _look_through(folder)
    if end_s is None:
        return
    numbers = _event_numbers(phases) if segment else {}

    def final(record: Record) -> Record:
        if isinstance(record, RunHeader):
            return replace(record, horizon_s=end_s, slots=max(1, slots_until(end_s, slot_s)))
        if isinstance(record, EventRecord) and segment:
            return _renumbered(record, numbers)
        return replace(record, counted=True) if isinstance(record, RequestRecord) else record

    rewrite(folder, final)


def _look_through(folder: Path) -> tuple[float | None, float, dict[int, set[str]], bool]:
    """When a record ended (None: it was cut), its slots' length, phases of its events, whether it is a segment."""
    end_s, slot_s = None, 1.0
    phases: dict[int, set[str]] = {}
    beside = {0}
    for number, line in enumerate(lines_of(folder)):
        record = line.record
        if isinstance(record, RunHeader):
            slot_s = record.slot_s
        elif isinstance(record, RunFooter):
            end_s = record.t_s
            beside.add(number)
        elif isinstance(record, EventRecord):
            phases.setdefault(record.event, set()).add(record.phase)
    return end_s, slot_s, phases, any({BEGIN, CARRIED} & row.keys() for row in sides_of(folder, beside))


def _event_numbers(phases: Mapping[int, Set[str]]) -> dict[int, int]:
    """Events that began and ended in a segment, by their number in the run: their place among themselves."""
    whole = [number for number, seen in sorted(phases.items()) if {"onset", "undo"} <= seen]
    return {number: place for place, number in enumerate(whole)}


def _renumbered(record: EventRecord, numbers: dict[int, int]) -> EventRecord:
    """An event as its segment numbers it; one that lies across segments is in no segment's ledger."""
    if record.event in numbers:
        return replace(record, event=numbers[record.event])
    detail = {name: value for name, value in record.detail.items() if name != "spec"}
    return replace(record, event=len(numbers) + record.event, detail=detail)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
