"""A controller on wall time without Ray: when it decides, from what, and what becomes of it when others are silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from emulation.domain.actions import Decision, MacroPolicy
from emulation.domain.scenario import PLANNER_GRACE_SHARE
from serve_apps.deciders import host as host_module
from serve_apps.deciders import telemetry as telemetry_module
from serve_apps.deciders.control_run import ControlRun
from serve_apps.deciders.host import Host
from serve_apps.deciders.telemetry import Telemetry
from serve_apps.wire.names import PLANNER, RECORDER, runtime_name
from serve_apps.wire.news import Follower
from tests.build.calls import InMemoryCalls
from tests.build.controllers import (
    EPOCH_SLOTS,
    LET_GO,
    SLOT_S,
    SPEEDUP,
    Everywhere,
    Script,
    Slow,
    Told,
    deployment,
    part,
    planning,
    policy,
)
from tests.build.host_world import World
from tests.build.waiting import LONG_S, in_a_loop, news_arrives, until

LAG_S = 0.2 * SLOT_S


@asynccontextmanager
async def running(host: Host, run: ControlRun) -> AsyncIterator[None]:
    """The run begins, and starts at once."""
    await host.begin_run(run)
    await host.start(time.time())
    yield
    await host.end_run()


def number(decision: Decision) -> int:
    """Which slot or epoch it was made for."""
    return int(decision.cause.split()[1])


@in_a_loop
async def test_decides_for_time_0_before_the_clock_starts_and_then_at_every_boundary() -> None:
    world = World()
    host = world.deployer()
    await host.begin_run(part(deployment(Told())))
    assert [d.cause for d in world.books.decisions] == ["slot 0"]
    assert len(world.node.told) == 1
    await host.start(time.time())
    await until(lambda: len(world.books.decisions) >= 3)
    await host.end_run()
    assert all(d.decided_at_s >= number(d) * SLOT_S for d in world.books.decisions)


@in_a_loop
async def test_an_agent_that_looks_after_dispatch_decides_a_moment_after_every_boundary_the_first_one_too() -> (
    None
):
    world = World()
    host = world.deployer()
    run = part(deployment(Told()), dispatch_lag_s=LAG_S)
    assert await host.begin_run(run) == ""
    assert world.books.decisions == []
    await host.start(time.time())
    await until(lambda: len(world.books.decisions) >= 3)
    await host.end_run()
    decisions = world.books.decisions
    assert decisions[0].cause == "slot 0"
    assert all(d.decided_at_s >= number(d) * SLOT_S + LAG_S for d in decisions)


@in_a_loop
async def test_a_restarted_agent_waits_for_its_next_slot_in_either_order() -> None:
    world = World()
    host = world.deployer()
    host._take(part(deployment(Told()), dispatch_lag_s=LAG_S))
    await host.start(time.time())
    await until(lambda: world.books.decisions)
    await host.end_run()
    assert world.books.decisions[0].cause != "slot 0"


@in_a_loop
async def test_planner_and_scheduler_look_at_the_boundary_itself() -> None:
    world = World()
    host = world.planner()
    await host.begin_run(part(planning(Everywhere()), dispatch_lag_s=LAG_S))
    assert [d.cause for d in world.books.decisions] == ["epoch 0"]
    await host.end_run()


@in_a_loop
async def test_a_planner_asks_for_all_that_was_seen_before_its_epoch_began() -> None:
    world = World()
    async with running(world.planner(), part(planning(Everywhere()))):
        await until(lambda: len(world.books.decisions) >= 3)
    assert world.books.counted[:1] == [(0, True)]
    asked = [slot // EPOCH_SLOTS for slot, _ in world.books.counted]
    decided = [number(d) for d in world.books.decisions]
    assert decided == [epoch for epoch in asked if epoch in decided], "one asked for too late is not made"
    assert all(slot % EPOCH_SLOTS == 0 for slot, _ in world.books.counted)


@in_a_loop
async def test_a_first_decision_that_takes_too_long_lands_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_module, "FIRST_S", 0.01)
    LET_GO.clear()
    world = World()
    async with running(world.deployer(), part(deployment(Slow()))):
        assert world.node.told == []
        LET_GO.set()
        await until(lambda: world.node.told)
        await until(lambda: len(world.books.decisions) > 1)
    assert world.books.decisions[0].cause == "slot 0"


@in_a_loop
async def test_a_controller_without_a_part_in_the_scheme_does_nothing() -> None:
    world = World()
    async with running(world.deployer(), part(None)):
        pass
    assert world.calls.asked == []


@in_a_loop
async def test_nothing_is_decided_after_the_end_of_the_scenario() -> None:
    world = World()
    host = world.deployer()
    await host.begin_run(part(deployment(Told()), slots=2))
    await host.start(time.time() - 1000.0)
    await until(lambda: world.books.decisions)
    await news_arrives()
    await host.end_run()
    assert [d.cause for d in world.books.decisions] == ["slot 0"]


@in_a_loop
async def test_a_node_whose_telemetry_does_not_come_stays_as_it_was_with_its_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telemetry_module, "PULL_LIMIT_S", 0.01)
    world, run = World(), part(None)
    telemetry = Telemetry("planner", world.calls)
    seen = await telemetry.cluster(run, 0, reset=False)
    assert [v.id for v in seen.nodes] == ["n"]
    run.clock.start(time.time() - 1.0)
    world.calls.silence(runtime_name("n"))
    later = await telemetry.cluster(run, 1, reset=False)
    assert later.nodes == seen.nodes
    assert later.age_s() >= 1.0
    telemetry.begin()
    assert (await telemetry.cluster(run, 2, reset=False)).nodes == ()


@in_a_loop
async def test_a_deployer_that_never_heard_of_its_node_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telemetry_module, "PULL_LIMIT_S", 0.01)
    world = World()
    world.calls.silence(runtime_name("n"))
    async with running(world.deployer(), part(deployment(Told()))):
        await until(lambda: world.calls.asked.count((runtime_name("n"), "telemetry")) > 2)
        assert world.books.decisions == []
        world.calls.back(runtime_name("n"))
        await until(lambda: world.books.decisions)


@in_a_loop
async def test_a_node_runtime_that_does_not_answer_voids_the_decision() -> None:
    world = World()
    world.node.broken = True
    async with running(world.deployer(), part(deployment(Told()))):
        pass
    _, landed_s, outcome, refused, changes, _ = world.books.entries[0][1]
    assert (landed_s, outcome, changes) == (None, "voided", 0)
    assert "node:n did not answer" in refused[0]
    assert "out of order" in refused[0]


@in_a_loop
async def test_records_that_found_no_recorder_are_sent_with_the_next() -> None:
    world = World()
    world.calls.lose(RECORDER)
    async with running(world.deployer(), part(deployment(Told()))):
        await until(lambda: len(world.node.told) > 1)
        assert world.books.entries == []
        told = len(world.node.told)
        world.calls.back(RECORDER)
        await until(lambda: len(world.books.decisions) > told)
    assert number(world.books.decisions[0]) == 0


@in_a_loop
async def test_a_policy_is_accepted_as_it_is_published() -> None:
    world = World()
    world.policies.publish(policy("cpu"))
    async with running(world.deployer(), part(deployment(Told()), follows_planner=True)):
        assert "role {'a': 'cpu'}" in world.books.decisions[0].reason
        world.policies.publish(policy("gpu"))
        await until(lambda: "role {'a': 'gpu'}" in world.books.decisions[-1].reason)


@in_a_loop
async def test_a_policy_that_comes_while_a_controller_looks_counts_from_its_next_look_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is seen and the policy it is judged by are of one instant, as in virtual time."""
    world = World()
    world.policies.publish(policy("cpu"))
    host = world.deployer()
    see, came = host._see, list[int]()

    async def meanwhile(run: ControlRun, slot: int, boundary: bool) -> Any:
        seen = await see(run, slot, boundary)
        if slot > EPOCH_SLOTS and not came:
            came.append(slot)
            host._accept(policy("gpu"))
        return seen

    monkeypatch.setattr(host, "_see", meanwhile)
    async with running(host, part(deployment(Told()), follows_planner=True)):
        await until(lambda: came and number(world.books.decisions[-1]) > came[0])
    at, after = (next(d for d in world.books.decisions if number(d) >= came[0] + k) for k in (0, 1))
    assert ("'cpu'" in at.reason, "'gpu'" in after.reason) == (True, True)


