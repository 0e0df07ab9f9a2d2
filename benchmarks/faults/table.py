"""The files: one line per repetition, and one row per kind, as CSV and as a table to read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.faults.kinds import KINDS
from benchmarks.faults.laws import Repetition, broken, columns
from emulation.recording import write_whole

HERE = Path(__file__).parent
REPETITIONS, TABLE, PAGE = HERE / "repetitions.csv", HERE / "table.csv", HERE / "table.md"
_COUNTS = ("answered", "refused", "dropped", "unanswered", "lost", "duplicates", "left")
_SECONDS = ("recovery p50 (s)", "recovery p95 (s)")
_HEADS = ("fault", "times", "landed", *_COUNTS, *_SECONDS, "laws broken", "commit")


def read() -> dict[str, list[Repetition]]:
    """Kind to its repetitions, as they stand in the file; none if there is no file, or it is of another version."""
    try:
        with REPETITIONS.open(newline="") as file:
            reader = csv.DictReader(file)
            rows = [_repetition(row) for row in reader] if reader.fieldnames == columns() else []
    except FileNotFoundError:
        rows = []
    found: dict[str, list[Repetition]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(row)
    return found


def write(found: dict[str, list[Repetition]]) -> None:
    """All three files, each whole or not at all; kinds in the order of the registry."""
    kinds = [name for name in KINDS if name in found]
    write_whole(REPETITIONS, _csv(columns(), [list(asdict(r).values()) for k in kinds for r in found[k]]))
    rows = [summary(name, found[name]) for name in kinds]
    write_whole(TABLE, _csv(_HEADS, rows))
    write_whole(PAGE, _page(rows).encode())


def summary(name: str, rows: Sequence[Repetition]) -> list[str]:
    """One kind as a row of the table. Only repetitions that landed count."""
    landed = [row for row in rows if row.landed]
    recovered = [row.recovery_s for row in landed if row.recovery_s is not None]
    p50, p95 = np.percentile(recovered, (50, 95)) if recovered else (float("nan"), float("nan"))
    sums = [str(sum(getattr(row, count) for row in landed)) for count in _COUNTS]
    wrong = sum(bool(broken(row, KINDS[name].ends, KINDS[name].drops)) for row in landed)
    commits = " ".join(sorted({row.commit for row in rows}))
    return [name, str(len(rows)), str(len(landed)), *sums, f"{p50:.2f}", f"{p95:.2f}", str(wrong), commits]


def _page(rows: Sequence[Sequence[str]]) -> str:
    head = [
        "# What became of requests while something died",
        "",
        "20 requests per second from the project's own load generator, two emulated nodes, fixed seeds. `dropped`:",
        "told by a connection that broke; `unanswered`: told nothing; `lost`: answered, and not in the record.",
        "Recovery: until all is answered again; of a testbed that cannot survive, or was ending, until nothing of it",
        "is left. By `make bench-faults`.",
        "",
    ]
    lines = [f"| {' | '.join(_HEADS)} |", f"|{'|'.join('---' for _ in _HEADS)}|"]
    return "\n".join(head + lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def _repetition(row: dict[str, str]) -> Repetition:
    numbers = {name: int(row[name]) for name in ("number", *_COUNTS)}
    recovery, code = row["recovery_s"], row["exit_code"]
    return Repetition(
        row["kind"], landed=row["landed"] == "True", recovery_s=float(recovery) if recovery else None,
        exit_code=int(code) if code else None, commit=row["commit"], **numbers,
    )  # fmt: skip
