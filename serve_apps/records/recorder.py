"""The recorder: the books of the present run, its record on disk, and what restarted actors need to go on.

Records come in numbered batches from every process and are acknowledged when they are written; the record is put in
canonical order when the run is closed. A recorder that was killed reads the books of its run again from their files,
before it answers anybody. Requests a gateway had open when it died are closed as errors, so that the books balance.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulation.domain.measured import Measured
from emulation.domain.records import RunFooter
from emulation.domain.snapshot import Window
from emulation.ledger import ConservationError
from serve_apps.observe.actors import books_samples, restart_samples
from serve_apps.observe.samples import Sample
from serve_apps.records import open_run
from serve_apps.records.books import Books, unpacked
from serve_apps.records.gateways import Gateways
from serve_apps.records.order import footer_of, put_in_order
from serve_apps.records.orphans import adopted
from serve_apps.records.store import CANNOT, Unwritten
from serve_apps.records.takers import Takers
from serve_apps.records.told import Told
from serve_apps.records.turning import Turning
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import ANY_RUN, Finished, RunPlan, RunProgress, RunState
from serve_apps.wire.names import GATEWAY_APP, RECORDER, app_name
from serve_apps.wire.news import News
from serve_apps.wire.switching import TakenUp

log = logging.getLogger("edgebed")

SEALED_S = 3.0
"""Wall seconds gateways have to say that they answer nobody more of a run that its owner left open."""
LOOK_S = 0.05


class Recorder:
    """The named actor `recorder`."""

    def __init__(self, own_folder: Callable[[], Path] | None = None) -> None:
        """`own_folder`: a folder of this actor on its machine, the same after a restart; None: it never restarts."""
        self._own = None if own_folder is None else own_folder()
        self._pointer = None if self._own is None else self._own / open_run.POINTER
        self._lost = ""
        """Why the run that was open could not be gone on with; empty: it could."""
        self._state = RunState(run_id=None, t0_wall=None)
        self._news: News[RunState] = News()
        self._news.begin(ANY_RUN)
        self._run: open_run.OpenRun | None = None
        self._books: Books | None = None
        self._footer: RunFooter | None = None
        """Of the present run, once it is closed."""
        self._unbalanced: ConservationError | None = None
        """What is wrong with its books, if they do not balance."""
        self._left: dict[str, Any] = {}
        self._clock = LiveClock(1.0)
        self._turning = Turning(None)
        self._closing = asyncio.Lock()
        self._gateways = Gateways()
        self._takers, self._told = Takers(), Told()
        self._starts: Counter[str] = Counter()
        """Process to how often it was started since this one was."""
        self._on_demand: frozenset[str] = frozenset()
        """Applications that start and stop as they are wanted."""
        self._go_on()

    # -- a run --------------------------------------------------------------------------------------------

    async def open(self, plan: RunPlan, parts: Mapping[str, Any]) -> None:
        """Begin the books of a run. `parts`: actor name to what it needs to begin, kept for restarts.

        One that was not closed is; if that cannot be done, or a gateway may still answer somebody of it, it is left for
        `edgebed recover`. Raises `Unwritten` if there is no room for the books of this one.
        """
        try:
            await self._see_it_sealed()
            await self.close(interrupted=True)
        except (Unwritten, ConservationError) as error:
            log.error("run %s is left as it is: %s", self._state.run_id, error)
            if self._books is not None:
                self._books.abandon()
            self._set(replace(self._state, closed=True))
        self._lost, self._unbalanced = "", None
        self._left, self._footer = {}, None
        self._gateways.begin()
        self._takers, self._told = Takers(), Told()
        speedup, testbed = plan.scenario.live.speedup, plan.scenario.testbed
        self._clock = LiveClock(speedup)
        run = open_run.OpenRun(
            plan.run_id, plan.header, testbed, speedup, plan.folder, parts, plan.keep_bytes
        )
        folder = Path(plan.folder)
        open_run.clear(folder)
        try:
            run.keep(self._pointer)
            self._books = Books(folder, plan.header, testbed)
        except OSError as error:
            raise Unwritten.because(error) from error
        self._run = run
        self._turning = Turning(plan.keep_bytes)
        cold = plan.scenario.live.lifecycle == "cold"
        apps = (app_name(n.id, m) for n in testbed.nodes for m in testbed.hosted(n.id))
        self._on_demand = frozenset(apps) if cold else frozenset()
        log.info("opened the books of run %s", plan.run_id)
        self._set(RunState(run_id=plan.run_id, t0_wall=None))

    async def start(self, t0_wall: float) -> None:
        """Virtual time begins at this wall time."""
        self._clock.start(t0_wall)
        if self._books is not None:
            self._books.start(t0_wall)
        self._set(replace(self._state, t0_wall=t0_wall))

    async def end(self) -> None:
        """The run is about to be closed: gateways take no further request."""
        if self._books is not None:
            self._ends(sealing=False)

    async def seal(self) -> list[str]:
        """The run is over: gateways answer nobody of it any more, and hand over what they have.

        Returns those of its gateway processes that have not done so yet, be they dead or alive: while one that lives is
        among them the books may not be closed. Raises `Unwritten` as long as there is no room.
        """
        if self._books is None:
            return []
        self._ends(sealing=True)
        self._books.end(sealing=True)
        return self._books.unsealed()

    async def close(self, interrupted: bool = False) -> RunFooter | None:
        """Close the books: footer, files in canonical order. None if no run is open; again, what it was.

        A long record takes minutes; whoever asks meanwhile waits for the same end. Raises `Unwritten` as long as there
        is no room, `ConservationError` if the books do not balance.
        """
        async with self._closing:
            return await self._close(interrupted)

    async def _close(self, interrupted: bool) -> RunFooter | None:
        books = self._books
        if books is None:
            if self._unbalanced is not None:
                raise self._unbalanced
            return self._footer
        log.info("closes the books%s", ", interrupted" if interrupted else "")
        adopted(books, self._own, self._state.run_id)
        try:
            footer = books.close(self._clock.now_s(), interrupted)
            await asyncio.to_thread(put_in_order, books.folder)
        except Unwritten:
            raise
        except OSError as error:
            raise Unwritten.because(error) from error
        except ConservationError as error:
            self._unbalanced = error
            books.abandon()
            self._set(replace(self._state, closed=True))
            raise
        self._set(replace(self._state, closed=True), footer)
        open_run.clear(books.folder)
        await self._turning.end(books.folder)
        return footer

    async def watch(self, run_id: str, version: int, limit_s: float) -> tuple[int, tuple[RunState, ...]]:
        """What became of the present run; see `News.watch`. `run_id` is `ANY_RUN`: one follows runs as they come."""
        return await self._news.watch(run_id, version, limit_s)

    async def part(self, name: str) -> tuple[Any, float | None] | None:
        """What this actor needs to take up the present run, and t0 if it has begun; None if there is no
        run."""
        if self._books is None or self._run is None or name not in self._run.parts:
            return None
        return self._run.parts[name], self._state.t0_wall

    async def switch(self, run_id: str, parts: Mapping[str, Any]) -> int:
        """Others decide from now on: their parts are written in the place of those before, and only then told of.

        Returns the number of the switch. Raises `ValueError` if the run is not open, `Unwritten` if there is no room.
        """
        if self._books is None or self._run is None or run_id != self._state.run_id or self._state.ending:
            raise ValueError("the run is over")
        number = self._state.switch + 1
        marked = {name: replace(part, switch=number) for name, part in parts.items()}
        run = replace(self._run, parts={**self._run.parts, **marked}, switch=number)
        try:
            run.write()
        except OSError as error:
            raise Unwritten.because(error) from error
        self._run = run
        self._set(replace(self._state, switch=number))
        return number

    async def took_up(self, run_id: str, switch: int, name: str, t_s: float) -> None:
        """A process decides by the scheme of this switch, from this virtual second on."""
        if run_id == self._state.run_id:
            await self._takers.note(switch, name, t_s)

    async def taken_up(self, run_id: str, switch: int, names: Sequence[str], limit_s: float) -> TakenUp:
        """What became of a switch once these processes and every living gateway have taken it up, or after a limit."""
        part = [] if self._books is None else self._books.took_part
        gateways = [source for source in await self._gateways.living() if source in part]
        took = await self._takers.all(switch, (*names, *gateways), limit_s)
        said = {source: f"{GATEWAY_APP}:{number}" for number, source in enumerate(part)}
        return TakenUp(
            took_up={said.get(name, name): t_s for name, t_s in sorted(took.items())},
            missing=tuple(said.get(name, name) for name in (*names, *gateways) if name not in took),
        )

    def _set(self, state: RunState, footer: RunFooter | None = None) -> None:
        """Tell what became of the run; `footer`: of one that is closed."""
        self._state, self._footer = state, footer
        if state.closed:
            self._books = None
        self._news.publish(state)

    def _ends(self, sealing: bool) -> None:
        """Note and tell how far the end of the run is; where there is no room for the note, it is told all the same."""
        state = replace(self._state, ending=True, sealing=sealing or self._state.sealing)
        if self._books is None or state == self._state:
            return
        with suppress(Unwritten):
            self._books.end(state.sealing)
        self._set(state)

    async def _see_it_sealed(self) -> None:
        """Before a run is closed that its owner did not end. Raises `Unwritten` if a gateway is silent."""
        until_s = time.monotonic() + SEALED_S
        while left := await self.seal():
            if time.monotonic() > until_s:
                raise Unwritten(f"{left[0]} may still answer somebody")
            await asyncio.sleep(LOOK_S)

    def _go_on(self) -> None:
        """After a restart: read the books of the run that was open, before anybody is answered."""
        try:
            found = open_run.find(self._pointer)
            if found is None:
                return
            log.error("the recorder was restarted; its run is %s", found.run_id)
            if found.run is None:
                self._footer = footer_of(found.folder)
                self._state = RunState(run_id=found.run_id, t0_wall=None, closed=True)
                return
            self._run, self._clock = found.run, LiveClock(found.run.speedup)
            self._turning = Turning(found.run.keep_bytes)
            self._books = Books(found.folder, found.run.header, found.run.testbed)
            self._left = open_run.left(found.folder)
        except Exception as error:  # an actor whose constructor fails is never restarted again
            self._lost = f"{CANNOT}: it cannot be gone on with: {type(error).__name__}: {error}"
            log.exception("%s", self._lost)
            return
        if self._books.t0_wall is not None:
            self._clock.start(self._books.t0_wall)
        books = self._books
        state = RunState(run_id=found.run_id, t0_wall=books.t0_wall, switch=found.run.switch)
        self._set(replace(state, ending=books.ending, sealing=books.sealing))

    # -- who takes part -----------------------------------------------------------------------------------

    async def join(self, run_id: str, source: str, actor: Any, where: Mapping[str, Any] | None = None) -> Any:
        """A gateway takes up a run; returns the last checkpoint, if any. Requests that a gateway which is no more had
        open are closed as errors. `actor`: its own handle, by which it is asked whether it lives, on whatever host.

        Raises `ValueError` if nobody is to be answered of this run any more.
        """
        await self._gateways.joins(source, actor, where or {})
        books = self._books
        if run_id != self._state.run_id or books is None or self._state.ending:
            raise ValueError("the run is over")
        books.takes_part(source)
        others = {s for s, _ in books.open.values()} - {source}
        for other in others if adopted(books, self._own, self._state.run_id) else ():
            if not await self._gateways.alive(other):
                books.gave_up(other, self._clock.now_s(), "the gateway was restarted")
        return self._left.get(GATEWAY_APP)

    async def gateways(self) -> list[dict[str, Any]]:
        """The gateway processes that took up the present run, in order: number, whether it lives, process and URL."""
        return await self._gateways.listed([] if self._books is None else self._books.took_part)

    async def place(self, source: str) -> int:
        """How many gateway processes took up the present run before this one."""
        before = [] if self._books is None else self._books.took_part
        return before.index(source) if source in before else len(before)

    async def ready(self, run_id: str, source: str) -> None:
        """A gateway serves this run."""
        if run_id == self._state.run_id:
            await self._gateways.ready(source)

    async def joined(self, run_id: str, count: int, limit_s: float) -> bool:
        """Whether `count` gateways have taken up this run, which is the present one, within so many wall seconds."""
        return run_id == self._state.run_id and await self._gateways.all_ready(count, limit_s)

    async def checkpoint(self, name: str, content: Any) -> None:
        """Keep the learned state of an actor for its successor."""
        self._left[name] = content
        if self._books is not None:
            open_run.leave(self._books.folder, name, content)

    async def kept(self, name: str) -> Any:
        """What an actor left with `checkpoint` in this run; None if nothing."""
        return self._left.get(name)

    # -- the progress record ------------------------------------------------------------------------------

    async def finished(self, run_id: str, reports: tuple[Finished, ...]) -> None:
        """Write which prompts are finished; of another run than the present one, nothing is written."""
        if run_id == self._state.run_id and self._books is not None and not self._books.closed:
            self._books.progress.add(reports)

    async def take_over(self, run_id: str, request_id: str, attempt: int) -> Measured:
        """What a new attempt at a request starts from; reports of earlier attempts are refused from now on."""
        if run_id != self._state.run_id or self._books is None:
            return Measured()
        return self._books.progress.take_over(request_id, attempt)

    # -- records ------------------------------------------------------------------------------------------

    async def append(
        self, run_id: str, source: str, first: int, entries: bytes, slot: int | None = None
    ) -> None:
        """Write one batch: returns when that is done. What was written before, or is of another run, is passed over.

        `slot`: all that this source saw before its begin is told with this batch. Raises `Unwritten`: whoever sent it
        keeps it.
        """
        if self._lost:
            raise Unwritten(self._lost)
        if run_id != self._state.run_id or self._books is None or self._books.closed:
            ends = sum(method == "end" for method, _ in unpacked(entries))
            said = "%s: records of run %s, %d ends among them, came when it was not open"
            log.log(logging.ERROR if ends else logging.WARNING, said, source, run_id, ends)
            return
        self._books.post(source, first, unpacked(entries))
        if slot is not None:
            await self._told.note(source, slot)
        self._turning.look(self._books, self._clock.now_s())

    async def started(self, name: str) -> None:
        """A process of the testbed was started, for the first time or again."""
        self._starts[name] += 1

    def counted(self) -> list[Sample]:
        """What a scraper is to read: starts of processes, decisions, and the books of the present run."""
        starts = {name: count for name, count in self._starts.items() if name not in self._on_demand}
        found = restart_samples(starts, {GATEWAY_APP: self._gateways.wanted})
        if self._books is None:
            return found
        found += restart_samples({RECORDER: 1 + self._books.restarts}, {})
        ledger = self._books.ledger
        return [*found, *self._books.decided.samples(), *books_samples(ledger.arrived, ledger.ends)]

    async def window(self, reset: bool = False, slot: int = 0) -> Window:
        """What was counted since the last reset, with all that gateways saw before the begin of a slot, if they say it
        in time."""
        if missing := await self._told.missing(slot):
            log.warning("slot %d is counted without what %s saw last", slot, ", ".join(missing))
        return Window() if self._books is None else self._books.window(self._clock.now_s(), reset)

    async def progress(self) -> RunProgress:
        """How far the run is."""
        if self._books is None:
            return RunProgress(t_s=0.0, arrived=0, ended=0, in_system=0, counted_open=0)
        ledger = self._books.ledger
        ended = sum(ends.total() for ends in ledger.ends.values()) + self._books.earlier
        arrived = ledger.arrived.total() + self._books.earlier
        return RunProgress(
            t_s=self._clock.now_s(), arrived=arrived, ended=ended, in_system=arrived - ended,
            counted_open=ledger.counted_open,
        )  # fmt: skip
