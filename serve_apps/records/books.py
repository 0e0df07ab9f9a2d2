"""The books of one open run: what is counted, who is in the system, and its files; rebuilt from these after a crash.

What a batch says is counted at once and acknowledged when it is written. A batch that could not be written waits
here, and nothing else is taken before it: so a sender that sends it again hears the truth.
"""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import RunFooter, RunHeader
from emulation.domain.request import Request
from emulation.domain.snapshot import Window
from emulation.ledger import Ledger
from emulation.recording import take_the_places
from serve_apps.observe.actors import Decided
from serve_apps.records.order import footer_of
from serve_apps.records.progress import ProgressBook
from serve_apps.records.rows import measured_of, request_of, row_of
from serve_apps.records.segments import BEGIN, CARRIED, last_states, move_out, segment_folder
from serve_apps.records.store import NEXT_JOURNAL, RunStore, Unwritten, journal_of, sizes_of

log = logging.getLogger("edgebed")

Entry = tuple[str, tuple[Any, ...]]
"""Method of the run's ledger, and its arguments."""
SEALED = "sealed"
"""Entry without arguments, a gateway's last word: it answers nobody of this run any more."""
OWN = "recorder"
"""Source of what the recorder enters itself."""


def unpacked(entries: bytes) -> list[Entry]:
    """The entries of a batch: each is pickled by itself. One that is torn, the last of a file, is left out."""
    found: list[Entry] = []
    stream = io.BytesIO(entries)
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            found.append(pickle.load(stream))
    return found


