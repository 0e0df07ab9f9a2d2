"""A form for an event of any kind: its fields with units and defaults, and what is wrong with it while it is filled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from edgebed.ui.steering.forms import SHOWN, Field, Form, event_of, forms, mistake_in, models_of
from emulation.domain.cluster import TestbedConfig

Send = Callable[[dict[str, object], float], Awaitable[None]]
"""Plays an event, without its times, for so many virtual seconds."""


class EventForm:
    """What goes wrong, where, how badly and for how long. Nothing is sent that the event's own type refuses."""

    def __init__(self, testbed: TestbedConfig, send: Send) -> None:
        self._testbed, self._send = testbed, send
        self._forms = forms(testbed)
        self._values: dict[str, ValueElement[Any]] = {}
        with ui.element("div").classes("bar"):
            kinds = {kind: kind.replace("_", " ") for kind in self._forms}
            self._kind = ui.select(
                kinds, label="What happens", value=next(iter(kinds)), on_change=self._other_kind
            )
            self._kind.props("dense outlined").classes("field")
            self._for = ui.input("for", value="60", on_change=self._check)
            self._for.props("dense outlined inputmode=decimal suffix='virtual s'").classes("field")
            self._endless = ui.switch("until it is undone", on_change=self._check)
        self._said = ui.label().classes("quiet")
        self._fields = ui.element("div").classes("bar")
        with ui.element("div").classes("bar"):
            self._button = ui.button("Let it happen", on_click=self._go).props(
                'no-caps unelevated padding="xs md"'
            )
            self._wrong = ui.label().classes("bad").props("role=status")
        self._other_kind()

    @property
    def form(self) -> Form:
        """Of the kind that is chosen."""
        return self._forms[str(self._kind.value)]

    def event(self) -> dict[str, object]:
        """What is asked for, without its times."""
        values = {name: _plain(element.value) for name, element in self._values.items()}
        return event_of(self.form, values)

    @property
    def for_s(self) -> str:
        """How long, as it was written."""
        return "inf" if self._endless.value else str(self._for.value or "")

    def _other_kind(self) -> None:
        self._said.text = self.form.said
        self._fields.clear()
        with self._fields:
            self._values = {field.name: self._input(field) for field in self.form.fields}
        self._check()

    def _input(self, field: Field) -> ValueElement[Any]:
        made: ValueElement[Any]
        if field.input == "flag":
            return ui.switch(field.label, value=bool(field.default), on_change=self._check)
        if field.input == "choice":
            options = {o: SHOWN.get(o, o) if field.name == "visible" else o for o in field.options}
            if not field.required and not field.default:
                options = {"": "all" if field.name == "model" else "–", **options}
            made = ui.select(
                options, label=field.label, value=field.default if field.default in options else None
            )
        else:
            made = ui.input(field.label, value=str(field.default))
            made.props(f"suffix='{field.unit}'" if field.unit else "")
            if field.bounds:
                made.tooltip(field.bounds)
        made.props("dense outlined").classes("field")
        made.on_value_change(self._node_chosen if field.name == "node" else self._check)
        return made

    def _node_chosen(self) -> None:
        """Only models that this node can host are offered."""
        node, model = self._values.get("node"), self._values.get("model")
        if node is not None and isinstance(model, ui.select):
            optional = {"": "all"} if "" in model.options else {}
            hosted = {m: m for m in models_of(self._testbed, str(node.value))}
            kept = model.value if model.value in hosted else next(iter(optional), None)
            model.set_options({**optional, **hosted}, value=kept)
        self._check()

    def _check(self) -> None:
        missing = [f.label for f in self.form.fields if f.required and not self._values[f.name].value]
        wrong = f"choose or give: {', '.join(missing)}" if missing else self.mistake()
        self._wrong.text = wrong
        self._button.set_enabled(not wrong)

    def mistake(self) -> str:
        """What is wrong with what is filled in; empty: nothing."""
        return mistake_in(self.event(), self.for_s, self._testbed)

    async def _go(self) -> None:
        if not self.mistake():
            await self._send(self.event(), inf if self._endless.value else float(self.for_s))


def _plain(value: object) -> str | bool:
    """What a browser sent for a field, as text or a truth value."""
    return value if isinstance(value, bool) else str(value if value is not None else "")[:200]
