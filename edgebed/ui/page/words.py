"""Figures with their units, as the page shows them."""

from __future__ import annotations


def seconds(value: float | None) -> str:
    """`0.25 s`, `12.3 s`, `480 s`; a dash for what was not measured."""
    if value is None:
        return "–"
    return (
        f"{value:.2f} s" if abs(value) < 10 else f"{value:.1f} s" if abs(value) < 100 else f"{value:,.0f} s"
    )


def percent(share: float) -> str:
    """`87%`, `99.7%`: what is nearly all, or nearly nothing, is not said to be it."""
    near = 0 < share < 0.01 or 0.99 < share < 1
    return f"{min(100 * share, 99.9):.1f}%" if near else f"{100 * share:.0f}%"


def one_line(text: str, most: int = 200) -> str:
    """Text of strangers in one line of at most so many letters; control characters are shown as such."""
    from edgebed.harmless import harmless

    line = harmless(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"