@in_a_loop
async def test_a_planner_that_is_silent_at_the_begin_of_an_epoch_is_waited_for_only_so_long() -> None:
    def begins_an_epoch(decision: Decision) -> bool:
        return number(decision) % EPOCH_SLOTS == 0

    world = World()
    async with running(world.deployer(), part(deployment(Told()), follows_planner=True)):
        first: Decision = await until(lambda: next(filter(begins_an_epoch, world.books.decisions[1:]), None))
        await until(lambda: number(world.books.decisions[-1]) > number(first))
    assert first.decided_at_s >= (number(first) + PLANNER_GRACE_SHARE) * SLOT_S
    assert "role None" in first.reason


@in_a_loop
async def test_who_wakes_after_the_grace_that_an_epoch_began_with_waits_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in virtual time, where it counts from the boundary."""
    monkeypatch.setattr(host_module, "PLANNER_GRACE_SHARE", 2.0 * LONG_S * SPEEDUP / SLOT_S)
    host, run = World().deployer(), part(deployment(Told()), follows_planner=True)
    host._take(run)
    run.clock.start(time.time() - 3.0 * LONG_S)
    await host._await_policy(run, 0.0, since_s=0.0)


@in_a_loop
async def test_a_decision_lands_after_the_thinking_it_is_charged() -> None:
    world = World()
    async with running(world.planner(), part(planning(Everywhere(thinking_s=SLOT_S)))):
        await until(lambda: len(world.books.decisions) > 1)
    (_, at_0_s, *_), (decision, landed_s, *_) = (args for _, args in world.books.entries[:2])
    assert at_0_s == 0.0  # before a run begins there is time to think
    assert landed_s >= decision.decided_at_s + SLOT_S
    assert number(decision) > 0


@in_a_loop
async def test_a_restarted_planner_is_heard_by_those_who_followed_the_one_before() -> None:
    world, heard = World(), list[MacroPolicy]()
    first, second = world.planner(), world.planner()
    await first.begin_run(part(planning(Everywhere())))
    calls = InMemoryCalls({PLANNER: first})
    follower = Follower(calls, PLANNER, "run", heard.append)
    await follower.poll()
    world.books.parts[PLANNER] = part(planning(Everywhere())), time.time()
    calls.back(PLANNER, second)
    await second.resume()
    while len(heard) < 2:
        await follower.poll()
    await second.end_run()
    assert [d.cause for d in world.books.decisions][0] == "epoch 0"
    assert world.books.decisions[-1].cause != "epoch 0"


@in_a_loop
async def test_a_controller_that_resumes_when_there_is_no_run_waits_for_the_next() -> None:
    world = World()
    host = world.deployer()
    await host.resume()
    assert await host.watch("run", 0, 0.0) == (0, ())
    async with running(host, part(deployment(Told()))):
        assert world.books.decisions


@in_a_loop
async def test_a_script_that_ended_stops_its_controller_which_says_why_at_the_end() -> None:
    world = World()
    host = world.deployer()
    assert await host.begin_run(part(deployment(Script(2)))) == ""
    await host.start(time.time())
    await until(lambda: len(world.books.decisions) == 2)
    await asyncio.sleep(0.05)  # a slot more
    assert await host.end_run() == "the script has ended"
    assert len(world.books.decisions) == 2


@in_a_loop
async def test_a_script_without_a_first_answer_says_so_at_once() -> None:
    assert await World().deployer().begin_run(part(deployment(Script(0)))) == "the script has ended"


@in_a_loop
async def test_an_outage_reaches_whoever_asks_a_reasoner_and_ends() -> None:
    world = World()
    async with running(world.deployer(), part(deployment(Told()))):
        world.outages.publish("timeout")
        await until(lambda: world.books.decisions[-1].reason.endswith("reasoner timeout"))
        world.outages.publish(None)
        await until(lambda: world.books.decisions[-1].reason.endswith("reasoner None"))
