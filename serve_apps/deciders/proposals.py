"""The proposals of a run: what agents decided and somebody is to approve, held until then, or for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.approval import Outcome
from emulation.domain.actions import Command, MacroPolicy, NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import guide_violations, node_violations, plan_violations
from emulation.domain.plain import command_of
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.steer import Approve, ProposalEntry, ProposalList, Reject

MOST = 100
"""Proposals that are remembered, unless more than so many wait: every actor has one of these at most."""
GRACE_S = 2.0
"""Wall seconds after its time in which a proposal that nobody asks about any more counts as gone."""


Said = tuple[Outcome | Literal["gone"], Command | None, str]
"""What became of a proposal, what is to be done instead if it was edited, and why."""


@dataclass(slots=True)
class _Held:
    entry: ProposalEntry
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    command: Command | None = None
    why: str = ""

    def said(self) -> Said | None:
        """What became of it; None: it waits, or nobody said anything in time."""
        state = self.entry.state
        if state in ("approved", "edited", "rejected", "gone"):
            return state, self.command, self.why
        return None


class ProposalDesk:
    """Numbers proposals, hears verdicts, and tells them to whoever proposed. Decides nothing."""

    def __init__(self) -> None:
        self._testbed: TestbedConfig | None = None
        self._clock = LiveClock(1.0)
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._count = 0

    def begin(self, testbed: TestbedConfig, clock: LiveClock) -> None:
        """Another run: what was proposed in the one before is forgotten."""
        for held in self._held.values():
            held.settled.set()
        self._testbed, self._clock, self._held, self._count = testbed, clock, OrderedDict(), 0

    def propose(self, asked: dict[str, Any]) -> int:
        """Hold a proposal (the fields of an entry but number and state); its number."""
        self._count += 1
        self.withdraw(asked["actor"])  # who proposes again has given the one before up
        entry = ProposalEntry(proposal=self._count, state="waiting", **asked)
        self._held[self._count] = _Held(entry)
        over = max(len(self._held) - MOST, 0)
        for number in [n for n, held in self._held.items() if held.entry.state != "waiting"][:over]:
            del self._held[number]
        return self._count

    async def verdict(self, number: int, limit_s: float) -> Said | None:
        """What somebody made of a proposal; None if nobody has within so many wall seconds.

        `gone` at once: nobody ever will, as it was given up for another, or is of an earlier run or process.
        """
        held = self._held.get(number)
        if held is None:
            return "gone", None, ""
        try:
            async with asyncio.timeout(limit_s):
                await held.settled.wait()
        except TimeoutError:
            return None
        if (said := held.said()) is not None:
            return said
        return None if self._held.get(number) is held else ("gone", None, "")

    def timed_out(self, number: int) -> Said | None:
        """Whoever proposed it waits no longer. What somebody made of it at the last moment; None: nobody did."""
        held = self._held.get(number)
        if held is not None and held.entry.state == "waiting":
            self._end(held, "timed_out")
        return None if held is None else held.said()

    def withdraw(self, actor: str) -> None:
        """Whoever proposed decides without: nothing of it waits any more."""
        for held in self._held.values():
            if held.entry.actor == actor and held.entry.state == "waiting":
                self._end(held, "gone")

    def listed(self) -> ProposalList:
        """The latest, oldest first."""
        now_s = self._clock.now_s()
        late_s = now_s - GRACE_S * self._clock.speedup
        for held in self._held.values():
            if held.entry.state == "waiting" and held.entry.until_s < late_s:
                self._end(held, "gone")
        return ProposalList(t_s=now_s, proposals=tuple(h.entry for h in self._held.values()))

    def approve(self, asked: Approve) -> ProposalEntry:
        """Carry one out, as it is or as it was edited. Raises `ValueError` for one that does not wait or cannot be."""
        held = self._waiting(asked.proposal)
        if asked.command is None:
            return self._end(held, "approved", asked.why)
        command = command_of(held.entry.actor, asked.command)
        if wrong := self._violations(held.entry.actor, command):
            raise ValueError(f"command: {'; '.join(wrong[:4])}")
        held.command = command
        return self._end(held, "edited", asked.why)

    def reject(self, asked: Reject) -> ProposalEntry:
        """Have the rules decide instead. Raises `ValueError` for one that does not wait."""
        return self._end(self._waiting(asked.proposal), "rejected", asked.why)

    def _waiting(self, number: int) -> _Held:
        held = self._held.get(number)
        if held is None:
            raise ValueError(f"there is no proposal {number}")
        if held.entry.state != "waiting":
            raise ValueError(
                f"proposal {number} does not wait any more: {held.entry.state.replace('_', ' ')}"
            )
        return held

    def _end(self, held: _Held, state: str, why: str = "") -> ProposalEntry:
        held.entry, held.why = held.entry.model_copy(update={"state": state}), why
        held.settled.set()
        return held.entry

    def _violations(self, actor: str, command: Command) -> list[str]:
        """Why somebody's command cannot be; the same checks as an agent's."""
        assert self._testbed is not None
        if isinstance(command, NodeConfig):
            node = actor.partition(":")[2]
            if command.node != node:
                return [f"is for node {command.node!r}, not {node!r}"]
            return node_violations(self._testbed, node, command.modes)
        if isinstance(command, MacroPolicy):
            return plan_violations(self._testbed, command)
        return guide_violations(self._testbed, command)
