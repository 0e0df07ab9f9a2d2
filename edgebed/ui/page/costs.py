"""What deciding cost up to the moment that is shown, by actor."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from edgebed.ui.page.panel_table import PanelTable
from edgebed.ui.page.room import Room
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.views import CostView

COLUMNS = ("Actor", "Decisions", "Modes changed", "Thinking", "Tokens", "Price")


def build(room: Room, shown: Callable[[], bool]) -> None:
    """The panel."""
    ui.label(
        "Thinking is virtual time that passed between a question and its decision. Tokens and price are a language "
        "model's; a dash: none was asked, or its price is not known."
    ).classes("quiet")
    table = PanelTable(COLUMNS, COLUMNS[1:], "Nobody has decided anything up to this moment.")

    def refresh() -> None:
        if shown() and room.source is not None:
            table.show([(i, row(cost)) for i, cost in enumerate(room.source.costs(room.moment.t_s))])

    room.on_slow(refresh)


def row(cost: CostView) -> tuple[str, ...]:
    """A line of the table."""
    tokens = "–" if cost.tokens is None else f"{cost.tokens:,}"
    price = "–" if cost.price is None else f"{cost.price:.4f}"
    return (
        one_line(cost.actor, 60), f"{cost.decisions:,}", f"{cost.changes:,}", seconds(cost.thinking_s), tokens, price,
    )  # fmt: skip
