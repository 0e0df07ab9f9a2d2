"""From the bytes of a record to its tables: whole lines, each taken up once, whatever stands in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from math import inf
from typing import cast

import numpy as np
import orjson

from edgebed.ui.sifting.sifted import MOST_S, NO_LINE, Routed, Sifted, columns_of, sift
from edgebed.ui.sources.decisions import ROUTER, Decisions, Place
from edgebed.ui.sources.files import OpenFile
from edgebed.ui.sources.requests import Requests
from edgebed.ui.sources.world import World
from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import (
    HYPOTHETICAL,
    DecisionRecord,
    EventRecord,
    RequestRecord,
    RunFooter,
    RunHeader,
)
from emulation.jsonl import RecordError
from emulation.metrics.switches import KIND as SWITCH
from emulation.metrics.switches import Switch, switches_of
from emulation.metrics.view import RunView
from emulation.recording import VersionError, decode, encode

_SAMPLES_A_SLOT = 4


@dataclass(slots=True)
class Tables:
    """All that a record says, ready to be asked."""

    requests: Requests
    world: World
    decisions: Decisions
    header: RunHeader | None = None
    footer: RunFooter | None = None
    lines: int = 0
    bad: list[str] = field(default_factory=list)
    """What is no line of a record, the first few."""

    @property
    def events(self) -> Sequence[EventRecord]:
        """Every line of an event, in order of time."""
        told = (step for fault in self.world.faults.values() for step in fault.steps.until(inf))
        return sorted((line for _, line in told), key=lambda line: line.t_s)

    def switches(self) -> tuple[Switch, ...]:
        """The switches to another scheme, in order."""
        try:
            found = switches_of(cast(RunView, self))
        except (KeyError, TypeError):  # a record of somebody else's
            return ()
        return tuple(Switch(s.t_s, str(s.scheme), str(s.reasoner)) for s in found)

    @property
    def last_s(self) -> float:
        """The latest moment that the record knows; 0 if it knows none."""
        footer_s = float("-inf") if self.footer is None else self.footer.t_s
        latest = max(self.requests.last_s, self.world.last_s, self.decisions.last_s, footer_s)
        return float(latest) if latest > float("-inf") else 0.0


class Intake:
    """Takes up what a file holds, piece by piece."""

    MOST_BAD = 3

    def __init__(self, testbed: TestbedConfig) -> None:
        self._files: list[OpenFile] = []
        self._torn = b""
        self._at = 0
        self.tables = Tables(Requests(), World(testbed), Decisions(self._read_again))

    def begin(self, file: OpenFile) -> None:
        """What comes next is from the begin of this file."""
        self._files.append(file)
        self._torn, self._at = b"", 0
        self.tables.footer = None

    def feed(self, piece: bytes) -> None:
        """More of the present file. What follows its last line end waits for the rest of its line."""
        text = self._torn + piece if self._torn else piece
        end = text.rfind(b"\n") + 1
        self._torn = text[end:]
        if end:
            self.take(sift(text[:end], self._at))

    def end(self) -> None:
        """Nothing more comes: a last line without its end counts, if it is one."""
        try:
            orjson.loads(self._torn)
        except orjson.JSONDecodeError:
            return
        self.feed(b"\n")

    def take(self, more: Sifted) -> None:
        """What the next whole lines of the present file hold."""
        number, tables = len(self._files) - 1, self.tables
        for told in more.told:
            if isinstance(told, Routed):
                places = zip(repeat(number), told.at.tolist(), told.size.tolist(), strict=False)
                tables.decisions.add_routed(told.moments, list(places))
            else:
                self._take_other(told.line, (number, told.at, len(told.line)))
        if more.requests is not None:
            tables.requests.add(more.requests)
        self._at += more.size
        tables.lines += more.lines

    def _take_other(self, line: bytes, place: Place) -> None:
        """Any line, checked field by field; of one that is bad, nothing is taken up."""
        tables = self.tables
        try:
            record = decode(line)
            if not isinstance(record, RunHeader) and not abs(record.t_s) < MOST_S:
                raise ValueError(f"t_s {record.t_s:g} is beyond all times")
            if isinstance(record, RequestRecord):
                one = columns_of([orjson.loads(encode(record))])
                assert one is not None
                tables.requests.add(one)
            elif isinstance(record, DecisionRecord):
                if record.actor == ROUTER or record.outcome == HYPOTHETICAL:
                    tables.decisions.add_routed(np.array([record.t_s]), [place], record.actor)
                else:
                    tables.decisions.add(record, place)
            elif isinstance(record, RunHeader):
                tables.header = tables.header or record
                tables.decisions.sample_s = max(record.slot_s / _SAMPLES_A_SLOT, 1e-6)
            elif isinstance(record, RunFooter):
                tables.footer = record
            else:
                tables.world.add(record)
                if isinstance(record, EventRecord) and record.type == SWITCH:
                    tables.decisions.switched(record.t_s)
        except VersionError as error:
            self._complain(str(error))
        except (RecordError, *NO_LINE) as error:
            self._complain(str(error))

    def _complain(self, said: str) -> None:
        if len(self.tables.bad) < self.MOST_BAD:
            self.tables.bad.append(said[:200])

    def _read_again(self, place: Place) -> DecisionRecord | None:
        file, at, size = place
        try:
            record = decode(self._files[file].read(at, size))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, DecisionRecord) else None
