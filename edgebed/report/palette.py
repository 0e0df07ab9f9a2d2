"""Every colour of every page and picture, each with one meaning; and what tells things apart besides colour.

Hues belong to schemes alone. Modes, ends of requests and all other series are tones between page and ink, told apart
by hatch, dash and marker, so that no colour of a page means two things. Text has a contrast of 4.5 : 1 or more, what is
drawn 3 : 1 (WCAG 2.2, 1.4.3 and 1.4.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SCHEMES = (
    ("#043b90", "#3f82f0"),
    ("#cc7200", "#fdc495"),
    ("#2e918c", "#47d6cf"),
    ("#98004e", "#fc4a93"),
    ("#643400", "#ee9138"),
    ("#4660f3", "#a7bbf9"),
    ("#e62845", "#ed324b"),
)
"""Colours of schemes, by position: on the light page and on the dark one.

Found by search for the largest smallest difference of any two, also as the colour-blind see them (`seen_by`).
"""

LIGHT: Mapping[str, str] = {
    "page": "#ffffff", "panel": "#f5f6f8", "ink": "#1b1f27", "muted": "#565e6c", "grid": "#dfe3e9", "rule": "#c3cad4",
    "band": "#f4e8d6", "good": "#1a6e4c", "bad": "#ad2f25", "accent": "#2459a6",
    "tone-1": "#e2e6ec", "tone-2": "#b4bcc8", "tone-3": "#7c8594", "tone-4": "#4a5362", "tone-5": "#1f2733",
    **{f"scheme-{i}": light for i, (light, _) in enumerate(SCHEMES)},
}  # fmt: skip
"""Inks of the light page, of print and of pictures in files of their own."""
DARK: Mapping[str, str] = {
    "page": "#14171c", "panel": "#1d2128", "ink": "#e7eaf0", "muted": "#a3adbc", "grid": "#2c323c", "rule": "#434c59",
    "band": "#3a2f20", "good": "#67cfa3", "bad": "#f39389", "accent": "#8ab6f2",
    "tone-1": "#2b313b", "tone-2": "#505a69", "tone-3": "#838d9c", "tone-4": "#b6bec9", "tone-5": "#e6e9ee",
    **{f"scheme-{i}": dark for i, (_, dark) in enumerate(SCHEMES)},
}  # fmt: skip

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">")
DASHES = (
    (0, ()), (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (6, 1.6, 1.4, 1.6)), (0, (9, 2)), (0, (3, 1.2, 1, 1.2, 1, 1.2)),
)  # fmt: skip
"""Offset and lengths of strokes and gaps, in line widths; the first is unbroken."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one series is drawn: an ink by name, a marker and a dash. No two series of a picture share all three."""

    ink: str
    marker: str
    dash: tuple[float, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Fill:
    """How one kind of area is filled: an ink by name, and a hatch."""

    ink: str
    hatch: str = ""


MODES: Mapping[str, Fill] = {
    "gpu": Fill("tone-4"),
    "cpu": Fill("tone-2"),
    "starting": Fill("page", "////"),
    "away": Fill("page", "xxxx"),
}
OUTCOMES: Mapping[str, Fill] = {
    "done": Fill("tone-1"),
    "expired": Fill("tone-4"),
    "rejected": Fill("tone-2", "////"),
    "no_host": Fill("page", "...."),
    "node_lost": Fill("page", "xxxx"),
    "aborted": Fill("tone-1", "----"),
    "error": Fill("tone-5"),
    "unfinished": Fill("page", "||||"),
}
_TONES = ("tone-5", "tone-3", "tone-4")


def scheme_looks(schemes: Iterable[str]) -> dict[str, Look]:
    """A look per scheme, by position; the colour comes round after seven, marker and dash not with it."""
    return {
        name: Look(f"scheme-{i % len(SCHEMES)}", MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, name in enumerate(schemes)
    }


def series_looks(names: Iterable[str]) -> dict[str, Look]:
    """A look per series that is no scheme: tones instead of hues."""
    return {
        name: Look(_TONES[i % len(_TONES)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, name in enumerate(names)
    }


def css() -> str:
    """The inks as variables: the light ones, and on screens that ask for it the dark ones. Print is always light."""
    return (
        f":root {{ color-scheme: light; {_variables(LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {_variables(DARK)} }} }}"
    )


def _variables(inks: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in inks.items())


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2), 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
