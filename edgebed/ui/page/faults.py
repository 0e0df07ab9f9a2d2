"""The fault ledger: what went wrong up to the moment that is shown, planned or by hand, and whether it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from edgebed.ui.page.panel_table import PanelTable
from edgebed.ui.page.room import Room
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.views import EventView

_ELSEWHERE = {"kind", "node", "at_s", "until_s"}
"""Fields of an event that stand in other columns."""
COLUMNS = ("What", "Where", "From", "Until", "Who", "With")


def build(room: Room, shown: Callable[[], bool]) -> None:
    """The panel."""
    with ui.element("h2"):
        ui.label("What went wrong, up to the moment shown")
    table = PanelTable(COLUMNS, ("From", "Until"), "Nothing has gone wrong up to this moment.")

    def refresh() -> None:
        if shown() and room.source is not None:
            events = sorted(room.source.events(room.moment.t_s), key=lambda e: -e.onset_s)
            table.show([(event.number, row(event)) for event in events])

    room.on_slow(refresh)


def row(event: EventView) -> tuple[str, ...]:
    """A line of the ledger."""
    return (
        one_line(event.type, 40),
        one_line(event.target, 60),
        seconds(event.onset_s),
        "in force" if event.undone_s is None else seconds(event.undone_s),
        "by hand" if event.by_hand else "scenario",
        _said(event.detail),
    )


def _said(detail: Mapping[str, Any]) -> str:
    """The settings of the event, as a scenario file has them; else whatever its record says."""
    spec = detail.get("spec")
    given = {k: v for k, v in spec.items() if k not in _ELSEWHERE} if isinstance(spec, Mapping) else detail
    said = (f"{str(k).replace('_', ' ')} {v}" for k, v in given.items() if v not in (None, "", ()))
    return one_line(", ".join(said), 120)
