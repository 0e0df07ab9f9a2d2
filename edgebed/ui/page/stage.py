"""The one element of our own: map, feed and time slider, drawn in the browser by `room.js` from one message a tick."""

from __future__ import annotations

from typing import Any

from nicegui import events
from nicegui.element import Element

from edgebed.report.palette import scheme_looks
from edgebed.ui.page.deltas import Points, delta, splice
from edgebed.ui.page.room import Room
from edgebed.ui.page.state import state_of


class Stage(Element, component="room.js"):
    """Sends a viewer's browser what changed since the last tick, and does what is asked for there."""

    def __init__(self, room: Room) -> None:
        super().__init__()
        self._room = room
        self._sent: dict[str, Any] = {}
        self._still: object = None
        self._shown: dict[str, Points] = {}
        self._wanted: dict[str, Points] = {}
        room.on_tick(self.refresh)
        self.on("seek", lambda e: room.seek(_number(e)))
        self.on("pace", lambda e: room.at_pace(_number(e)))
        self.on("play", room.play)
        self.on("pause", room.pause)
        self.on("now", room.now)
        self.on("decision", lambda e: room.show(int(_number(e))))
        self.on("node", lambda e: room.show_node(_text(e)))

    def plot(self, chart: int, series: str, points: Points) -> None:
        """Have a series of a chart (an `ui.echart` by its id) show these points: only what changed is sent, with the
        next tick."""
        self._wanted[f"{chart}/{series}"] = points

    def forget(self, chart: int) -> None:
        """A chart was given other series: it shows no points now."""
        for key in [k for k in {**self._shown, **self._wanted} if k.startswith(f"{chart}/")]:
            self._shown.pop(key, None)
            self._wanted.pop(key, None)

    def refresh(self) -> None:
        """Send what changed since the last time, in one message; nothing if nothing did."""
        room = self._room
        if room.source is not None and not self._wanted and room.still() == self._still:
            return
        self._still = room.still()
        if room.source is None:
            state: dict[str, Any] = {"empty": [room.problem or "", room.catalog.title]}
        else:
            state = state_of(room.source, room.moment, room.span())
            state["looks"] = self._looks()
        change = delta(self._sent, state)
        if plots := self._splices():
            change["plots"] = plots
        if change:
            self.run_method("apply", change)
        self._sent = state

    def _splices(self) -> dict[str, Any]:
        """What the plots lack; they are taken to have it from now on."""
        changes = {key: splice(self._shown.get(key, ()), points) for key, points in self._wanted.items()}
        self._shown |= self._wanted
        self._wanted = {}
        return {key: change for key, change in changes.items() if change is not None}

    def compact(self, on: bool) -> None:
        """Show the time slider only, or map and feed too."""
        self.run_method("compact", on)

    def _looks(self) -> dict[str, str]:
        """Scheme to its ink, as in the report."""
        schemes = dict.fromkeys(entry.scheme for entry in self._room.entries)
        return {scheme: look.ink for scheme, look in scheme_looks(schemes).items()}


def _number(event: events.GenericEventArguments) -> float:
    """The number that a browser sent; 0 for anything else."""
    args = _sent(event)
    return float(args) if isinstance(args, int | float) and abs(args) < 1e12 else 0.0


def _text(event: events.GenericEventArguments) -> str:
    """The text that a browser sent; an empty one for anything else."""
    args = _sent(event)
    return args if isinstance(args, str) else ""


def _sent(event: events.GenericEventArguments) -> object:
    return event.args[0] if isinstance(event.args, list) and event.args else event.args
