"""How plots look: one colour per scheme everywhere, and inks that follow the page's light or dark colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that stand apart on white and on near-black, also for the colour-blind.
SCHEME_COLOURS = ("#3b7dd8", "#e07b39", "#2a9d74", "#b65fc4", "#c9a227", "#d1495b", "#4fb3c8", "#8d8d8d")
MODE_COLOURS = {"gpu": "#3b7dd8", "cpu": "#e0a739", "starting": "#9aa4b2", "away": "#d1495b"}
OUTCOME_COLOURS = {
    "done": "#2a9d74",
    "expired": "#e07b39",
    "rejected": "#c9a227",
    "no_host": "#8d6e63",
    "node_lost": "#d1495b",
    "aborted": "#9aa4b2",
    "error": "#7b2d43",
    "unfinished": "#3f4a5a",
}
# Stand-ins that become the page's own colours when the drawing is set into it.
INK, MUTED, GRID, BAND = "#010203", "#020304", "#030405", "#040506"
_PAGE = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", BAND: "var(--band)"}

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
}


_PLAIN: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def colours(schemes: Iterable[str]) -> dict[str, str]:
    """One colour per scheme, by position."""
    return {name: SCHEME_COLOURS[i % len(SCHEME_COLOURS)] for i, name in enumerate(schemes)}


@contextmanager
def drawing(width_in: float, height_in: float, style: dict[Any, Any] = _STYLE) -> Iterator[Figure]:
    """A figure in a style, by default the report's; global settings are put back afterwards."""
    with matplotlib.rc_context(style):
        yield Figure(figsize=(width_in, height_in), layout="constrained")


plain_drawing = partial(drawing, style=_PLAIN)
"""A figure in the style of a plain page."""


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": None})
    return out.getvalue()


def svg(figure: Figure, name: str) -> str:
    """The figure as an inline SVG element without outside references; `name` keeps its ids apart."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'role="img" aria-label="{name}"', text, count=1)
    text = re.sub(r'\b(id="|href="#|url\(#)', lambda m: f"{m[1]}{name}-", text)
    for stand_in, colour in _PAGE.items():
        text = text.replace(stand_in, colour)
    return text


def quiet_x(axes: Axes) -> None:
    """Horizontal grid lines only."""
    axes.grid(visible=False, axis="x")
