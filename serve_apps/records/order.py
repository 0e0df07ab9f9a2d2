"""A record as it was written, put into canonical order; its footer."""

from __future__ import annotations

from pathlib import Path

from emulation.domain.records import Record, RunFooter
from emulation.jsonl import RecordError
from emulation.recording import RECORD_FILE, SIDE_FILE, decode, take_the_places
from emulation.rewriting import rewrite


def put_in_order(folder: Path) -> None:
    """Rewrite a record in canonical order, its side file with it; both appear whole, or neither.

    It never stands in memory as a whole: one of days has tens of millions of lines. Raises `OSError` and `RecordError`.
    """
    take_the_places(folder)
    side = folder / SIDE_FILE
    if side.exists() and not side.stat().st_size:
        side.unlink()
    rewrite(folder, _as_it_is)


def _as_it_is(record: Record) -> Record:
    return record


def footer_of(folder: Path) -> RunFooter | None:
    """The last line of a record, if it is a footer. Raises `OSError`."""
    last = (folder / RECORD_FILE).read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        found = decode(last)
    except RecordError:
        return None
    return found if isinstance(found, RunFooter) else None
