"""Reports: from records to tables, plots and one HTML file. Reads records only, so both worlds look alike.

Read first: `model.py` (what is compared, and by what it is judged valid), `figures.py` (the figures every
table shows), `html.py` (the page). `tables.py` holds the tables as data, `terminal.py` prints them,
`export.py` writes JSON and CSV; `plots.py`, `plots_time.py` and `timelines.py` draw in the inks of `palette.py`.
`verdict.py` says who was better, `page.py` has the frame that all pages share.
"""

from edgebed.report.export import comparison_json, write_csv
from edgebed.report.html import write_report
from edgebed.report.model import (
    Comparison,
    FaultEntry,
    ParityReport,
    ParityRow,
    RunResult,
    compare_runs,
    result_of,
)
from edgebed.report.terminal import print_table

__all__ = [
    "Comparison",
    "FaultEntry",
    "ParityReport",
    "ParityRow",
    "RunResult",
    "compare_runs",
    "comparison_json",
    "print_table",
    "result_of",
    "write_csv",
    "write_report",
]
