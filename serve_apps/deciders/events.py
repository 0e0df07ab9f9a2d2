"""The event plan on wall time: every step at its virtual instant, every undo too, each recorded when it landed.

A fault that kills really does. Its undo waits until processes answer again in the place of those that were killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

from emulation.domain.events import Event, LlmOutage, SchemeSwitch
from emulation.domain.scenario import Scenario
from emulation.faults import FAULTS, Step
from serve_apps.deciders.event_book import EventBook, EventCheckpoint
from serve_apps.deciders.switcher import Switcher
from serve_apps.observe.actors import fault_samples, unsent_samples
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.kills import Kills, Victims
from serve_apps.wire.names import EVENTS, RECORDER, app_name, deployer_name, runtime_name
from serve_apps.wire.news import News
from serve_apps.wire.restart import kept_of, part_of
from serve_apps.wire.steer import Choice, EventList, InForce, SchemeList
from serve_apps.wire.switching import Stage

log = logging.getLogger("edgebed")

BACK_S = 120.0
"""Wall seconds processes have to come up in the place of those that were killed."""
UNDO_S = 60.0
"""Wall seconds an undo is tried again where a node does not answer: it must land."""
AGAIN_S = 0.5


class EventPlayer:
    """The named actor `events`. Plays a scenario's plan, and events injected while it runs."""

    def __init__(self, calls: Calls, kills: Kills) -> None:
        self._calls, self._kills = calls, kills
        self._clock = LiveClock(1.0)
        self._scenario: Scenario | None = None
        self._run_id = ""
        self._book: EventBook | None = None
        self._tasks: dict[asyncio.Task[None], Step] = {}
        """Steps to come, and those that are being played."""
        self._begun: set[asyncio.Task[None]] = set()
        """Those that are being played."""
        self._steering = asyncio.Lock()
        """One thing by hand at a time: checked, kept for a successor and begun."""
        self._switcher: Switcher | None = None
        self._said: dict[int, dict[str, Any]] = {}
        """Number of an event that switches the scheme, to what became of that."""
        self._switching = asyncio.Lock()
        """One switch of the scheme at a time."""
        self._outages: News[str | None] = News()
        """How the reasoners fail from then on; None: they do not."""
        self._batch = RecordBatch(calls, EVENTS)
        self._flusher: asyncio.Task[None] | None = None

    async def begin_run(self, run_id: str, scenario: Scenario, stage: Stage | None = None) -> None:
        """Stand ready to play this scenario's events. `stage`: what other schemes are made of; None: there are none."""
        for task in self._tasks:
            task.cancel()
        self._batch.begin(run_id)
        if self._flusher is None:
            self._flusher = asyncio.ensure_future(self._batch.run())
        self._clock = LiveClock(scenario.live.speedup)
        self._run_id, self._scenario, self._book = run_id, scenario, EventBook(scenario)
        self._switcher = Switcher(self._calls, run_id, scenario, stage or Stage())
        log.info("took up run %s", run_id)
        self._outages.begin(run_id)

    async def start(self, t0_wall: float, again: bool = False) -> None:
        """Virtual time begins at this wall time; steps of the plan that lie in the past are played at once.

        `again`: another process played it up to now; what it was to kill is not killed a second time.
        """
        self._clock.start(t0_wall)
        if self._book is not None:
            for step in self._book.steps(again):
                if not (again and _kills(step) and self._clock.wall_until_s(step.at_s) == 0.0):
                    self._play(step)

    async def resume(self) -> None:
        """After a restart: play what is left, events by hand too. Steps already due of an event that is not over are
        played again, which changes nothing."""
        found = await part_of(self._calls, EVENTS)
        kept = await kept_of(self._calls, EVENTS)
        if found is not None and self._scenario is None:
            await self.begin_run(*found[0])
            if isinstance(kept, EventCheckpoint) and kept.run_id == self._run_id:
                self._book = EventBook(found[0][1], kept.entries)
            if found[1] is not None:
                await self.start(found[1], again=True)

    async def inject(self, event: Event) -> int:
        """Play one more event. Its `at_s` may be past: it then begins now. Returns its number.

        Raises `ValueError` if no run is in progress, it is over already, or it names what is not there; `Unreached` if
        it could not be kept for a successor of this process.
        """
        if isinstance(event, SchemeSwitch) and self._switcher is not None:
            await self._switcher.check(event.to)
        async with self._steering:
            book = self._present()
            number = book.add(event, self._clock.now_s())
            try:
                await self._calls.call(RECORDER, "checkpoint", EVENTS, self._kept())
            except Unreached:
                book.take_back(number)
                raise
            for step in book.steps_of(number):
                self._play(step)
            return number

    async def switch(self, to: str) -> InForce:
        """Switch to a scheme now; returns when it is in force. Undone like any event, it gives way to the one before.

        Raises `ValueError` if no run is in progress, or it cannot be switched to that scheme; `Unreached`.
        """
        book, now_s = self._present(), self._clock.now_s()
        if now_s < 0.0 or not self._clock.started:
            raise ValueError("the run has not begun yet")
        if to == self._scheme(book):
            raise ValueError(f"{to} is in force already")
        number = await self.inject(SchemeSwitch(at_s=now_s, to=to))
        await asyncio.gather(*(t for t, step in self._tasks.items() if step.event == number))
        onset_s, said = book.entries[number].onset_s, self._said.pop(number, {})
        if onset_s is None:
            raise ValueError(f"the switch to {to} did not land: {said.get('failed', 'it was undone')}")
        return InForce(
            event=number, scheme=to, before=said["before"], in_force_s=onset_s, missing=said["missing"]
        )

    async def schemes(self) -> SchemeList:
        """The scheme in force, and those that can be switched to. Raises `ValueError` if no run is in progress."""
        book, switcher = self._present(), self._switcher
        refused = {} if switcher is None else await switcher.refusals()
        own = self._scheme(book)
        return SchemeList(
            scheme=own, schemes=tuple(Choice(scheme=n, refused=why) for n, why in refused.items())
        )

    async def shadow(self, scheme: str) -> bytes:
        """The fast path of a scheme, to decide in the shadow of the one in force; pickled.

        Raises `ValueError` if no run is in progress, or the scheme cannot be a shadow in it.
        """
        self._present()
        if self._switcher is None:
            raise ValueError("this run was given no schemes")
        return await self._switcher.shadow(scheme)

    async def undo(self, number: int) -> float:
        """End an event that is in force now; returns from when on it is to be over. Its undo may take a while to land.

        Raises `ValueError` if no run is in progress, or there is nothing to be undone.
        """
        async with self._steering:
            book = self._present()
            now_s = self._clock.now_s()
            book.cut(number, now_s)
            for task in [
                t for t, step in self._tasks.items() if step.event == number and t not in self._begun
            ]:
                task.cancel()
            *_, undo = book.steps_of(number)
            self._play(undo)
            self._keep()
            return now_s

    async def ledger(self) -> EventList:
        """Every event of the run so far. Raises `ValueError` if no run is in progress."""
        return EventList(t_s=self._clock.now_s(), events=tuple(self._present().listed()))

    async def watch(self, run_id: str, version: int, limit_s: float) -> tuple[int, tuple[str | None, ...]]:
        """How the reasoners fail, whenever that changes (None: they do not); see `News.watch`. Nothing else is told."""
        return await self._outages.watch(run_id, version, limit_s)

    async def flush(self) -> None:
        """Send every record so far."""
        await self._batch.flush()

    def counted(self) -> list[Sample]:
        """What a scraper is to read: the faults in force, and the records that wait."""
        events = () if self._book is None else self._book.in_force()
        in_force: Counter[str] = Counter(event.kind for event in events)
        kinds = {**dict.fromkeys(FAULTS, 0), **in_force}
        return [*fault_samples(kinds), *unsent_samples(EVENTS, self._batch)]

    def _present(self) -> EventBook:
        if self._book is None:
            raise ValueError("no run is in progress")
        return self._book

    def _kept(self) -> EventCheckpoint:
        return EventCheckpoint(self._run_id, tuple(self._present().entries))

    def _keep(self) -> None:
        """Leave with the recorder how far the events are."""
        self._calls.tell(RECORDER, "checkpoint", EVENTS, self._kept())

    def _play(self, step: Step) -> None:
        task = asyncio.ensure_future(self._step(step))
        self._tasks[task] = step
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._begun.discard(task)

    async def _step(self, step: Step) -> None:
        await asyncio.sleep(self._clock.wall_until_s(step.at_s))
        book, task = self._present(), asyncio.current_task()
        earlier = [t for t in self._begun if self._tasks[t].event == step.event]
        if task is not None:
            self._begun.add(task)
        if step.phase == "undo":
            book.undoing(step)
        if earlier:  # the undo comes after all else
            await asyncio.wait(earlier)
        killed: tuple[str, ...] = ()
        if _kills(step) == "replica":
            killed = await self._kill(step)
        elif step.phase == "undo" and FAULTS[step.spec.kind].kills is not None:
            await self._come_back(step)
        landed = await asyncio.gather(*(self._apply(step, node) for node in step.nodes))
        if _kills(step) == "node":
            killed = await self._kill(step)
        if isinstance(step.spec, SchemeSwitch):
            await self._switch(step)
            return
        if isinstance(step.spec, LlmOutage):
            self._break(step.event, step.spec if step.phase == "onset" else None)
        times = [t for t in landed if t is not None]
        if _kills(step) and not killed:
            log.error("event %d did not land: nothing of %s was there to kill", step.event, step.spec.target)
            book.missed(step)
        elif times or not landed:
            self._note(step, max(times, default=self._clock.now_s()), killed)
        else:
            book.missed(step)

    def _break(self, number: int, outage: LlmOutage | None) -> None:
        """Tell how the reasoners fail now that this outage begins, or ends (None)."""
        outages = self._present().outages()
        if outage is None:
            outages.end(number)
        else:
            outages.begin(number, outage.failure)
        self._outages.publish(outages.now)

    def _scheme(self, book: EventBook) -> str:
        """The scheme in force."""
        return book.schemes("" if self._switcher is None else self._switcher.own).now

    async def _switch(self, step: Step) -> None:
        """Have those decide who are to, if others do; one that cannot be made lands nowhere."""
        book, switcher = self._present(), self._switcher
        assert switcher is not None
        async with self._switching:
            schemes = book.schemes(switcher.own)
            before = schemes.now
            if step.phase == "undo":
                schemes.end(step.event)
            else:
                schemes.begin(step.event, step.spec.target)
            said: dict[str, Any] = {"before": before, "scheme": schemes.now, "missing": []}
            times: list[float] = []
            if schemes.now != before:
                try:
                    done = await switcher.switch(schemes.now)
                except (Unreached, ValueError) as error:
                    log.error("event %d did not land: %s", step.event, error)
                    self._said[step.event] = {"failed": str(error)}
                    book.missed(step)
                    return
                times = list(done.taken.took_up.values())
                said |= {"reasoner": done.reasoner, "took_up": dict(done.taken.took_up)}
                said["missing"] = list(done.taken.missing)
            self._said[step.event] = said
            self._note(step, max(times, default=self._clock.now_s()), (), said)

    def _note(
        self, step: Step, t_s: float, killed: tuple[str, ...], more: dict[str, Any] | None = None
    ) -> None:
        """A step has landed; `more`: what else its record is to say."""
        self._present().landed(step, t_s)
        self._keep()
        log.info("event %d, %s: %s", step.event, step.spec.kind, step.phase)
        side = {"killed": killed} if killed else None
        self._batch.add("event", step, t_s, side, *((None, more) if more else ()))

    async def _kill(self, step: Step) -> tuple[str, ...]:
        """End what the event kills; the names of what was."""
        return await self._kills.kill(self._victims(step))

    async def _come_back(self, step: Step) -> None:
        if not await self._kills.back(self._victims(step), BACK_S):
            log.error("event %d: %s is not back %g s after its time", step.event, step.spec.target, BACK_S)

    def _victims(self, step: Step) -> Victims:
        assert self._scenario is not None
        (node,), model = step.nodes, getattr(step.spec, "model", None)
        if model is not None:
            return Victims(apps=(app_name(node, model),))
        apps = tuple(app_name(node, m) for m in self._scenario.testbed.hosted(node))
        return Victims((runtime_name(node), deployer_name(node)), apps)

    async def _apply(self, step: Step, node: str) -> float | None:
        """When the step landed on a node, virtual seconds; None if it did not. An undo is tried for a while."""
        until = asyncio.get_running_loop().time() + (UNDO_S if step.phase == "undo" else 0.0)
        while True:
            try:
                at_s: float = await self._calls.call(runtime_name(node), "inject", step)
                return at_s
            except Unreached as error:
                if asyncio.get_running_loop().time() >= until:
                    log.error("event %d did not land on %s: %s", step.event, node, error)
                    return None
            except ValueError as error:
                log.error("event %d did not land on %s: %s", step.event, node, error)
                return None
            await asyncio.sleep(AGAIN_S)


def _kills(step: Step) -> str | None:
    """Whose processes this step ends; None: nobody's."""
    return FAULTS[step.spec.kind].kills if step.phase == "onset" else None
