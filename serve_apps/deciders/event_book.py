"""The events of a run, those of its plan and those by hand, and how far each of them is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.events import Event, LlmOutage, SchemeSwitch
from emulation.domain.last_begun import LastBegun
from emulation.domain.scenario import Scenario
from emulation.faults import FAULTS, Step, timeline
from emulation.outside_faults import check_outside_faults
from serve_apps.wire.steer import EventEntry, State


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, and what became of it. Times in virtual seconds."""

    event: Event
    by_hand: bool = False
    cut: bool = False
    """Whether somebody undid it before its time."""
    onset_s: float | None = None
    ending: bool = False
    """Whether its undo is under way."""
    undone_s: float | None = None
    missed: bool = False

    @property
    def state(self) -> State:
        """How far it is."""
        if self.undone_s is not None:
            return "over"
        if self.ending:
            return "ending"
        if self.onset_s is not None:
            return "in_force"
        return "missed" if self.missed else "waiting"


@dataclass(frozen=True, slots=True)
class EventCheckpoint:
    """What a player leaves with the recorder for the process that takes its place."""

    run_id: str
    entries: tuple[Entry, ...]


class EventBook:
    """Numbers events, says what may be done to them, and notes what was. Performs nothing."""

    def __init__(self, scenario: Scenario, entries: Sequence[Entry] | None = None) -> None:
        """`entries`: how far they were; None: the scenario's plan, and nothing has happened."""
        self._scenario = scenario
        self.entries = list(map(Entry, scenario.events) if entries is None else entries)

    def add(self, event: Event, now_s: float) -> int:
        """Take up one by hand; its number. Raises `ValueError` if it is over or impossible beside the others."""
        if event.until_s <= now_s:
            raise ValueError(f"until_s {event.until_s:g} is past: it is {now_s:.1f} s now")
        events = (*(entry.event for entry in self.entries), event)
        try:
            Scenario.model_validate({**dict(self._scenario), "events": events})
        except ValidationError as error:  # pydantic's own does not survive the way back to the caller
            raise ValueError(complaint(Scenario, error)) from None
        check_outside_faults([event])
        self.entries.append(Entry(event, by_hand=True))
        return len(self.entries) - 1

    def take_back(self, number: int) -> None:
        """The last one was not taken after all."""
        assert number == len(self.entries) - 1
        self.entries.pop()

    def cut(self, number: int, now_s: float) -> None:
        """End one now instead of when it was to end. Raises `ValueError` if there is nothing to be undone."""
        if not 0 <= number < len(self.entries):
            known = f"the last one is {len(self.entries) - 1}" if self.entries else "there is none"
            raise ValueError(f"no event {number} in this run; {known}")
        entry = self.entries[number]
        if entry.state != "in_force":
            raise ValueError(f"event {number}, {entry.event.kind} of {entry.event.target}, {_why_not(entry)}")
        event = entry.event.model_copy(update={"until_s": now_s})
        self.entries[number] = replace(entry, event=event, cut=True)

    def steps(self, again: bool = False) -> list[Step]:
        """Every step of every event, in time order. `again`: what is over is left out, for it was played."""
        found = timeline([entry.event for entry in self.entries], self._scenario.testbed)
        return [self._marked(s) for s in found if not (again and self.entries[s.event].state == "over")]

    def steps_of(self, number: int) -> Iterator[Step]:
        """The steps of one event, onset first, undo last."""
        event = self.entries[number].event
        return map(self._marked, FAULTS[event.kind].steps(event, number, self._scenario.testbed))

    def undoing(self, step: Step) -> None:
        """The undo of an event begins."""
        self.entries[step.event] = replace(self.entries[step.event], ending=True)

    def landed(self, step: Step, t_s: float) -> None:
        """A step took effect."""
        entry = self.entries[step.event]
        if step.phase == "undo":
            entry = replace(entry, undone_s=t_s)
        elif entry.onset_s is None:
            entry = replace(entry, onset_s=t_s)
        self.entries[step.event] = entry

    def missed(self, step: Step) -> None:
        """A step landed nowhere."""
        if step.phase == "onset":
            self.entries[step.event] = replace(self.entries[step.event], missed=True)

    def in_force(self) -> Iterator[Event]:
        """Those that landed and are not undone."""
        return (event for _, event in self._in_order())

    def schemes(self, own: str) -> LastBegun[str]:
        """Which scheme is in force by the switches that landed; `own`: the one that the run began with."""
        found = LastBegun(own)
        for number, event in self._in_order():
            if isinstance(event, SchemeSwitch):
                found.begin(number, event.to)
        return found

    def outages(self) -> LastBegun[str | None]:
        """How the reasoners fail by the outages that landed; None: they do not."""
        found: LastBegun[str | None] = LastBegun(None)
        for number, event in self._in_order():
            if isinstance(event, LlmOutage):
                found.begin(number, event.failure)
        return found

    def _in_order(self) -> list[tuple[int, Event]]:
        """(number, event) of those that landed and are not undone, as they landed."""
        numbered = enumerate(self.entries)
        landed = [(e.onset_s, n) for n, e in numbered if e.onset_s is not None and e.undone_s is None]
        return [(number, self.entries[number].event) for _, number in sorted(landed)]

    def listed(self) -> Iterator[EventEntry]:
        """All of them, by number."""
        for number, entry in enumerate(self.entries):
            spec = json.loads(entry.event.model_dump_json())  # infinity as JSON can say it
            yield EventEntry(
                event=number, kind=entry.event.kind, target=entry.event.target, state=entry.state,
                by_hand=entry.by_hand, at_s=entry.event.at_s, until_s=spec["until_s"], onset_s=entry.onset_s,
                undone_s=entry.undone_s, spec=spec,
            )  # fmt: skip

    def _marked(self, step: Step) -> Step:
        entry = self.entries[step.event]
        return replace(step, by_hand=entry.by_hand or (entry.cut and step.phase == "undo"))


def _why_not(entry: Entry) -> str:
    """Why an event cannot be undone."""
    return {
        "waiting": f"is not in force yet: it begins at {entry.event.at_s:g} s",
        "ending": "is being undone already",
        "over": f"is over since {entry.undone_s or 0.0:.1f} s",
        "missed": "landed nowhere, so there is nothing to undo",
    }[entry.state]
