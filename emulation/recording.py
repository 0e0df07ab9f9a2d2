"""Reading and writing run records: canonical JSON lines, and a side file for what is not canonical."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

import orjson
from pydantic import TypeAdapter, ValidationError

from emulation.domain.records import (
    READABLE_VERSIONS,
    DecisionRecord,
    EventRecord,
    ExecutorRecord,
    LinkRecord,
    Record,
    RequestRecord,
    RunFooter,
    RunHeader,
)
from emulation.jsonl import RecordError, read_lines
from emulation.line_sink import LineSink
from emulation.line_sink import encode as encode

RECORD_FILE = "record.jsonl"
SIDE_FILE = "side.jsonl"
SEGMENTS = "segments"
"""Folder beside the runs of a testbed that stays: what is over of its record (`serve_apps/records/segments.py`)."""
_KINDS = {str(fields(cls)[-1].default): cls for cls in get_args(Record)}  # the last is `kind`
_ADAPTERS: dict[str, TypeAdapter[Record]] = {kind: TypeAdapter(cls) for kind, cls in _KINDS.items()}
_FIELDS = {kind: {f.name for f in fields(cls)} for kind, cls in _KINDS.items()}
_PRIORITY = {"header": 0, "event": 1, "executor": 2, "link": 2, "request": 3, "decision": 4, "footer": 9}


@dataclass(frozen=True, slots=True)
class Run:
    """One run, read back or kept in memory."""

    header: RunHeader
    requests: tuple[RequestRecord, ...]
    decisions: tuple[DecisionRecord, ...]
    events: tuple[EventRecord, ...]
    executors: tuple[ExecutorRecord, ...]
    footer: RunFooter | None
    """None if the run was cut before it could close."""
    side: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Line number in the canonical file (header is 0) to what is not canonical: wall clock, pid, node."""
    links: tuple[LinkRecord, ...] = ()


