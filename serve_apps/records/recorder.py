"""The recorder: the books of the present run, its record on disk, and what restarted actors need to go on.

Records come in numbered batches from every process, are written to the run's folder at once (flushed per
batch), and put in canonical order when the run is closed. Requests a gateway had open when it died are closed
as errors, so that the books balance.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from emulation.domain.measured import Measured
from emulation.domain.records import RunFooter
from emulation.domain.request import Request
from emulation.domain.snapshot import Window
from emulation.jsonl import read_lines
from emulation.ledger import Ledger
from emulation.recording import RECORD_FILE, SIDE_FILE, JsonlSink, canonical_order, decode, write_whole
from serve_apps.observe.actors import Decided, books_samples, restart_samples
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import Entry
from serve_apps.records.progress import ProgressBook
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Finished, RunPlan, RunProgress, RunState
from serve_apps.wire.names import GATEWAY_APP, app_name
from serve_apps.wire.news import News
from serve_apps.wire.restart import lives

log = logging.getLogger("edgebed")

ANY_RUN = ""
"""What followers of runs give as the run's id."""
ALIVE_TIMEOUT_S = 3.0
"""Wall seconds after which a gateway that does not answer counts as gone."""


class Recorder:
    """The named actor `recorder`."""

    def __init__(self) -> None:
        self._state = RunState(run_id=None, t0_wall=None)
        self._news: News[RunState] = News()
        self._news.begin(ANY_RUN)
        self._parts: Mapping[str, Any] = {}
        self._checkpoints: dict[str, Any] = {}
        self._clock = LiveClock(1.0)
        self._ledger: Ledger | None = None
        self._sink: JsonlSink | None = None
        self._finished: ProgressBook | None = None
        self._folder = Path()
        self._numbers: dict[str, int] = {}
        self._open: dict[str, tuple[str, Request]] = {}
        self._joined: set[str] = set()
        self._joining = asyncio.Condition()
        self._gateways: dict[str, Any] = {}
        self._where: dict[str, Mapping[str, Any]] = {}
        """Gateway to its process and the address of it alone."""
        self._took_part: list[str] = []
        """Gateway processes that took up the present run, in order."""
        self._starts: Counter[str] = Counter()
        """Process to how often it was started since this one was."""
        self._gateways_wanted = 1
        self._on_demand: frozenset[str] = frozenset()
        """Applications that start and stop as they are wanted."""
        self._decided = Decided()

    # -- a run --------------------------------------------------------------------------------------------

    async def open(self, plan: RunPlan, parts: Mapping[str, Any]) -> None:
        """Begin the books of a run. `parts`: actor name to what it needs to begin, kept for restarts."""
        if self._ledger is not None:
            await self.close(interrupted=True)
        self._parts, self._checkpoints, self._numbers = parts, {}, {}
        self._open, self._joined, self._took_part = {}, set(), []
        self._clock = LiveClock(plan.scenario.live.speedup)
        self._folder = Path(plan.folder)
        self._sink = JsonlSink(self._folder, flush_every=1_000_000)
        self._finished = ProgressBook(self._folder)
        self._ledger = Ledger(plan.header, self._sink, plan.scenario.testbed)
        self._decided = Decided()
        cold, testbed = plan.scenario.live.lifecycle == "cold", plan.scenario.testbed
        apps = (app_name(n.id, m) for n in testbed.nodes for m in testbed.hosted(n.id))
        self._on_demand = frozenset(apps) if cold else frozenset()
        log.info("opened the books of run %s", plan.run_id)
        self._set(RunState(run_id=plan.run_id, t0_wall=None))

    async def start(self, t0_wall: float) -> None:
        """Virtual time begins at this wall time."""
        self._clock.start(t0_wall)
        self._set(replace(self._state, t0_wall=t0_wall))

    async def close(self, interrupted: bool = False) -> RunFooter | None:
        """Close the books: footer, files in canonical order. None if no run is open.

        Raises `ConservationError` if they do not balance.
        """
        ledger, sink = self._ledger, self._sink
        if ledger is None or sink is None:
            return None
        self._ledger = self._sink = None
        self._set(replace(self._state, closed=True))
        log.info("closes the books%s", ", interrupted" if interrupted else "")
        try:
            unfinished = [(request, None, None) for _, request in self._open.values()]
            return ledger.close(self._clock.now_s(), unfinished, interrupted)
        finally:
            sink.close()
            if self._finished is not None:
                self._finished.close()
            put_in_order(self._folder)

    async def watch(self, run_id: str, version: int, limit_s: float) -> tuple[int, tuple[RunState, ...]]:
        """What became of the present run; see `News.watch`. `run_id` is `ANY_RUN`: one follows runs as they come."""
        return await self._news.watch(run_id, version, limit_s)

    async def part(self, name: str) -> tuple[Any, float | None] | None:
        """What this actor needs to take up the present run, and t0 if it has begun; None if there is no
        run."""
        if self._ledger is None or name not in self._parts:
            return None
        return self._parts[name], self._state.t0_wall

    def _set(self, state: RunState) -> None:
        self._state = state
        self._news.publish(state)

    # -- who takes part -----------------------------------------------------------------------------------

    async def join(self, run_id: str, source: str, actor: Any, where: Mapping[str, Any] | None = None) -> Any:
        """A gateway takes up a run; returns the last checkpoint, if any. Requests that a gateway which is no more had
        open are closed as errors. `actor`: its own handle, by which it is asked whether it lives, on whatever host."""
        self._gateways[source] = actor
        self._where[source] = where or {}
        if source not in self._took_part:
            self._took_part.append(source)
        if run_id == self._state.run_id and self._ledger is not None:
            for other in {s for s, _ in self._open.values()} - {source}:
                gateway = self._gateways.get(other)
                if gateway is None or not await lives(gateway, ALIVE_TIMEOUT_S, if_silent=False):
                    self._close_open(other)
        return self._checkpoints.get("gateway")

    async def gateways(self) -> list[dict[str, Any]]:
        """The gateway processes that took up the present run, in order: number, whether it lives, process and URL."""
        known = [(source, self._gateways.get(source)) for source in self._took_part]
        alive = await asyncio.gather(
            *(lives(actor, ALIVE_TIMEOUT_S, if_silent=False) for _, actor in known if actor is not None)
        )
        answers = iter(alive)
        return [
            {"number": number, "alive": actor is not None and next(answers), **self._where.get(source, {})}
            for number, (source, actor) in enumerate(known)
        ]

    async def place(self, source: str) -> int:
        """How many gateway processes took up the present run before this one."""
        before = self._took_part
        return before.index(source) if source in before else len(before)

    def _close_open(self, source: str) -> None:
        """What this gateway had in flight is lost."""
        self._gateways.pop(source, None)
        for request_id in [r for r, (s, _) in self._open.items() if s == source]:
            _, request = self._open.pop(request_id)
            if self._ledger is not None:
                self._ledger.end(request, "error", self._clock.now_s(), reason="the gateway was restarted")

    async def ready(self, run_id: str, source: str) -> None:
        """A gateway serves this run."""
        if run_id == self._state.run_id:
            self._joined.add(source)
            async with self._joining:
                self._joining.notify_all()

    async def joined(self, run_id: str, count: int, limit_s: float) -> bool:
        """Whether `count` gateways have taken up this run within so many wall seconds."""
        self._gateways_wanted = count

        def enough() -> bool:
            return run_id == self._state.run_id and len(self._joined) >= count

        try:
            async with asyncio.timeout(limit_s), self._joining:
                return await self._joining.wait_for(enough)
        except TimeoutError:
            return False

    async def checkpoint(self, name: str, content: Any) -> None:
        """Keep the learned state of an actor for its successor."""
        self._checkpoints[name] = content

    async def kept(self, name: str) -> Any:
        """What an actor left with `checkpoint` in this run; None if nothing."""
        return self._checkpoints.get(name)

    # -- the progress record ------------------------------------------------------------------------------

    async def finished(self, run_id: str, reports: tuple[Finished, ...]) -> None:
        """Write which prompts are finished; of another run than the present one, nothing is written."""
        if run_id == self._state.run_id and self._ledger is not None and self._finished is not None:
            self._finished.add(reports)

    async def take_over(self, run_id: str, request_id: str, attempt: int) -> Measured:
        """What a new attempt at a request starts from; reports of earlier attempts are refused from now on."""
        if run_id != self._state.run_id or self._finished is None:
            return Measured()
        return self._finished.take_over(request_id, attempt)

    # -- records ------------------------------------------------------------------------------------------

    async def append(self, run_id: str, source: str, number: int, entries: bytes) -> None:
        """Write one batch (a pickled list of `Entry`); one of another run, or one already written, is ignored."""
        if run_id != self._state.run_id or self._ledger is None or number <= self._numbers.get(source, 0):
            return
        self._numbers[source] = number
        batch: list[Entry] = pickle.loads(entries)
        for method, args in batch:
            if method == "arrive":
                self._open[args[0].id] = (source, args[0])
                self._ledger.arrive(args[0])
            elif method == "end":
                self._end(*args)
            else:
                self._note(method, args)
                getattr(self._ledger, method)(*args)
        if self._sink is not None:
            self._sink.flush()

    def _end(self, request: Request, *ended: Any) -> None:
        if self._ledger is None or self._open.pop(request.id, None) is None:
            return  # closed when its gateway was thought dead
        if self._finished is not None:
            self._finished.ended(request.id)
        self._ledger.end(request, *ended)

    def _note(self, method: str, args: tuple[Any, ...]) -> None:
        """Count what controllers decide."""
        if method == "decide":
            decision, _, outcome, *_ = args
            self._decided.note(decision.actor, outcome, decision.thinking_s)
        elif method == "audit":
            self._decided.note(args[0].actor, args[0].outcome, args[0].thinking_s)

    async def started(self, name: str) -> None:
        """A process of the testbed was started, for the first time or again."""
        self._starts[name] += 1

    def counted(self) -> list[Sample]:
        """What a scraper is to read: starts of processes, decisions, and the books of the present run."""
        starts = {name: count for name, count in self._starts.items() if name not in self._on_demand}
        found = restart_samples(starts, {GATEWAY_APP: self._gateways_wanted})
        if self._ledger is None:
            return found
        books = books_samples(self._ledger.arrived, self._ledger.ends)
        return [*found, *self._decided.samples(), *books]

    async def window(self, reset: bool = False) -> Window:
        """What was counted since the last reset."""
        return self._ledger.window(self._clock.now_s(), reset) if self._ledger is not None else Window()

    async def progress(self) -> RunProgress:
        """How far the run is."""
        ledger = self._ledger
        if ledger is None:
            return RunProgress(t_s=0.0, arrived=0, ended=0, in_system=0, counted_open=0)
        ended = sum(ends.total() for ends in ledger.ends.values())
        arrived = ledger.arrived.total()
        return RunProgress(
            t_s=self._clock.now_s(), arrived=arrived, ended=ended, in_system=arrived - ended,
            counted_open=ledger.counted_open,
        )  # fmt: skip


def put_in_order(folder: Path) -> None:
    """Rewrite a record in canonical order, its side file with it; each appears whole or not at all."""
    lines = read_lines(folder / RECORD_FILE, lambda line: (canonical_order(decode(line)), line))
    order = sorted(range(len(lines)), key=lambda i: lines[i][0])
    write_whole(folder / RECORD_FILE, b"".join(lines[i][1] + b"\n" for i in order))
    side = folder / SIDE_FILE
    if side.exists():
        place = {old: new for new, old in enumerate(order)}
        rows = read_lines(side, orjson.loads)
        moved = sorted(({**row, "line": place[row["line"]]} for row in rows), key=lambda row: row["line"])
        write_whole(side, b"".join(orjson.dumps(row) + b"\n" for row in moved))
