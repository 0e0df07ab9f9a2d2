"""The steering panel: what goes wrong on the testbed is asked for here, seen as it is in force, and taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import background_tasks, ui

from edgebed.ui.page.event_form import EventForm
from edgebed.ui.page.load_form import LoadForm
from edgebed.ui.page.proposal_form import ProposalForm
from edgebed.ui.page.room import Room
from edgebed.ui.page.scheme_form import SchemeForm
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.steering.client import Control, NotDone
from emulation.domain.mistakes import ConfigError
from serve_apps.wire.steer import EventEntry, LoadEntry

EVERY = 2
"""Every how many slow ticks it is asked what is in force."""
STATES = {"waiting": "to come", "in_force": "in force", "ending": "being undone"}
"""Of events that are shown."""


def build(room: Room, shown: Callable[[], bool]) -> None:
    """The panel; `shown` says whether its tab is open: nothing is asked for nobody."""
    ui.html("<h2>Steering</h2>", sanitize=False)
    place, known = ui.element("div"), list[str]()
    with place:
        ui.label("There is no live testbed here to steer: `edgebed up` starts one.").classes("quiet")

    def look() -> None:
        """Once a run says where its testbed answers, that can be steered."""
        url = room.catalog.url if shown() and not known else None
        if url is not None:
            known.append(url)
            place.clear()
            with place:
                _Panel(room, url, shown)

    look()
    room.on_slow(look)


class _Panel:
    """The panel of one viewer."""

    def __init__(self, room: Room, url: str, shown: Callable[[], bool]) -> None:
        self._room, self._url, self._shown = room, url, shown
        self._control = Control(url)
        self._looked, self._busy = 0, False
        self._silent = False
        """Whether the last look found nobody."""
        self._listed: Sequence[EventEntry] | None = None
        self._sent: LoadEntry | None = None
        self._token = ui.element("div").classes("bar")
        self._token.set_visibility(False)
        with self._token:
            self._given = ui.input("Token of the testbed (EDGEBED_TOKEN)", password=True)
            self._given.props("dense outlined autocomplete=off").classes("field")
            ui.button("Use it", on_click=self._use_token).props("no-caps flat dense")
        self._said = ui.label().props("role=status aria-live=polite")
        self._proposals = ProposalForm(self._do)
        self._ledger = ui.element("div")
        self._form = ui.element("div")
        self._load = LoadForm(self._do)
        self._scheme = SchemeForm(self._do)
        room.on_open(self._opened)
        room.on_slow(self._tick)
        ui.context.client.on_delete(lambda: background_tasks.create(self._control.close()))
        if room.source is not None:
            self._opened()

    async def inject(self, event: dict[str, object], for_s: float) -> None:
        """Let something happen."""
        await self._do(
            lambda control: control.inject(event, for_s), lambda n: f"Event {n}: {event['kind']} begins."
        )

    async def undo(self, number: int) -> None:
        """Take an event back."""
        await self._do(
            lambda c: c.undo(number), lambda until_s: f"Event {number} ends at {seconds(until_s)}."
        )

    async def _do(self, ask: Callable[[Control], Awaitable[object]], said: Callable[..., str]) -> None:
        """Ask for something and say what came of it."""
        try:
            self._say(said(await ask(self._control)))
        except ConfigError as error:
            self._refused(error)
        await self._look()

    def _say(self, text: str, bad: bool = False) -> None:
        self._said.text = one_line(text, 400)
        self._said.classes(add="bad" if bad else "hand", remove="hand" if bad else "bad")

    def _refused(self, error: ConfigError) -> None:
        self._say(error.sentence if isinstance(error, NotDone) else str(error), bad=True)
        if isinstance(error, NotDone) and error.wants_token:
            self._token.set_visibility(True)

    async def _use_token(self) -> None:
        await self._control.close()
        self._control = Control(self._url, str(self._given.value or ""))
        self._given.value = ""
        self._token.set_visibility(False)
        self._say("")
        await self._look()

    def _opened(self) -> None:
        """Another run is shown: the first one says what testbed this is."""
        self._scheme.forget()
        if self._room.source is not None and not self._form.default_slot.children:
            with self._form:
                EventForm(self._room.source.testbed, self.inject)

    def _tick(self) -> None:
        self._looked += 1
        if self._looked % EVERY == 0 and self._shown() and not self._busy:
            background_tasks.create(self._look(), name="steering")

    async def _look(self) -> None:
        """See what is in force, and show it if it has changed."""
        self._busy = True
        try:
            found, sent = await self._control.events(), await self._control.load()
            proposed = await self._control.proposals()
        except ConfigError as error:
            self._silent = True
            self._refused(error)
        else:
            if self._silent:
                self._silent = False
                self._say("")
            self._proposals.show(proposed)
            if sent.load != self._sent:
                self._sent = sent.load
                self._load.show(sent.load)
            current = [e for e in found.events if e.state in STATES]
            if current != self._listed:
                self._listed = current
                self._show(current)
                self._scheme.forget()
            background_tasks.create(self._scheme.look(self._control), name="schemes")
        finally:
            self._busy = False

    def _show(self, events: Sequence[EventEntry]) -> None:
        self._ledger.clear()
        with self._ledger:
            if not events:
                ui.label("Nothing is in force.").classes("quiet")
                return
            with ui.element("table").classes("panel-table"):
                with ui.element("tr"):
                    for head in ("event", "what", "where", "state", "since", "until", "by hand", ""):
                        with ui.element("th"):
                            ui.label(head)
                for event in events:
                    with ui.element("tr"):
                        self._row(event)

    def _row(self, event: EventEntry) -> None:
        since_s = event.at_s if event.onset_s is None else event.onset_s
        until = "undone by hand" if event.until_s is None else seconds(event.until_s)
        cells = (
            str(event.event), event.kind.replace("_", " "), event.target, STATES[event.state], seconds(since_s), until,
            "yes" if event.by_hand else "no",
        )  # fmt: skip
        for cell in cells:
            with ui.element("td"):
                ui.label(one_line(cell, 80))
        with ui.element("td"):
            if event.state == "in_force":
                button = ui.button("Undo", on_click=lambda: self.undo(event.event))
                button.props(f'no-caps flat dense aria-label="Undo event {event.event}"')
