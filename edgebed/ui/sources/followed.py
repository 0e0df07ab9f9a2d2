"""A run that is followed: what its record says by now, and of what has not ended what the gateways say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from weakref import finalize

import numpy as np

from edgebed.runs.layout import seed_of
from edgebed.runs.manifest import read_note
from edgebed.ui.sources.files import is_fresh, is_held
from edgebed.ui.sources.scrape import Look, Scrape
from edgebed.ui.sources.source import TableRun
from edgebed.ui.sources.tail import Tail
from edgebed.ui.views import (
    CostView,
    DecisionDetail,
    DecisionView,
    EventView,
    ExecutorView,
    Frame,
    NodeView,
    Series,
    Span,
)
from emulation.domain.mistakes import ConfigError
from emulation.domain.scenario import Scenario

LOOK_S = 0.1
"""Wall seconds between two looks at the files."""
PATIENCE_S = 0.05
"""Wall seconds of reading within one call; the rest is read with the next."""
WRITTEN_S = 1.0
"""Wall seconds between two looks whether somebody writes."""


class FollowedRun(TableRun):
    """A `views.Source` over the folder of a run: recorded, growing, or not begun. Callers may be several threads."""

    def __init__(self, folder: Path, scenario: Scenario, url: str | None = None) -> None:
        """`url`: of the gateways that serve it while it grows; None: nobody is asked."""
        super().__init__(scenario, folder.parent.name, seed_of(folder) or 0)
        self._folder, self._lock = folder, RLock()
        self._tail = Tail(folder, scenario.testbed)
        self._scrape = None if url is None else Scrape(url)
        if self._scrape is not None:
            finalize(self, self._scrape.stop)
        self._looked_s = self._asked_s = float("-inf")
        self._growing, self._trouble, self._failed = False, "", ""
        self._take_up()

    def read_all(self) -> None:
        """Read all there is now, however long that takes. Raises `OSError`."""
        with self._lock:
            self._tail.read_all()
            self._look()
            if not self._growing:
                self._tail.reading.end()
                self._name()
            TableRun.frame(self, 0.0)  # whatever is in no order is sorted now
            TableRun.series(self, 0.0)

    def close(self) -> None:
        """Ask no gateway any more."""
        if self._scrape is not None:
            self._scrape.close()

    # -- keeping up -----------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        reading = self._tail.reading
        self._show(reading.tables, reading.first_tokens, reading.from_s)
        self._name()

    def _look(self) -> None:
        """Read what is new, if that was not done just now."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        try:
            if self._tail.look(PATIENCE_S):
                self._take_up()
            self._trouble = ""
        except OSError as error:
            self._trouble = f"its record cannot be read: {error.strerror}"
        if now_s - self._asked_s > WRITTEN_S:
            self._asked_s = now_s
            self._ask()
            self._name()
        self._looked_s = time.monotonic()

    def _ask(self) -> None:
        """See whether it grows still; if so, its gateways are asked, else what became of it is read."""
        closed, held = self._tables.footer is not None, is_held(self._folder)
        self._growing = held or (not closed and is_fresh(self._folder))
        if self._growing and self._scrape is not None:
            self._scrape.start()
        elif closed and self._scrape is not None:
            self._scrape.stop()
        if not self._growing and self._tables.footer is None:
            try:
                note = read_note(self._folder)
                self._failed = "" if note is None or note.failed is None else note.failed
            except ConfigError as error:
                self._failed = str(error)

    # -- what is asked --------------------------------------------------------------------------------------

    def span(self) -> Span:
        """How far it is."""
        with self._lock:
            self._look()
            span = super().span()
            return replace(span, growing=self._growing, problem=self._problem(span.to_s))

    def _looks(self) -> list[Look]:
        """What the gateways said of this run, while it grows."""
        if not self._growing or self._scrape is None:
            return []
        return [look for look in self._scrape.looks.copy() if look.scheme in self._schemes]

    def _to_s(self) -> float:
        return max([super()._to_s(), *(look.t_s for look in self._looks()[-1:])])

    def _problem(self, to_s: float) -> str:
        tables, footer = self._tables, self._tables.footer
        found = [self._trouble] if self._trouble else []
        if tables.bad:
            found.append(f"not all of its record can be read: {tables.bad[0]}")
        if self._growing:
            found += [self._scrape.problem] if self._scrape is not None and self._scrape.problem else []
        elif self._failed:
            found.append(f"it failed: {self._failed}")
        elif tables.header is None:
            found.append("nothing has been recorded yet")
        elif footer is None:
            found.append(f"its record was not closed: it ends at {to_s:.0f} s")
        elif footer.interrupted:
            found.append(f"it was interrupted at {to_s:.0f} s")
        return "; ".join(found)

    def frame(self, t_s: float) -> Frame:
        """The world at that moment. While it grows, who has not ended is in no record: the gateways say how many."""
        with self._lock:
            self._look()
            frame = super().frame(t_s)
            if not self._growing:
                return frame
            look = None if self._scrape is None else self._scrape.at(t_s)
            if look is not None and look.scheme in self._schemes:
                return _with(frame, look)
            return frame if t_s < self._sure_s() else _unsure(frame)

    def _sure_s(self) -> float:
        """Whoever arrived before this moment has surely ended, and is in the record."""
        header = self._tables.header
        if header is None or header.deadline_s is None:
            return float("-inf")
        return self._tables.last_s - header.deadline_s

    def series(self, until_s: float) -> Series:
        """How it went up to then, in at most 240 buckets. While it grows, arrivals are those that were counted."""
        with self._lock:
            self._look()
            series = super().series(until_s)
            looks = self._looks()
            return _with_arrivals(series, looks) if looks else series

    def decisions(
        self, until_s: float, actors: Sequence[str] = (), before: int | None = None, most: int = 50
    ) -> Sequence[DecisionView]:
        """As `TableRun.decisions`."""
        with self._lock:
            self._look()
            return super().decisions(until_s, actors, before, most)

    def decision(self, number: int) -> DecisionDetail:
        """All about one of them. Raises `KeyError` if there is none of that number."""
        with self._lock:
            return super().decision(number)

    def events(self, until_s: float) -> Sequence[EventView]:
        """The fault ledger up to then."""
        with self._lock:
            self._look()
            return super().events(until_s)

    def costs(self, until_s: float) -> Sequence[CostView]:
        """What deciding cost up to then."""
        with self._lock:
            self._look()
            return super().costs(until_s)


