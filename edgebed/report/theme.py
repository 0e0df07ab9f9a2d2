"""How pictures look: drawn once, set into a page in the page's own inks or written to files in fixed ones."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import get_named_colors_mapping
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from edgebed.report.columns import Columns
from edgebed.report.palette import LIGHT, Fill, Look
from emulation.domain.mistakes import ConfigError
from emulation.recording import write_whole

_FONT = "DejaVu Sans"
_STAND_INS = {name: f"#0a0b{i:02x}" for i, name in enumerate(LIGHT)}
"""What a drawing has in the place of inks until it is set into a page."""
POINTS_PER_LETTER = 5.1
"""Width of a letter in legends and labels, a little more than the mean."""


def ink(name: str) -> str:
    """A colour of the palette by name, as drawings know it."""
    return f"page:{name}"


INK, MUTED, GRID, BAND, PAGE = (ink(name) for name in ("ink", "muted", "grid", "band", "page"))

_STYLE: dict[Any, Any] = {
    "font.family": _FONT,
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
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
    "xtick.major.size": 2.5,
    "ytick.major.size": 0.0,
    "text.color": INK,
    "text.parse_math": False,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 3.0,
    "lines.linewidth": 1.5,
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
"""Letters of an SVG are outlines, so that it looks alike where the font is missing; a PDF carries the font itself
(TrueType, 42), so that its text can be searched and copied and no Type 3 font is in it, which many publishers refuse.
"""
_FORMATS = ("pdf", "svg", "png")
_PNG_DPI = 150


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that is not drawn yet."""

    name: str
    """Keeps the ids of one page apart: letters, digits and dashes."""
    title: str
    alt: str
    """What it shows, for those who do not see it."""
    size_in: tuple[float, float]
    """Width and height, inches."""
    draw: Callable[[Figure], None] = field(repr=False)
    data: Callable[[], Columns] | None = field(default=None, repr=False)
    """What it shows, as the columns of a table with a row per point; None: nobody asked for it yet."""

    def svg(self) -> str:
        """An inline SVG element in the page's inks, without outside references."""
        with self.figure(_STAND_INS) as figure:
            text = _printed(figure, "svg", {"Date": None}).decode()
        return _inline(text, self.name, self.alt)

    def png(self) -> bytes:
        """A PNG file in the inks of the light page."""
        return self._file("png", {"Software": None})

    def pdf(self) -> bytes:
        """A PDF file in the inks of the light page, its fonts embedded; the same picture gives the same bytes."""
        return self._file("pdf", {"CreationDate": None})

    def svg_file(self) -> bytes:
        """An SVG file in the inks of the light page, its letters as outlines; the same picture gives the same bytes."""
        return self._file("svg", {"Date": None})

    def save(self, path: str | Path) -> Path:
        """Write it whole to a file of the format that the name ends in: pdf, svg or png. Returns the path.

        Raises `ConfigError` for another ending, `OSError` if it cannot be written.
        """
        file = Path(path)
        kind = file.suffix.removeprefix(".").lower()
        if kind not in _FORMATS:
            raise ConfigError(
                f"path {str(path)!r}: is of no format that is known; end it in .pdf, .svg or .png"
            )
        write_whole(file, {"pdf": self.pdf, "svg": self.svg_file, "png": self.png}[kind]())
        return file

    def _repr_png_(self) -> bytes:
        """How a notebook shows it."""
        return self.png()

    def _file(self, kind: str, metadata: dict[str, Any]) -> bytes:
        with self.figure(LIGHT) as figure:
            figure.set_facecolor(PAGE)
            return _printed(figure, kind, metadata)

    @contextmanager
    def figure(self, inks: Mapping[str, str]) -> Iterator[Figure]:
        """The picture drawn in these inks; global settings are put back afterwards."""
        named = get_named_colors_mapping()
        for colour, value in inks.items():
            named[ink(colour)] = value
        try:
            with matplotlib.rc_context({**_STYLE, "svg.hashsalt": self.name}):
                figure = Figure(figsize=self.size_in, layout="constrained")
                self.draw(figure)
                yield figure
        finally:
            for colour in inks:
                del named[ink(colour)]


def _printed(figure: Figure, kind: str, metadata: dict[str, Any]) -> bytes:
    """The file of a figure: what `savefig` writes, which draws a constrained layout once more for itself before."""
    out = io.BytesIO()
    canvas: Any
    if kind == "svg":
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata=metadata)
    elif kind == "png":
        figure.set_dpi(_PNG_DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.print_png(out, metadata=metadata)
    else:
        figure.savefig(out, format=kind, metadata=metadata)
    return out.getvalue()


def _inline(text: str, name: str, alt: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    said = f'role="img" aria-label="{escape(alt)}"'
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: said, text, count=1)
    text = re.sub(r'\b(id="|href="#|url\(#)', lambda m: f"{m[1]}{name}-", text)
    for colour, stand_in in _STAND_INS.items():
        text = text.replace(f'fill="{stand_in}"', f'style="fill: var(--{colour})"')
        text = text.replace(stand_in, f"var(--{colour})")
    return text


def lettering(text: str, limit: int = 34) -> str:
    """Text from outside as a picture can show it: one line, its middle left out past `limit`, no unknown letter.

    It never begins with an underscore, with which matplotlib takes a label for none.
    """
    known = get_font(findfont(FontProperties(family=_FONT)))
    line = " ".join(text.split())
    line = "".join(c if known.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in line)
    if len(line) > limit:
        line = f"{line[: limit // 2]}…{line[len(line) - (limit - limit // 2 - 1) :]}"
    return f" {line}" if line.startswith("_") else line


def line_style(look: Look, markers: bool = True) -> dict[str, Any]:
    """Keywords of a line in this look."""
    return {
        "color": ink(look.ink),
        "linestyle": look.dash,
        "marker": look.marker if markers else "",
        "markersize": 4.8,
        "markeredgewidth": 0.6,
        "markeredgecolor": PAGE,
    }


def area_style(fill: Fill) -> dict[str, Any]:
    """Keywords of a bar or patch of this fill."""
    return {"facecolor": ink(fill.ink), "hatch": fill.hatch, "edgecolor": ink("tone-4"), "linewidth": 0.5}


def series_handle(look: Look, label: str) -> Line2D:
    """What a legend shows of a line in this look."""
    return Line2D([], [], label=lettering(label), **line_style(look))


def area_handle(fill: Fill, label: str) -> Patch:
    """What a legend shows of an area of this fill."""
    return Patch(label=label, **area_style(fill))


def legend(figure: Figure, handles: Sequence[Artist], below: bool = False) -> None:
    """A legend above or below the axes, in as many columns as fit."""
    longest = max((len(str(h.get_label())) for h in handles), default=1)
    fitting = int(72 * figure.get_figwidth() / (longest * POINTS_PER_LETTER + 48))
    columns = max(1, min(fitting, len(handles)))
    figure.legend(
        handles=list(handles), loc="outside lower center" if below else "outside upper left", ncols=columns
    )


def quiet_x(axes: Axes) -> None:
    """Horizontal grid lines only."""
    axes.grid(visible=False, axis="x")
