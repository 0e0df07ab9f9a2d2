"""Figures with their units, as the page shows them."""

from __future__ import annotations


def seconds(value: float | None) -> str:
    """`0.25 s`, `12.3 s`, `480 s`; a dash for what was not measured."""
    if value is None:
        return "–"
    return (
        f"{value:.2f} s" if abs(value) < 10 else f"{value:.1f} s" if abs(value) < 100 else f"{value:,.0f} s"
    )


def percent(share: float | None) -> str:
    """`87%`; a dash for what was not measured."""
    return "–" if share is None else f"{100 * share:.0f}%"


def many(count: int | None, one: str, several: str = "") -> str:
    """`1 request`, `12 requests`; a dash for what nobody knows."""
    if count is None:
        return "–"
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def one_line(text: str, most: int = 200) -> str:
    """Text of strangers in one line of at most so many letters; control characters are shown as such."""
    from edgebed.harmless import harmless

    line = harmless(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"
