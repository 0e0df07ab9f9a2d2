"""What one viewer looks at: a run of the catalog, a moment of it, and who wants to know when either changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgebed.ui.page.moment import Moment
from edgebed.ui.page.run_catalog import BeingRead, Entry, RunCatalog, first_shown
from edgebed.ui.page.shared import TICK_S, span_of
from edgebed.ui.views import Source, Span
from emulation.domain.mistakes import Mistake

Told = Callable[[], None]
SLOW_TICKS = 2
"""Every how many of them plots and tables look."""


class Room:
    """One viewer's room. Panels read `source` and `moment`, and are told by `on_tick`, `on_slow` and `on_open`.

    Everything happens on the event loop of the server; what panels are told runs in the viewer's own NiceGUI client.
    """

    def __init__(self, catalog: RunCatalog) -> None:
        self.catalog = catalog
        self.entries: Sequence[Entry] = ()
        self.entry: Entry | None = None
        self.source: Source | None = None
        """None as long as there is nothing to see."""
        self.problem = ""
        """Why there is nothing to see, where that is not for want of runs."""
        self.waiting: Entry | None = None
        """The run that is shown as soon as it has been read."""
        self.moment = Moment()
        self._ticks: list[Told] = []
        self._slow: list[Told] = []
        self._opened: list[Told] = []
        self._ticked = 0
        self._last_s = time.monotonic()
        self.show: Callable[[int], None] = lambda number: None
        """Opens the detail of a decision; set by the panel that can."""
        self.show_node: Callable[[str], None] = lambda node: None
        """Opens the detail of a node; set by the dialog that can."""

    # -- what panels want to be told

    def on_tick(self, told: Told) -> None:
        """Tell it whenever the moment has moved, twice a second."""
        self._ticks.append(told)

    def on_slow(self, told: Told) -> None:
        """Tell it once a second, and at once when somebody goes to another moment."""
        self._slow.append(told)

    def on_open(self, told: Told) -> None:
        """Tell it that another run is shown; also the first one."""
        self._opened.append(told)

    # -- which run

    def look(self) -> None:
        """See which runs there are. Opens the newest if none is open; whoever follows one that has ended goes on to the
        next one that grows."""
        self.entries = self.catalog.entries()
        growing = [entry for entry in self.entries if entry.growing]
        first = first_shown(self.entries)
        if self.waiting is not None:
            self.open(self.waiting.key)
        elif self.source is None and first is not None:
            self.open(first.key)
        elif self.source is not None and self.moment.following and not self.span().growing and growing:
            self.open(growing[-1].key)

    def open(self, key: str) -> None:
        """Show another run, at its end, as soon as it has been read."""
        entry = next((e for e in self.entries if e.key == key), None)
        self.waiting = None
        if entry is None or entry == self.entry:
            return
        try:
            self.source = self.catalog.open(key)
        except BeingRead:
            self.waiting, self.problem = entry, f"Reading {entry.name} …"
            return
        except (Mistake, OSError, ValueError, KeyError) as error:
            self.problem = f"{entry.name} cannot be shown: {error}"
            return
        self.entry, self.problem = entry, ""
        self.moment = Moment.newest(self.span())
        self._tell(self._opened)
        self.again()

    def earlier(self) -> list[Source]:
        """The other schemes' runs on the same requests that are there: ghosts beside the one that is shown."""
        if self.entry is None:
            return []
        mates = [e for e in self.entries if e.seed == self.entry.seed and e.key != self.entry.key]
        return [source for entry in mates if (source := self._opened_or_none(entry)) is not None]

    def _opened_or_none(self, entry: Entry) -> Source | None:
        try:
            return self.catalog.open(entry.key)
        except (BeingRead, Mistake, OSError, ValueError, KeyError):
            return None

    # -- which moment

    def span(self) -> Span:
        """What there is to see of the run that is shown."""
        assert self.source is not None
        return span_of(self.source)

    def still(self) -> object:
        """Equal to what it was before if nothing can have changed since: same run, same moment, and none that grows."""
        if self.source is None:
            return object()
        span = self.span()
        return object() if span.growing else (self.entry, self.moment, span, len(self.entries))

    def seek(self, t_s: float) -> None:
        """Go to a moment and stay there, or go on playing from there."""
        self._move(lambda span: self.moment.at(t_s, span))

    def play(self) -> None:
        """Play from here."""
        self._move(lambda span: self.moment.played(span))

    def pause(self) -> None:
        """Stay here."""
        self._move(lambda span: self.moment.paused())

    def at_pace(self, pace: float) -> None:
        """Play so many virtual seconds per second."""
        self._move(lambda span: self.moment.at_pace(pace))

    def now(self) -> None:
        """Return to the end, and follow it."""
        self._move(Moment.newest)

    def tick(self) -> None:
        """Time has passed."""
        now_s = time.monotonic()
        passed_s, self._last_s = min(now_s - self._last_s, 5 * TICK_S), now_s
        if self._ticked % SLOW_TICKS == 0 or self.waiting is not None:
            self.look()
        if self.source is not None:
            self.moment = self.moment.advanced(self.span(), passed_s)
            if self._ticked % SLOW_TICKS == 0:
                self._tell(self._slow)
        self._tell(self._ticks)
        self._ticked += 1

    def _move(self, moved: Callable[[Span], Moment]) -> None:
        if self.source is not None:
            self.moment = moved(self.span())
            self.again()

    def again(self) -> None:
        """Tell everybody now: the moment is another one, or another panel is looked at."""
        self._tell(self._slow)
        self._tell(self._ticks)

    def _tell(self, told: Sequence[Told]) -> None:
        for each in told:
            each()