def decode(line: bytes) -> Record:
    """The record of one line. Raises `RecordError` on anything else."""
    try:
        data = orjson.loads(line)
        kind = data["kind"]
        if kind == "header":
            _check_version(data.get("version", 1))
        unknown = data.keys() - _FIELDS[kind]
        if unknown:
            raise RecordError(f"unknown fields {sorted(unknown)} in a {kind} record")
        return _ADAPTERS[kind].validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(f"not a record: {where}: {first['msg'].lower()}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"not a record: {error}") from error


def _check_version(version: object) -> None:
    if version not in READABLE_VERSIONS:
        raise VersionError(
            f"record version {version}; this edgebed reads {', '.join(map(str, READABLE_VERSIONS))}: use a newer one"
        )


class VersionError(RecordError):
    """A record of a format version that this program does not know."""


def canonical_order(record: Record) -> tuple[int, float, int]:
    """Sort key (t, priority); sorting is stable, so the order of writing breaks ties."""
    if isinstance(record, RunHeader):
        return (0, 0.0, 0)
    return (2 if isinstance(record, RunFooter) else 1, record.t_s, _PRIORITY[record.kind])


class MemorySink:
    """Keeps records in memory, in the order written."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.sides: list[Mapping[str, Any] | None] = []

    def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None:
        """Append one record."""
        self.records.append(record)
        self.sides.append(side)

    def run(self) -> Run:
        """Everything so far as a run."""
        return as_run(self.records, {i: s for i, s in enumerate(self.sides) if s})


_BUFFER_BYTES = 1 << 20


class JsonlSink(LineSink):
    """Appends canonical lines to a folder, flushed every `flush_every` records and on close."""

    def __init__(self, folder: Path, flush_every: int = 1000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        take_the_places(folder)
        self._folder = folder
        out = (folder / RECORD_FILE).open("wb", buffering=_BUFFER_BYTES)
        super().__init__(out, (folder / SIDE_FILE).open, flush_every)

    def close(self) -> None:
        """Flush and close both files."""
        self.flush()
        self._out.close()
        if self._side is not None:
            self._side.close()

    def discard(self) -> None:
        """Close both files and remove them: of a run that failed nothing half-written stays."""
        for file in (self._out, self._side):
            if file is not None:
                with suppress(OSError):  # what it still holds may be what cannot be written
                    file.close()
        for name in (RECORD_FILE, SIDE_FILE):
            (self._folder / name).unlink(missing_ok=True)


def write_records(folder: Path, rows: Iterable[tuple[Record, Mapping[str, Any] | None]]) -> None:
    """Write records with their side data in canonical order: both files appear whole, or neither.

    Raises `OSError`.
    """
    take_the_places(folder)
    ordered = sorted(rows, key=lambda row: canonical_order(row[0]))
    sides = [encode({"line": i, **side}) for i, (_, side) in enumerate(ordered) if side]
    files = {folder / RECORD_FILE: b"".join(encode(record) for record, _ in ordered)}
    if sides:
        files[folder / SIDE_FILE] = b"".join(sides)
    write_together(files)


def rows_of(path: Path) -> list[tuple[Record, Mapping[str, Any] | None]]:
    """Every record of a run's folder or file, with its side data. Raises `RecordError` naming file and line."""
    file = path / RECORD_FILE if path.is_dir() else path
    try:
        records = read_lines(file, decode)
    except OSError as error:
        raise RecordError(f"{file}: {error.strerror}; give a run folder that holds {RECORD_FILE}") from error
    side = _side_rows(side_of(file.parent))
    rows: list[tuple[Record, Mapping[str, Any] | None]] = [(r, side.get(i)) for i, r in enumerate(records)]
    if records and isinstance(records[0], RunHeader) and records[0].version == 1:
        return [_of_version_1(*row) for row in rows]
    return rows


def _side_rows(file: Path) -> dict[int, dict[str, Any]]:
    """Line of the record to what stands beside it."""

    def parsed(line: bytes) -> tuple[int, dict[str, Any]]:
        row = orjson.loads(line)
        return int(row.pop("line")), row

    try:
        return dict(read_lines(file, parsed)) if file.exists() else {}
    except OSError as error:
        raise RecordError(f"{file}: {error.strerror}") from error


def _of_version_1(record: Record, side: Mapping[str, Any] | None) -> tuple[Record, Mapping[str, Any] | None]:
    """A live request's end as version 2 means it: at its node, the gateway's and the client's times beside it."""
    if isinstance(record, RunHeader):
        return replace(record, version=2), side
    if not isinstance(record, RequestRecord) or side is None or "node_ended_s" not in side:
        return record, side
    now = {k: v for k, v in side.items() if k not in ("node_ended_s", "overhead_s")}
    now["heard_s"] = side.get("answered_s", record.ended_s)
    now["answered_s"] = side.get("client_ended_s", now["heard_s"])
    if record.outcome == "done":
        record = replace(record, t_s=side["node_ended_s"], ended_s=side["node_ended_s"])
    return record, now


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: through a temporary file beside it and a rename.

    Raises `OSError` naming the file; whatever happens, nothing half-written stays.
    """
    write_together({path: content})


def side_of(folder: Path) -> Path:
    """The side file that belongs to the record of a run.

    Both are written beside their places; the record takes its place first. A process that is killed just then leaves
    its side file beside its place: it belongs to that record, the one in its place to the record before.
    """
    part = part_of(folder / SIDE_FILE)
    return part if part.exists() and not part_of(folder / RECORD_FILE).exists() else folder / SIDE_FILE


def take_the_places(folder: Path) -> None:
    """End what a process left that was killed as it put record and side file into their places. Raises `OSError`.

    Call it before either is written anew.
    """
    part, place = part_of(folder / SIDE_FILE), folder / SIDE_FILE
    if side_of(folder) == part:
        part.replace(place)
    else:
        part.unlink(missing_ok=True)  # before that of the record: alone it would be taken for its side file


def part_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.part")


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together: all of their content is there before the first one takes its place, in order.

    Raises `OSError` naming the file; whatever happens, nothing half-written stays.
    """
    parts = {path: part_of(path) for path in files}
    try:
        for path, content in files.items():
            _write_part(path, parts[path], content)
        for path, part in parts.items():
            part.replace(path)
    except BaseException:
        for part in reversed(parts.values()):
            with suppress(OSError):
                part.unlink(missing_ok=True)
        raise


def _write_part(path: Path, part: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
    except OSError as error:
        if error.filename in (None, str(part), part):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def as_run(records: Iterable[Record], side: Mapping[int, Mapping[str, Any]] | None = None) -> Run:
    """Sort records by kind into a run. Raises `RecordError` without exactly one header, first."""
    records = list(records)
    if not records or not isinstance(records[0], RunHeader):
        raise RecordError("a run begins with its header")
    _check_version(records[0].version)
    return Run(
        header=records[0],
        requests=tuple(r for r in records if isinstance(r, RequestRecord)),
        decisions=tuple(r for r in records if isinstance(r, DecisionRecord)),
        events=tuple(r for r in records if isinstance(r, EventRecord)),
        executors=tuple(r for r in records if isinstance(r, ExecutorRecord)),
        footer=next((r for r in records if isinstance(r, RunFooter)), None),
        side=side or {},
        links=tuple(r for r in records if isinstance(r, LinkRecord)),
    )


def read_run(path: Path) -> Run:
    """Read a run from its folder or its record file. A torn last line (a crash) is left out, any other is an error.

    Raises `RecordError` naming file and line.
    """
    rows = rows_of(path)
    try:
        return as_run([record for record, _ in rows], {i: side for i, (_, side) in enumerate(rows) if side})
    except RecordError as error:
        raise type(error)(f"{path}: {error}") from error
