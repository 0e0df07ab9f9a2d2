"""Which scheme decides, and another one that is to decide from now on."""

from __future__ import annotations

import time

from nicegui import ui

from edgebed.ui.page.load_form import Do
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.steering.client import Control
from emulation.domain.mistakes import ConfigError
from serve_apps.wire.steer import InForce, SchemeList


class SchemeForm:
    """The scheme in force, and a choice of all others; those that cannot come in are shown with the reason."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self._refused: dict[str, str] = {}
        """Scheme to why this run cannot be switched to it; empty: it can."""
        self._known, self._asking, self._switching = False, False, False
        self._now = ui.label("Which scheme decides is not known yet.").classes("quiet")
        with ui.element("div").classes("bar"):
            self._to = ui.select({}, label="Scheme that is to decide", on_change=self._check)
            self._to.props("dense outlined").classes("field")
            self._button = ui.button("Switch to it", on_click=self._switch)
            self._button.props('no-caps unelevated padding="xs md"')
            self._wrong = ui.label().classes("bad").props("role=status")
        self._check()

    def forget(self) -> None:
        """Another scheme may have come into force: it is asked for with the next look."""
        self._known = False

    async def look(self, control: Control) -> None:
        """Ask which schemes there are, unless that is known, or being asked for: a testbed takes seconds to say it the
        first time."""
        if self._known or self._asking:
            return
        self._asking = True
        self._known = True
        try:
            self.show(await control.schemes())
        except ConfigError as error:
            self._known = False
            self._now.text = one_line(f"Which schemes there are cannot be told: {error}", 300)
        finally:
            self._asking = False

    def show(self, found: SchemeList) -> None:
        """These are the schemes."""
        self._refused = {c.scheme: c.refused for c in found.schemes if c.scheme != found.scheme}
        options = {name: _offered(name, why) for name, why in self._refused.items()}
        self._now.text = one_line(f"{found.scheme} decides now.")
        self._to.set_options(options, value=self._to.value if self._to.value in options else None)
        self._check()

    def _check(self) -> None:
        """Nothing is sent that is known to be refused."""
        chosen = self._to.value
        why = self._refused.get(str(chosen), "")
        self._wrong.text = one_line(f"{chosen} is refused: {why}", 400) if why else ""
        self._button.set_enabled(chosen in self._refused and not why and not self._switching)

    async def _switch(self) -> None:
        to, began_s = str(self._to.value), time.monotonic()
        self._switching = True
        self._now.text = one_line(f"{to} is made and taken up by every process …")
        self._check()
        try:
            await self._do(lambda c: c.switch(to), lambda done: answer(done, time.monotonic() - began_s))
        finally:
            self._switching = False
            self.forget()
            self._check()


def answer(done: InForce, took_s: float) -> str:
    """What came of a switch that was answered after so many wall seconds."""
    said = (
        f"{done.scheme} decides from {seconds(done.in_force_s)} of the run on, in force {seconds(took_s)} after it was "
        f"asked for. To undo event {done.event} brings {done.before} back."
    )
    missing = f" Not taken up yet by {', '.join(done.missing)}: they do as soon as they are back."
    return said + missing if done.missing else said


def _offered(scheme: str, why: str) -> str:
    return one_line(f"{scheme} – refused: {why}" if why else scheme, 120)
