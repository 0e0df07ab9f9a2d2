"""The decisions up to the moment that is shown, by kind of actor; an entry opens all that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from edgebed.ui.page.detail import show_decision
from edgebed.ui.page.dialog import NamedDialog
from edgebed.ui.page.panel_table import PanelTable
from edgebed.ui.page.room import Room
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.views import DecisionView

ALL = "all"
KINDS = (ALL, "planner", "scheduler", "deployer", "meta", "router", "person")
COLUMNS = ("Time", "Actor", "Chosen", "Outcome", "Reasoner")
MOST = 50


def build(room: Room, shown: Callable[[], bool]) -> None:
    """The panel, and the dialog that the feed beside the map opens too."""
    _Panel(room, shown)


class _Panel:
    """The tab of one viewer."""

    def __init__(self, room: Room, shown: Callable[[], bool]) -> None:
        self._room, self._shown = room, shown
        self._before: int | None = None
        with ui.element("div").classes("bar"):
            self._kind = ui.toggle(list(KINDS), value=ALL, on_change=self._newest).props(
                "dense no-caps unelevated"
            )
            self._older = ui.button("Older", on_click=self._go_older).props("flat dense no-caps")
            self._newer = ui.button("Newest", on_click=self._newest).props("flat dense no-caps")
        self._table = PanelTable(
            COLUMNS, ("Time",), "No decision of this kind up to this moment.", on_pick=lambda n: room.show(n)
        )
        self._seen: Sequence[DecisionView] = ()
        with NamedDialog("Decision") as self._dialog, ui.card().classes("detail") as self._card:
            pass
        room.show = self._open
        room.on_slow(self.refresh)

    def refresh(self) -> None:
        """Show the latest ones, or those that were gone back to."""
        source = self._room.source
        if source is None or not self._shown():
            return
        actors = () if self._kind.value == ALL else (str(self._kind.value),)
        self._seen = source.decisions(self._room.moment.t_s, actors, self._before, MOST)
        self._table.show([(view.number, row(view)) for view in self._seen])
        self._older.set_enabled(len(self._seen) == MOST)
        self._newer.set_enabled(self._before is not None)

    def _go_older(self) -> None:
        if self._seen:
            self._before = self._seen[-1].number
        self.refresh()

    def _newest(self) -> None:
        self._before = None
        self.refresh()

    def _open(self, number: int) -> None:
        source = self._room.source
        if source is None:
            return
        try:
            detail = source.decision(number)
        except KeyError:
            ui.notify(f"There is no decision {number} in this run any more.")
            return
        self._dialog.rename(f"Decision {number}")
        self._card.clear()
        with self._card:
            show_decision(detail, self._dialog.close)
        self._dialog.open()


def row(view: DecisionView) -> tuple[str, ...]:
    """A line of the table."""
    return (
        seconds(view.t_s), one_line(view.actor, 60), one_line(view.said), one_line(view.outcome, 40),
        one_line(view.reasoner, 40),
    )  # fmt: skip
