"""The named actor `events`: it plays events, and owns the load that somebody started on the testbed."""

from __future__ import annotations

from typing import Any

from emulation.domain.records import DecisionRecord
from emulation.domain.scenario import Scenario
from serve_apps.deciders.events import EventPlayer
from serve_apps.deciders.load_desk import LoadDesk
from serve_apps.deciders.proposals import ProposalDesk, Said
from serve_apps.deciders.sending import Senders
from serve_apps.wire.calls import Calls
from serve_apps.wire.kills import Kills
from serve_apps.wire.names import LOAD, RECORDER
from serve_apps.wire.restart import kept_of
from serve_apps.wire.steer import (
    Approve,
    Load,
    LoadEntry,
    LoadState,
    ProposalEntry,
    ProposalList,
    Rate,
    Reject,
)
from serve_apps.wire.switching import Stage


class SteeredRun(EventPlayer):
    """What is done to a run while it goes on, by its plan or by hand."""

    def __init__(self, calls: Calls, kills: Kills, senders: Senders) -> None:
        super().__init__(calls, kills)
        self._desk = LoadDesk(senders, self._write)
        self._proposals = ProposalDesk()

    async def begin_run(
        self, run_id: str, scenario: Scenario, stage: Stage | None = None, folder: str = ""
    ) -> None:
        """As the player's; `folder`: of the run, where the client's log goes."""
        await super().begin_run(run_id, scenario, stage)
        self._desk.begin(scenario, folder, self._clock)
        self._proposals.begin(scenario.testbed, self._clock)

    async def resume(self) -> None:
        """As the player's. A load that was being sent has ended with the process before this one."""
        kept = await kept_of(self._calls, LOAD)
        await super().resume()
        if isinstance(kept, tuple) and kept[0] == self._run_id:
            self._desk.restore(kept[1])

    async def start_load(self, asked: Load) -> LoadEntry:
        """Send the testbed a scenario's requests. Raises `ValueError`: see `LoadDesk.start`."""
        async with self._steering:
            return await self._desk.start(asked)

    async def change_load(self, asked: Rate) -> LoadEntry:
        """Send what is left at another rate, or no more. Raises `ValueError` if nothing is being sent."""
        return self._desk.change(asked)

    async def load(self) -> LoadState:
        """Whether a load is being sent. Raises `ValueError` if no run is in progress."""
        return self._desk.state()

    # -- proposals ------------------------------------------------------------------------------------------

    async def propose(self, asked: dict[str, Any]) -> int:
        """An agent's decision is to be approved; its number. See `ProposalDesk.propose`."""
        return self._proposals.propose(asked)

    async def verdict(self, number: int, limit_s: float) -> Said | None:
        """What somebody made of a proposal, within so many wall seconds."""
        return await self._proposals.verdict(number, limit_s)

    async def timed_out(self, number: int) -> Said | None:
        """A proposal is waited for no longer. What somebody made of it at the last moment; None: nobody did."""
        return self._proposals.timed_out(number)

    async def withdraw(self, actor: str) -> None:
        """Whoever proposed decides without; see `ProposalDesk.withdraw`."""
        self._proposals.withdraw(actor)

    async def proposals(self) -> ProposalList:
        """The latest proposals of the run."""
        return self._proposals.listed()

    async def approve(self, asked: Approve) -> ProposalEntry:
        """Carry a proposal out. Raises `ValueError` for one that does not wait, and a command that cannot be."""
        return self._proposals.approve(asked)

    async def reject(self, asked: Reject) -> ProposalEntry:
        """Have the rules decide instead. Raises `ValueError` for one that does not wait."""
        return self._proposals.reject(asked)

    async def end_load(self) -> None:
        """The run is about to end: send no more."""
        entry = self._desk.entry
        if entry is not None and entry.running:
            self._desk.stop("the run ended", "end of the run")

    def _write(self, record: DecisionRecord) -> None:
        self._batch.add("audit", record)
        self._calls.tell(RECORDER, "checkpoint", LOAD, (self._run_id, self._desk.entry))
