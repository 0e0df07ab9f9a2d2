"""Draws the pictures of the README from the folder of a real run: `python docs/images/draw.py runs/<folder>`.

The plots are those of the report, in the inks of its light page.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgebed.report import compare_runs, plots_time, timelines
from edgebed.runs.folder_runs import kept_runs
from edgebed.runs.layout import layout_of
from emulation.recording import write_whole

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    """Write demo-latency.png and demo-modes.png."""
    layout = layout_of(folder)
    runs, scenario = kept_runs(layout).runs(), layout.scenario()
    comparison = compare_runs(runs, scenario.events)
    modes = timelines.executor_modes(next(r for r in runs if r.header.scheme == "MA"), "modes", "MA")
    if modes is None:
        raise SystemExit(f"{folder}: the run of MA has no executor in its record")
    write_whole(HERE / "demo-latency.png", plots_time.latency_over_time(comparison).png())
    write_whole(HERE / "demo-modes.png", modes.png())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
