"""A player of events without Ray, and nodes that they really happen to."""

from __future__ import annotations

import asyncio
import time

from emulation.domain.cluster import TestbedConfig
from emulation.executor import NodeState
from emulation.faults import Step, apply
from serve_apps.deciders.events import EventPlayer
from serve_apps.wire.kills import Victims
from tests.build.calls import InMemoryCalls
from tests.build.fakes import scenario


class LiveNode:
    """The runtime of one node whose state machine does what the player says, by a clock of the test's own."""

    def __init__(self, state: NodeState) -> None:
        self.state, self.now_s = state, 20.0

    async def inject(self, step: Step) -> float:
        """As that of the runtime."""
        apply(step, self.state, self.now_s)
        return self.now_s


class Reaper:
    """Whoever is to be killed is, and is back at once."""

    async def kill(self, victims: Victims) -> tuple[str, ...]:
        """All of them."""
        return (*victims.actors, *victims.apps)

    async def back(self, victims: Victims, limit_s: float) -> bool:
        """They are."""
        return True


async def playing(calls: InMemoryCalls, testbed: TestbedConfig) -> EventPlayer:
    """A player in a run that has just begun and has no events of its own."""
    player = EventPlayer(calls, Reaper())
    await player.begin_run("run", scenario(testbed, live={"speedup": 50.0}))
    await player.start(time.time())
    return player


async def state_is(player: EventPlayer, number: int, state: str) -> None:
    """Wait until an event is so far."""
    while (await player.ledger()).events[number].state != state:
        await asyncio.sleep(0.002)
