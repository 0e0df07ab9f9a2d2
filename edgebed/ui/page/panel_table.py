"""A table of a panel: one element, sent again only when it says something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import events, ui

_BUTTON = """<q-td :props="props"><button type="button" class="plain" :aria-label="'Open ' + props.value"
@click="$parent.$emit('picked', props.row.id)">{{ props.value }}</button></q-td>"""


class PanelTable:
    """Rows of plain text under headings; `empty` is said where there are none."""

    def __init__(
        self, columns: Sequence[str], numbers: Sequence[str] = (), empty: str = "Nothing yet.",
        on_pick: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        """`numbers`: columns that are aligned to the right. `on_pick`: called with a row's id; the first column then is
        a button."""
        self._columns = tuple(columns)
        shown = [
            {
                "name": f"c{i}",
                "label": name,
                "field": f"c{i}",
                "align": "right" if name in numbers else "left",
            }
            for i, name in enumerate(columns)
        ]
        self.table = ui.table(rows=[], columns=shown, row_key="id").props(
            "flat dense wrap-cells hide-no-data"
        )
        self.table.classes("panel-table")
        if on_pick is not None:
            self.table.add_slot("body-cell-c0", _BUTTON)
            self.table.on("picked", lambda e: _picked(e, on_pick))
        self._empty = ui.label(empty).classes("quiet").props("role=status")

    def show(self, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Show these: an id that no other has, and a text for each column."""
        wanted: list[dict[str, Any]] = [
            {"id": id_, **{f"c{i}": text for i, text in enumerate(texts)}} for id_, texts in rows
        ]
        if wanted != self.table.rows:
            self.table.rows = wanted
        self.table.set_visibility(bool(wanted))
        self._empty.set_visibility(not wanted)


def _picked(event: events.GenericEventArguments, on_pick: Callable[[int], None]) -> None:
    args = event.args[0] if isinstance(event.args, list) and event.args else event.args
    if isinstance(args, int) and not isinstance(args, bool):
        on_pick(args)
