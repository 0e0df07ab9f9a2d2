"""A record as it was written, put into canonical order; its footer."""

from __future__ import annotations

from pathlib import Path

import orjson

from emulation.domain.records import RunFooter
from emulation.jsonl import RecordError, read_lines
from emulation.recording import RECORD_FILE, SIDE_FILE, canonical_order, decode, write_together


def put_in_order(folder: Path) -> None:
    """Rewrite a record in canonical order, its side file with it; both appear whole, or neither.

    Raises `OSError` and `RecordError`.
    """
    lines = read_lines(folder / RECORD_FILE, lambda line: (canonical_order(decode(line)), line))
    order = sorted(range(len(lines)), key=lambda i: lines[i][0])
    side = folder / SIDE_FILE
    rows = read_lines(side, orjson.loads) if side.exists() else []
    if order != list(range(len(order))):
        place = {old: new for new, old in enumerate(order)}
        rows = sorted(({**row, "line": place[row["line"]]} for row in rows), key=lambda row: row["line"])
        files = {folder / RECORD_FILE: b"".join(lines[i][1] + b"\n" for i in order)}
        if rows:
            files[side] = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        write_together(files)
    if not rows:
        side.unlink(missing_ok=True)


def footer_of(folder: Path) -> RunFooter | None:
    """The last line of a record, if it is a footer. Raises `OSError`."""
    last = (folder / RECORD_FILE).read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        found = decode(last)
    except RecordError:
        return None
    return found if isinstance(found, RunFooter) else None