def _with(frame: Frame, look: Look) -> Frame:
    """A frame with what recorder, gateways and nodes said of what is under way.

    Arrivals are those in the recorder's books, as are ends: so none is counted twice. Where these books were begun
    anew, with a segment of the record, those in the gateways come on top of what ended.
    """
    arrived = sum(look.arrived.values())
    if arrived < frame.arrived:
        arrived = max(frame.arrived, frame.done + frame.failed + look.in_flight)
    nodes = tuple(
        replace(node, executors=tuple(_executor_with(node, e, look) for e in node.executors))
        for node in frame.nodes
    )
    return replace(frame, nodes=nodes, arrived=arrived, in_system=arrived - frame.done - frame.failed)


def _with_arrivals(series: Series, looks: Sequence[Look]) -> Series:
    """A series with those who have arrived and not ended, whom no record names yet."""
    moments, ends = [look.t_s for look in looks], np.array(series.t_s)
    models = {}
    for model, own in series.models.items():
        recorded = np.cumsum(own.arrived_per_s) * series.bucket_s
        counted = np.interp(ends, moments, [look.arrived.get(model, 0) for look in looks], left=0.0)
        known = np.maximum.accumulate(np.maximum(recorded, counted))
        per_s = np.diff(known, prepend=0.0) / series.bucket_s
        models[model] = replace(own, arrived_per_s=tuple(per_s.tolist()))
    return replace(series, models=models)


def _executor_with(node: NodeView, executor: ExecutorView, look: Look) -> ExecutorView:
    models = executor.model.split(", ")
    known = [look.queued[node.id, m] for m in models if (node.id, m) in look.queued]
    share = look.share.get(executor.id, executor.gpu_share) if executor.gpu_share is not None else None
    return replace(
        executor,
        queued=sum(known) if known else None,
        gpu_share=share,
        masked=executor.masked or executor.id in look.masked,
    )


def _unsure(frame: Frame) -> Frame:
    """A frame of which nobody knows who was under way."""
    return replace(
        frame,
        nodes=tuple(
            replace(node, executors=tuple(replace(e, queued=None) for e in node.executors))
            for node in frame.nodes
        ),
    )
