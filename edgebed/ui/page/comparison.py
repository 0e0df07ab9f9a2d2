"""The comparison tab: read in a process of its own when a record has changed, for all viewers at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from nicegui import background_tasks, run, ui

from edgebed.ui.comparing.compared import Compared, compared, fingerprint
from edgebed.ui.comparing.fragment import fragment
from edgebed.ui.page.room import Room

log = logging.getLogger("edgebed")
EVERY_S = 10.0
"""Wall seconds between two readings of records that grow."""
MOST = 8
"""Readings that are kept."""
Choice = tuple[Path, int | None, str | None]
"""Folder, seed whose events are told, and scheme to compare with."""


class Readings:
    """What has been read, for every viewer: one process reads at a time, and nothing twice."""

    def __init__(self) -> None:
        self._read: dict[Choice, tuple[object, float, Compared | str]] = {}
        self._one = asyncio.Lock()

    async def of(self, choice: Choice) -> Compared | str:
        """The comparison as its records were at most `EVERY_S` ago."""
        async with self._one:
            known = self._read.get(choice)
            if known is not None and not self._stale(choice, known):
                return known[2]
            seen = fingerprint(choice[0])
            try:
                found = await run.cpu_bound(compared, *choice)
            except (BrokenProcessPool, run.SubprocessException) as error:
                log.warning("the comparison cannot be read: %s", error)
                found = "The records could not be read; the log of this page says more. It is tried again."
            if found is None:  # the server is stopping
                return ""
            self._read[choice] = (seen, time.monotonic(), found)
            if isinstance(found, Compared):  # what stands for no choice is a choice too
                self._read[choice[0], found.seed, found.baseline] = self._read[choice]
            while len(self._read) > MOST:
                self._read.pop(next(iter(self._read)))
            return found

    def stale(self, choice: Choice) -> bool:
        """Whether another reading would say something else."""
        known = self._read.get(choice)
        return known is None or self._stale(choice, known)

    def _stale(self, choice: Choice, known: tuple[object, float, Compared | str]) -> bool:
        return time.monotonic() - known[1] > EVERY_S and fingerprint(choice[0]) != known[0]


def build(room: Room, readings: Readings, shown: Callable[[], bool]) -> None:
    """The panel; `shown` says whether its tab is open: nothing is read for nobody."""
    _Panel(room, readings, shown)


class _Panel:
    """The tab of one viewer."""

    def __init__(self, room: Room, readings: Readings, shown: Callable[[], bool]) -> None:
        self._room, self._readings, self._shown = room, readings, shown
        self._at: Choice | None = None
        self._found: object = None
        self._busy = False
        with ui.element("div").classes("row"):
            self._seed = ui.select({}, label="Seed of the events").props("dense outlined")
            self._baseline = ui.select({}, label="Difference to").props("dense outlined")
        for select in (self._seed, self._baseline):
            select.style("min-width: 11rem").set_visibility(False)
            select.on_value_change(self.look)
        self._said = ui.label("Reading the records …").classes("quiet").props("role=status")
        # The fragment escapes every text itself; its pictures are drawn here.
        self._html = ui.html("", sanitize=False)
        room.on_slow(self.look)

    def look(self) -> None:
        """See whether there is something new to show, and have it read."""
        choice = self._choice()
        if not self._shown() or self._busy:
            return
        if choice is None:
            self._say("Nothing is recorded yet.")
        elif choice != self._at or self._readings.stale(choice):
            self._busy = True
            background_tasks.create(self._read(choice), name="comparison")

    def _choice(self) -> Choice | None:
        root = self._room.catalog.root
        return None if root is None else (root, self._seed.value, self._baseline.value)

    async def _read(self, choice: Choice) -> None:
        try:
            found = await self._readings.of(choice)
            if choice == self._choice():  # else something else has been chosen meanwhile, and is read next
                self._show(found)
                self._at = self._choice()
        finally:
            self._busy = False

    def _show(self, found: Compared | str) -> None:
        if found is self._found:
            return
        self._found = found
        if isinstance(found, str):
            self._say(found)
            return
        self._said.set_visibility(False)
        self._html.set_content(fragment(found))
        self._seed.set_options({s: str(s) for s in found.seeds}, value=found.seed)
        self._seed.set_visibility(len(found.seeds) > 1)
        self._baseline.set_options(dict(found.labels), value=found.baseline)
        self._baseline.set_visibility(len(found.labels) > 1)

    def _say(self, text: str) -> None:
        self._said.text = text
        self._said.set_visibility(True)
        self._html.set_content("")
