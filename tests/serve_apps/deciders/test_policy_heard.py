"""When a controller below the planner heard of its policy: what it knows it does not wait for, and records say when."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from emulation.domain.actions import Decision, MacroPolicy
from emulation.domain.slots import slot_of, slot_start_s
from serve_apps.deciders import host as host_module
from serve_apps.deciders.control_run import ControlRun
from serve_apps.deciders.roles import DeployerHost
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.names import EVENTS, PLANNER, RECORDER, deployer_name, runtime_name
from serve_apps.wire.news import News
from tests.build.calls import InMemoryCalls
from tests.build.controllers import (
    EPOCH_SLOTS,
    SLOT_S,
    SPEEDUP,
    Books,
    Node,
    Told,
    deployment,
    part,
    policy,
)
from tests.build.waiting import in_a_loop, until

FAR_SLOTS = 1e5


class Followed:
    """A deployment agent, the planner that it follows, and the recorder."""

    def __init__(self) -> None:
        self.books = Books()
        self.policies: News[MacroPolicy] = News()
        outages: News[str | None] = News()
        self.policies.begin("run")
        outages.begin("run")
        actors = {
            runtime_name("n"): Node(), RECORDER: self.books, PLANNER: self.policies, EVENTS: outages,
        }  # fmt: skip
        self.agent = DeployerHost(deployer_name("n"), InMemoryCalls(actors), dict, "n")

    @asynccontextmanager
    async def running(self, run: ControlRun) -> AsyncIterator[None]:
        """The run begins, and starts at once."""
        await self.agent.begin_run(run)
        await self.agent.start(time.time())
        yield
        await self.agent.end_run()


class Blocked(LiveClock):
    """Its process stands still over the begin of an epoch, and hears of a policy before it sees what time it is."""

    hear: Callable[[], None] | None = None
    blocked_slot = 0
    """The first one of that epoch."""

    def wall_until_s(self, t_s: float) -> float:
        slot = slot_of(t_s, SLOT_S)
        if (
            self.hear is not None
            and slot > 0
            and slot_start_s(slot, SLOT_S) == t_s
            and slot % EPOCH_SLOTS == 0
        ):
            while self.now_s() <= t_s:
                time.sleep(0.001)
            self.blocked_slot = slot
            self.hear()
            self.hear = None
        return super().wall_until_s(t_s)


def slot_of_decision(decision: Decision) -> int:
    return int(decision.cause.split()[1])


@in_a_loop
async def test_a_policy_that_was_heard_before_the_process_woke_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_module, "PLANNER_GRACE_SHARE", FAR_SLOTS)
    world, clock = Followed(), Blocked(SPEEDUP)
    clock.hear = lambda: world.agent._accept(policy("gpu"))
    run = replace(part(deployment(Told()), follows_planner=True), clock=clock)
    async with world.running(run):
        await until(lambda: 0 < clock.blocked_slot == slot_of_decision(world.books.decisions[-1]))
    assert "role {'a': 'gpu'}" in world.books.decisions[-1].reason


@in_a_loop
async def test_when_a_policy_was_heard_stands_once_beside_the_next_decision() -> None:
    world = Followed()
    world.policies.publish(policy("cpu"))
    async with world.running(part(deployment(Told()), follows_planner=True)):
        world.policies.publish(policy("gpu"))
        await until(lambda: "gpu" in world.books.decisions[-1].reason)
        known = len(world.books.decisions)
        await until(lambda: len(world.books.decisions) > known + 1)
    sides = [args[-1] for how, args in world.books.entries if how == "decide"]
    heard = [side["policy_heard_s"] for side in sides if "policy_heard_s" in side]
    assert len(heard) == 2
    assert heard[0] == 0.0
    assert 0.0 < heard[1] <= world.books.decisions[known - 1].decided_at_s
