"""Colours: legible on both pages, told apart by everybody, and each with one meaning."""

from __future__ import annotations

from itertools import combinations
from math import dist

import pytest

from edgebed.report.palette import (
    DARK,
    LIGHT,
    MODES,
    OUTCOMES,
    SCHEMES,
    contrast,
    css,
    scheme_looks,
    series_looks,
)
from emulation.domain.request import FATES

PAGES = {"light": LIGHT, "dark": DARK}
TEXT = ("ink", "muted", "good", "bad", "accent")
Matrix = tuple[tuple[float, float, float], ...]
BLINDNESS: dict[str, Matrix] = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}  # fmt: skip
"""Linear RGB as seen with each kind at full severity (Machado, Oliveira and Fernandes, IEEE TVCG 2009)."""
XYZ: Matrix = (
    (0.4124564, 0.3575761, 0.180437), (0.2126729, 0.7151522, 0.072175), (0.0193339, 0.119192, 0.9503041),
)  # fmt: skip
WHITE = (0.95047, 1.0, 1.08883)


def times(matrix: Matrix, column: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, column, strict=True)) for row in matrix)


def lab(colour: str, blindness: str) -> tuple[float, ...]:
    """CIE L*a*b* of a colour as it is seen."""
    srgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = tuple(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in srgb)
    seen = tuple(min(1.0, max(0.0, v)) for v in times(BLINDNESS[blindness], linear))
    shares = [v / white for v, white in zip(times(XYZ, seen), WHITE, strict=True)]
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in shares)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("ground", ["page", "panel"])
def test_text_has_the_contrast_that_wcag_asks_for(page: str, ground: str) -> None:
    inks = PAGES[page]
    assert {n: contrast(inks[n], inks[ground]) for n in TEXT if contrast(inks[n], inks[ground]) < 4.5} == {}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_drawn_stands_out_from_the_page(page: str) -> None:
    inks = PAGES[page]
    drawn = [n for n in inks if n.startswith("scheme-")] + ["tone-3", "tone-4", "tone-5"]
    assert {n: contrast(inks[n], inks["page"]) for n in drawn if contrast(inks[n], inks["page"]) < 3} == {}


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("page", [0, 1])
def test_any_two_schemes_differ_for_every_eye(page: int, blindness: str) -> None:
    seen = [lab(pair[page], blindness) for pair in SCHEMES]
    assert min(dist(a, b) for a, b in combinations(seen, 2)) > 20


@pytest.mark.parametrize("page", PAGES)
def test_no_colour_means_two_things(page: str) -> None:
    inks = PAGES[page]
    assert len(set(inks.values())) == len(inks)
    hues = {n for n in inks if n.startswith("scheme-")}
    assert not hues & {fill.ink for fill in (*MODES.values(), *OUTCOMES.values())}
    assert not hues & {look.ink for look in series_looks(map(str, range(9))).values()}


def test_no_two_schemes_share_colour_marker_and_dash() -> None:
    looks = list(scheme_looks(map(str, range(60))).values())
    assert len(set(looks)) == 60
    assert len({look.marker for look in looks[:10]}) == 10


def test_no_two_modes_and_no_two_ends_are_filled_alike() -> None:
    assert len(set(MODES.values())) == len(MODES)
    assert len(set(OUTCOMES.values())) == len(OUTCOMES)


def test_every_end_has_a_fill() -> None:
    assert set(FATES) == set(OUTCOMES)


def test_both_pages_have_the_same_inks_and_print_is_light() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert "@media screen and (prefers-color-scheme: dark)" in css()
