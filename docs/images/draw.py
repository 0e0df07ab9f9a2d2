"""Draws the pictures of the README from the folder of a real run: `python docs/images/draw.py runs/<folder>`.

The plots are those of the report, in fixed colours on white instead of the page's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

from edgebed.report import compare_runs, plots, theme, timelines
from edgebed.runs.comparison import played_events
from edgebed.runs.kept import kept_runs
from edgebed.runs.layout import layout_of

HERE = Path(__file__).parent
COLOURS = {theme.INK: "#1c2430", theme.MUTED: "#5b6675", theme.GRID: "#dfe3e8", theme.BAND: "#f3e6c8"}


def main(folder: Path) -> None:
    """Write demo-latency.png and demo-modes.png."""
    layout = layout_of(folder)
    runs, scenario = kept_runs(layout).runs(), layout.scenario()
    comparison = compare_runs(runs, played_events(runs, scenario))
    _fix_colours()
    plots.latency_over_time(comparison)
    timelines.executor_modes(next(r for r in runs if r.header.scheme == "MA"), "modes")


def _fix_colours() -> None:
    """Real colours for the page's stand-ins, and PNG files for SVG elements."""
    theme._STYLE.update({k: COLOURS[v] for k, v in theme._STYLE.items() if v in COLOURS})
    for module in (plots, timelines):
        for name in ("INK", "MUTED", "GRID", "BAND"):
            if hasattr(module, name):
                setattr(module, name, COLOURS[getattr(module, name)])
        setattr(module, "svg", _png)  # noqa: B010


def _png(figure: Figure, name: str) -> str:
    short = {"latency-over-time": "latency", "modes": "modes"}[name]
    figure.savefig(HERE / f"demo-{short}.png", dpi=110, facecolor="white", metadata={"Software": None})
    return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
