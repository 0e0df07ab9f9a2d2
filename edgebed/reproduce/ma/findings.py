"""What the second paper's text and the independent reference state, as the tables judge it."""

from __future__ import annotations

from edgebed.report.figures import NOT_MEASURED
from edgebed.report.text_table import TextTable
from edgebed.reproduce.common.findings import Finding

BESIDE = "reference Tw / F_norm"
"""Column of Figure 5's table with the reference; the next one begins with the result."""


def reference_findings(table: TextTable) -> list[Finding]:
    """Of every row of Figure 5's table that stands beside the reference: whether it is inside its band."""
    beside = table.columns.index(BESIDE)
    return [
        Finding(
            f"Independent reference, {row[0]}",
            f"{row[table.columns.index('scheme')]} {row[beside]}",
            f"{row[table.columns.index('Tw s')]} / {row[table.columns.index('F_norm')]}",
            {"inside": True, "outside": False}.get(row[beside + 1].partition(":")[0]),
        )
        for row in table.rows
        if row[beside] != NOT_MEASURED and row[beside + 1]
    ]


def claim_findings(table: TextTable) -> list[Finding]:
    """Of every statement of the paper's text: whether it holds, per testbed."""
    return [
        Finding(
            f"The paper's text, {testbed}",
            row[0],
            row[i],
            {"holds": True, "does not hold": False}.get(row[i + 1]),
        )
        for i, testbed in enumerate(table.columns)
        if i % 2
        for row in table.rows
    ]
