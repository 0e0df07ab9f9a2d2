"""The one load that a testbed sends itself: started, paced and stopped by hand, and over with its run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError, did_you_mean
from emulation.domain.records import PERSON, DecisionRecord
from emulation.domain.scenario import Scenario
from emulation.files import list_scenarios, load_scenario
from serve_apps.deciders.sending import Job, Senders, Sending
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.steer import Load, LoadEntry, LoadState, Rate
from workloads.demand_digest import demand_digest

log = logging.getLogger("edgebed")

LEAD_S = 3.0
"""Wall seconds from the start of a load to its time 0, in which the load generator comes up."""
SENT = "all its requests were sent, and have ended"
LOST = "the process that owned it ended"
Write = Callable[[DecisionRecord], None]


class LoadDesk:
    """Says what may be done to the load, does it and writes it down. `write` puts a line into the record."""

    def __init__(self, senders: Senders, write: Write) -> None:
        self._senders, self._write = senders, write
        self._scenario: Scenario | None = None
        self._folder = Path()
        self._clock = LiveClock(1.0)
        self._entry: LoadEntry | None = None
        self._sending: Sending | None = None
        self._watching: asyncio.Task[None] | None = None
        self._count = 0

    def begin(self, scenario: Scenario, folder: str, clock: LiveClock) -> None:
        """Stand ready for a run; what is sent for the one before ends."""
        self._end_sending()
        self._scenario, self._clock, self._entry = scenario, clock, None
        self._folder, self._count = Path(folder) / "loads", 0

    def restore(self, entry: LoadEntry | None) -> None:
        """After a restart: a load that was being sent has ended with the process that owned it."""
        self._entry = entry
        if entry is not None and entry.running:
            self._over(LOST, "restart")

    @property
    def entry(self) -> LoadEntry | None:
        """The last load of this run."""
        return self._entry

    def state(self) -> LoadState:
        """Whether one is sent. Raises `ValueError` if no run is in progress."""
        self._present()
        return LoadState(t_s=self._clock.now_s(), load=self._entry)

    async def start(self, asked: Load) -> LoadEntry:
        """Begin to send. Raises `ValueError` if one is being sent, or this testbed cannot serve it, or what it
        calls so is another scenario."""
        own = self._present()
        name = asked.scenario or own.name
        scenario = own if name == own.name else await asyncio.to_thread(_found, name)
        if asked.demand is not None:
            await asyncio.to_thread(_check_demand, scenario, asked.demand)
        scenario = _on(own, scenario)
        if self._entry is not None and self._entry.running:
            raise ValueError(
                f"the load of {self._entry.scenario} is being sent; change its rate, or stop it with rate 0"
            )
        self._end_sending()
        file = self._folder / f"{self._fresh_number()}.jsonl"
        t0_wall = self._clock.wall_s() + LEAD_S
        try:
            self._sending = self._senders.start(
                Job(scenario, asked.seed, asked.rate, t0_wall, self._clock.speedup, file)
            )
        except OSError as error:
            raise ValueError(f"the load generator does not start: {error.strerror or error}") from error
        self._entry = LoadEntry(
            scenario=scenario.name, seed=asked.seed, rate=asked.rate, running=True,
            began_s=self._clock.now_s() + LEAD_S * self._clock.speedup, ended_s=None, said="", log=str(file),
        )  # fmt: skip
        self._note("by hand", "")
        self._watching = asyncio.ensure_future(self._watch(self._sending))
        return self._entry

    def change(self, asked: Rate) -> LoadEntry:
        """Go on at another rate; 0: stop. Raises `ValueError` if nothing is being sent."""
        self._present()
        entry, sending = self._entry, self._sending
        if entry is None or not entry.running or sending is None:
            raise ValueError("no load is being sent that could be changed; start one first")
        if asked.rate == 0:
            return self.stop("stopped by hand", "by hand")
        sending.change(asked.rate)
        self._entry = entry.model_copy(update={"rate": asked.rate})
        self._note("by hand", "")
        return self._entry

    def stop(self, said: str, cause: str) -> LoadEntry:
        """Send no more of the load, which is on; what is on its way still ends by itself."""
        self._end_sending()
        return self._over(said, cause)

    def _present(self) -> Scenario:
        if self._scenario is None:
            raise ValueError("no run is in progress")
        return self._scenario

    def _fresh_number(self) -> int:
        """Of a log that is not there yet: a process before this one may have written some."""
        while (self._folder / f"{self._count}.jsonl").exists():
            self._count += 1
        return self._count

    def _end_sending(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._sending is not None:
            self._sending.stop()
        self._sending = self._watching = None

    async def _watch(self, sending: Sending) -> None:
        """See it end by itself."""
        code = await sending.ended()
        if self._sending is sending:
            self._sending = self._watching = None
            failed = f"the load generator ended with code {code}; its words are beside its log"
            self._over(failed if code else SENT, "its end")

    def _over(self, said: str, cause: str) -> LoadEntry:
        assert self._entry is not None
        ended = {"running": False, "ended_s": self._clock.now_s(), "said": said}
        self._entry = self._entry.model_copy(update=ended)
        self._note(cause, said)
        return self._entry

    def _note(self, cause: str, reason: str) -> None:
        """A line in the record: what is sent from now on, and why."""
        entry, now_s = self._entry, self._clock.now_s()
        assert entry is not None
        rate = entry.rate if entry.running else 0.0
        load = {"scenario": entry.scenario, "seed": entry.seed, "rate": rate, "log": Path(entry.log).name}
        log.info("load of %s at rate %g%s", entry.scenario, rate, f": {reason}" if reason else "")
        record = DecisionRecord(
            t_s=now_s, actor=PERSON, cause=cause, inputs_age_s=0.0, choice={"load": load}, reason=reason,
            reasoner="none", landed_s=max(now_s, entry.began_s) if entry.running else now_s,
        )  # fmt: skip
        self._write(record)


def _found(name: str) -> Scenario:
    """A packaged scenario. Raises `ValueError` if there is none of this name."""
    known = list_scenarios()
    if name not in known:
        raise ValueError(f"scenario {name!r} is not packaged; {did_you_mean(name, known)}")
    try:
        return load_scenario(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _check_demand(scenario: Scenario, demand: str) -> None:
    """Raises `ValueError` where whoever asks means another scenario of this name."""
    if demand_digest(scenario) != demand:
        raise ValueError(
            f"scenario {scenario.name!r}: what stands here calls another scenario so; rename it and give it to"
            " `edgebed up`, or send it without --detach"
        )


def _on(own: Scenario, scenario: Scenario) -> Scenario:
    """A scenario's requests for the testbed that stands. Raises `ValueError` where that has not what they ask for."""
    wanted = {
        **dict(scenario),
        "testbed": own.testbed,
        "events": (),
        "plan": None,
        "deadline_s": own.deadline_s,
    }
    try:
        return Scenario.model_validate(wanted)
    except ValidationError as error:
        why = complaint(Scenario, error)
        raise ValueError(f"the requests of {scenario.name} are not for this testbed: {why}") from None