class Books:
    """One open run. Every method but `post` and `close` does its work whether there is room on the disk or not."""

    def __init__(self, folder: Path, header: RunHeader, testbed: TestbedConfig) -> None:
        """Raises `Unwritten` or `OSError` if the run's files cannot be begun."""
        self.folder = folder
        self.open: dict[str, tuple[str, Request]] = {}
        """Requests in the system, each with the gateway process it is in."""
        self.took_part: list[str] = []
        """Gateway processes that took up the run, in order."""
        self.ending = self.sealing = False
        """Whether gateways were told to take no further request, and to answer nobody any more."""
        self._sealed: set[str] = set()
        """Gateway processes that have said their last word."""
        self.t0_wall: float | None = None
        self.restarts = 0
        """Times these books were rebuilt."""
        self.write_errors = 0
        self.decided = Decided()
        self.segment = 0
        """Segments of the record that are over."""
        self.earlier = 0
        """Requests that ended in these."""
        self._turning: float | None = None
        """The present segment ended at this time, and the next one is not begun yet."""
        self._numbers: dict[str, int] = {}
        self._footer: RunFooter | None = None
        take_the_places(folder)
        journal, journal_bytes = journal_of(folder)
        sizes = sizes_of(folder, journal) if journal else None
        if journal and "turned_s" in journal[-1]:
            move_out(folder, journal[-1]["segment"])
            sizes = None
        self._store = RunStore(folder, sizes, journal_bytes)
        self.progress = ProgressBook(folder, again=bool(journal))
        self.ledger = Ledger(header, None if journal else self._store, testbed)
        if journal:
            self._rebuild(journal)
        else:
            try:
                self._commit({"began": header.scenario})
            except Unwritten:
                self.abandon()
                raise

    @property
    def closed(self) -> bool:
        """Whether its footer is written: nothing is entered any more."""
        return self._footer is not None

    @property
    def size(self) -> int:
        """Bytes that its record has."""
        return self._store.size

    # -- what is entered ----------------------------------------------------------------------------------

    def post(self, source: str, first: int, entries: Sequence[Entry]) -> None:
        """Enter what a source sends; returns when it is written. What was entered before is passed over.

        `first`: number of the first entry; those of one source are numbered without a gap. Raises `Unwritten`.
        """
        self._settle()
        known = self._numbers.get(source, 0)
        fresh = entries[max(0, known + 1 - first) :]
        if fresh:
            self._enter(source, first + len(entries) - 1, fresh)

    def gave_up(self, source: str, t_s: float, reason: str) -> None:
        """A gateway is no more: what it had open ends as errors."""
        lost = [request for s, request in self.open.values() if s == source]
        ends: list[Entry] = [("end", (request, "error", t_s, None, None, reason)) for request in lost]
        if ends and self._turning is None:  # else they stay in the system
            with suppress(Unwritten):  # it waits, and is written first
                self._enter(OWN, self._numbers.get(OWN, 0) + len(ends), ends)

    def start(self, t0_wall: float) -> None:
        """Virtual time begins at this wall time."""
        self.t0_wall = t0_wall
        self._note({"t0_wall": t0_wall})

    def takes_part(self, source: str) -> None:
        """A gateway process takes up the run."""
        if source not in self.took_part:
            self.took_part.append(source)
            self._note({"took_part": source})

    def end(self, sealing: bool = False) -> None:
        """The run is about to be closed; `sealing`: gateways are to answer nobody any more. Raises `Unwritten`; it
        counts all the same."""
        if not self.ending or sealing > self.sealing:
            self.ending, self.sealing = True, sealing
            self._commit({"ending": True, "sealing": sealing})
        self._settle()

    def unsealed(self) -> list[str]:
        """Gateway processes that have not said yet that they answer nobody any more, be they dead or alive."""
        left = [source for source in self.took_part if source not in self._sealed]
        return [] if self.closed else left

    def window(self, t_s: float, reset: bool) -> Window:
        """What was counted since the last reset."""
        found = self.ledger.window(t_s, reset)
        if reset:
            self._note({"reset_s": t_s})
        return found

    # -- segments -----------------------------------------------------------------------------------------

    def turn(self, t_s: float) -> None:
        """End the present segment of the record and begin the next one. Raises `Unwritten`; it is then done later."""
        self._settle()
        ended = sum(ends.total() for ends in self.ledger.ends.values())
        in_system = [request for _, request in self.open.values()]
        self.ledger.turn(t_s, in_system, {CARRIED: len(in_system)})
        self._turning, self.earlier = t_s, self.earlier + ended
        note = {"turned_s": t_s, "segment": self.segment, "ended": ended}
        self._commit(note)
        self._settle()

    def _begin_segment(self, begin_s: float) -> None:
        states = last_states(segment_folder(self.folder, self.segment), self.folder)
        move_out(self.folder, self.segment)
        self._store.close()
        self.progress.turn()
        store = self._store = RunStore(self.folder, journal=NEXT_JOURNAL)
        store.write(self.ledger.header, {"segment": self.segment + 1, BEGIN: begin_s})
        for state in states:
            store.write(replace(state, t_s=begin_s))
        base = {
            "numbers": self._numbers, "took_part": self.took_part,
            "open": [(source, row_of(r)) for source, r in self.open.values()],
            "t0_wall": self.t0_wall, "restarts": self.restarts, "segment": self.segment + 1,
            "earlier": self.earlier, "ending": self.ending, "sealing": self.sealing,
            "sealed": sorted(self._sealed),
        }  # fmt: skip
        store.commit({"base": base})
        store.take_the_place(self.folder)
        self.ledger.write_to(store)
        self._turning, self.segment = None, self.segment + 1

    # -- the end ------------------------------------------------------------------------------------------

    def close(self, t_s: float, interrupted: bool) -> RunFooter:
        """Write who is still in the system, and the footer; its files are then closed. May be called again.

        Raises `Unwritten`, and `ConservationError` if the books do not balance.
        """
        self._settle()
        if self._footer is None:
            unfinished = [(request, None, None) for _, request in self.open.values()]
            try:
                self._footer = self.ledger.close(t_s, unfinished, interrupted, self._troubles())
            finally:
                self._commit({"closed": True})
        self.abandon()
        return self._footer

    def _troubles(self) -> dict[str, Any] | None:
        """What its reader should know of how it was kept; None: nothing."""
        found = {"restarts": self.restarts, "write_errors": self.write_errors}
        return {"recorder": found} if any(found.values()) else None

    def abandon(self) -> None:
        """Close its files as they are."""
        self._store.close()
        self.progress.close()

    # -- inside -------------------------------------------------------------------------------------------

    def _enter(self, source: str, last: int, fresh: Sequence[Entry]) -> None:
        arrived: list[dict[str, Any]] = []
        ended: list[tuple[Any, ...]] = []
        note: dict[str, Any] = {"source": source, "last": last, "arrived": arrived, "ended": ended}
        for method, args in fresh:
            if method == "arrive":
                self._arrive(source, args[0])
                arrived.append(row_of(args[0]))
            elif method == "end":
                if self._end(*args):
                    outcome, t_s, *measured = args[1:4]
                    ended.append((args[0].id, outcome, t_s, *[m and row_of(m) for m in measured]))
            elif method == SEALED:
                self._sealed.add(source)
                note[SEALED] = True
            else:
                self._count(method, args)
                getattr(self.ledger, method)(*args)
        self._numbers[source] = last
        self._commit(note)

    def _count(self, method: str, args: tuple[Any, ...]) -> None:
        """Count what controllers decide, for who scrapes."""
        if method == "decide":
            decision, _, outcome, *_ = args
            self.decided.note(decision.actor, outcome, decision.thinking_s)
        elif method == "audit":
            self.decided.note(args[0].actor, args[0].outcome, args[0].thinking_s)

    def _arrive(self, source: str, request: Request) -> None:
        self.open[request.id] = (source, request)
        self.ledger.arrive(request)

    def _end(self, request: Request, *ended: Any) -> bool:
        """Whether it was in the system: one that was closed when its gateway was thought dead is not counted again."""
        if self.open.pop(request.id, None) is None:
            return False
        self.progress.ended(request.id)
        self.ledger.end(request, *ended)
        return True

    def _settle(self) -> None:
        try:
            self._store.settle()
            if self._turning is not None:
                self._begin_segment(self._turning)
        except Unwritten:
            self.write_errors += 1
            raise
        except OSError as error:
            self.write_errors += 1
            raise Unwritten.because(error) from error

    def _commit(self, note: Mapping[str, Any]) -> None:
        try:
            self._store.commit(note)
        except Unwritten:
            self.write_errors += 1
            raise

    def _note(self, note: Mapping[str, Any]) -> None:
        try:
            self._commit(note)
        except Unwritten as error:
            log.error("%s: %s", self.folder, error)

    def _rebuild(self, journal: Iterable[Mapping[str, Any]]) -> None:
        """Count again what the journal says was written, then go on writing behind it."""
        for line in journal:
            if "source" in line:
                self._count_again(line)
            elif "reset_s" in line:
                self.ledger.window(line["reset_s"], reset=True)
            elif "t0_wall" in line:
                self.t0_wall = line["t0_wall"]
            elif "took_part" in line:
                self.took_part.append(line["took_part"])
            elif "ending" in line:
                self.ending, self.sealing = True, line["sealing"]
            elif "closed" in line:
                self.ending = self.sealing = True
                self._footer = footer_of(self.folder)
            elif "base" in line:
                self._take_base(line["base"])
            elif "turned_s" in line:
                self.ledger.turn(line["turned_s"], [request for _, request in self.open.values()], None)
                self._turning, self.earlier = line["turned_s"], self.earlier + line["ended"]
            self.restarts += "rebuilt" in line
        if self._footer is not None:
            return
        self.restarts += 1
        if self._turning is not None:
            with suppress(Unwritten):  # it is begun with what comes next
                self._settle()
            return
        self.ledger.write_to(self._store)
        self._note({"rebuilt": self.restarts})

    def _take_base(self, base: Mapping[str, Any]) -> None:
        """What a segment begins with."""
        for source, row in base["open"]:
            request = request_of(row)
            self.open[request.id] = (source, request)
        self.ledger.carry([request for _, request in self.open.values()])
        self._numbers, self.took_part = dict(base["numbers"]), list(base["took_part"])
        self.t0_wall, self.restarts = base["t0_wall"], base["restarts"]
        self.segment, self.earlier = base["segment"], base["earlier"]
        self.ending, self.sealing = base.get("ending", False), base.get("sealing", False)
        self._sealed = set(base.get("sealed", ()))

    def _count_again(self, line: Mapping[str, Any]) -> None:
        self._numbers[line["source"]] = line["last"]
        if SEALED in line:
            self._sealed.add(line["source"])
        for row in line["arrived"]:
            self._arrive(line["source"], request_of(row))
        for request_id, outcome, t_s, *measured in line["ended"]:
            _, request = self.open[request_id]
            again = measured_of(measured[0]) if measured and measured[0] else None
            self._end(request, outcome, t_s, again)
