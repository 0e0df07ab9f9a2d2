"""The comparison of both worlds as a table, for page and terminal alike."""

from __future__ import annotations

from collections.abc import Iterator

from edgebed.report.figures import NOT_MEASURED, decimals_for, number
from edgebed.report.model import ParityReport, ParityRow
from edgebed.report.tables import TableCell

PARITY_COLUMNS = (
    "scheme", "check", "model", "live, s", "virtual, s", "difference", "agrees within, s", "width", "verdict",
)  # fmt: skip


def parity_rows(report: ParityReport) -> list[tuple[TableCell, ...]]:
    """One row per comparison of the two worlds; the width of the range says how much its verdict is worth."""
    digits = decimals_for(v for r in report.rows for v in (r.live_mean_s, r.virtual_mean_s))
    return [tuple(_parity_cells(row, digits)) for row in report.rows]


def _parity_cells(row: ParityRow, digits: int) -> Iterator[TableCell]:
    yield from map(TableCell, (row.scheme, row.kind, row.model))
    yield TableCell(number(row.live_mean_s, digits))
    yield TableCell(number(row.virtual_mean_s, digits))
    apart, width = row.relative_difference, row.width
    yield TableCell(NOT_MEASURED if apart is None else f"{number(100 * apart, 1, signed=True)}%")
    known = row.low is not None and row.high is not None
    yield TableCell(f"{number(row.low, digits)} to {number(row.high, digits)}" if known else NOT_MEASURED)
    yield TableCell(NOT_MEASURED if width is None else f"±{number(100 * width, 1)}%")
    yield TableCell(row.verdict, tone={True: "good", False: "bad", None: "muted"}[row.ok])
