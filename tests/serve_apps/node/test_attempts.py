"""Attempts at a node: served once each, in order, given back with what they finished, and never left without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from emulation.domain.events import Slowdown
from emulation.domain.measured import Measured
from emulation.faults import Step, timeline
from serve_apps.node import core as core_module
from serve_apps.wire.messages import Served, Work
from tests.build.fakes import device_testbed
from tests.build.nodes import NodeWorld
from tests.build.waiting import in_a_loop, news_arrives, until


def device(**fields: Any) -> NodeWorld:
    """One device that takes a second per prompt."""
    return NodeWorld(device_testbed(), "d0", **fields)


async def begun(wanted: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """This call, under way."""
    task = asyncio.ensure_future(wanted)
    await news_arrives()
    return task


async def serving(node: NodeWorld, number: int, **fields: Any) -> asyncio.Task[Served]:
    return await begun(node.core.serve(node.work(number, "d0", **fields)))


def steps(*events: Any) -> list[Step]:
    return timeline(events, device_testbed())


@in_a_loop
async def test_requests_are_served_one_after_the_other_at_their_exact_times() -> None:
    node = device()
    await node.begin()
    first, second = await serving(node, 1), await serving(node, 2, prompts=2)
    node.clock.go_to(5.0)
    found = [await first, await second]
    assert [(s.outcome, s.ended_s, s.measured.started_s) for s in found] == [
        ("done", 1.0, 0.0),
        ("done", 3.0, 1.0),
    ]


@in_a_loop
async def test_a_timer_that_fires_late_shifts_no_time() -> None:
    node = device()
    await node.begin()
    first, second = await serving(node, 1), await serving(node, 2)
    node.clock.go_to(1.7, timers=False)
    await node.core.telemetry()
    node.clock.go_to(9.0, timers=False)
    node.clock.go_to(9.0)
    assert [((await s).ended_s, (await s).measured.service_s) for s in (first, second)] == [
        (1.0, 1.0),
        (2.0, 1.0),
    ]


@in_a_loop
async def test_an_attempt_that_is_queued_twice_is_served_once() -> None:
    node = device()
    await node.begin()
    first, again = await serving(node, 1), await serving(node, 1)
    assert len(node.state.jobs()) == 1
    node.clock.go_to(5.0)
    assert await first == await again
    assert (await first).ended_s == 1.0


@in_a_loop
async def test_a_second_attempt_ends_the_first_and_is_served() -> None:
    node = device()
    await node.begin()
    first = await serving(node, 1)
    node.clock.go_to(0.5)
    second = await serving(node, 1, attempt=2)
    assert ((await first).outcome, (await first).reason) == ("aborted", "dispatched again")
    node.clock.go_to(5.0)
    assert ((await second).outcome, (await second).ended_s, (await second).measured.attempt) == (
        "done",
        1.5,
        2,
    )


@in_a_loop
async def test_what_goes_on_here_tells_of_this_node_only() -> None:
    node = device()
    await node.begin()
    earlier = Measured(prompts_done=1, service_s=95.0, started_s=0.0)
    moved = await serving(node, 1, prompts=3, attempt=2, earlier=earlier)
    node.clock.go_to(5.0)
    took = (await moved).measured
    assert (took.service_s, took.turn_s, took.turn_prompts) == (97.0, 2.0, 2)


@in_a_loop
async def test_a_first_attempt_whose_answer_is_on_its_way_is_not_left_without_an_end() -> None:
    node = device()
    await node.begin()
    node.change(lambda state: state.faults.set_link_delay(1, state.site, 0.5, 0.0))
    first = await serving(node, 1)
    node.clock.go_to(1.6)  # served at 1.5, answered at 2.0
    second = await serving(node, 1, attempt=2)
    assert (await asyncio.wait_for(first, 5.0)).outcome == "aborted"
    node.clock.go_to(9.0)
    assert (await second).measured.attempt == 2


@in_a_loop
async def test_an_answer_is_given_when_it_has_travelled_back() -> None:
    node = device()
    await node.begin()
    node.change(lambda state: state.faults.set_link_delay(1, state.site, 0.5, 0.0))
    one = await serving(node, 1)
    node.clock.go_to(1.9)
    await news_arrives()
    assert not one.done()
    node.clock.go_to(2.0)
    assert (await one).ended_s == 2.0


@in_a_loop
async def test_a_cancelled_request_frees_its_executor_for_the_next() -> None:
    node = device()
    await node.begin()
    first, second = await serving(node, 1, prompts=5), await serving(node, 2)
    node.clock.go_to(0.5)
    assert await node.core.cancel("x1")
    assert (await first).outcome == "aborted"
    node.clock.go_to(5.0)
    assert (await second).ended_s == 1.5
    assert not await node.core.cancel("x1")


@in_a_loop
async def test_a_late_cancel_of_an_attempt_spares_the_one_that_took_its_place() -> None:
    node = device()
    await node.begin()
    await serving(node, 1)
    second = await serving(node, 1, attempt=2)
    assert not await node.core.cancel("x1", "the client gave up", 1)
    node.clock.go_to(5.0)
    assert (await second).outcome == "done"


@in_a_loop
async def test_a_deadline_in_the_queue_ends_a_request_at_its_time() -> None:
    node = device()
    await node.begin()
    await serving(node, 1, prompts=9)
    second = await serving(node, 2, deadline_s=3.0)
    node.clock.go_to(4.0)
    assert ((await second).outcome, (await second).ended_s) == ("expired", 3.0)


@in_a_loop
async def test_prompts_are_reported_as_they_finish() -> None:
    node = device()
    await node.begin()
    one = await serving(node, 1, prompts=3)
    node.clock.go_to(1.0)
    await until(lambda: node.books.reports)
    node.clock.go_to(3.0)
    await one
    await node.core.flush()
    said = [(f.after, f.done, f.t_s, f.service_s) for f in node.books.reports]
    assert said == [(0, 1, 1.0, 1.0), (1, 3, 3.0, 3.0)]


@in_a_loop
async def test_what_was_finished_is_written_before_the_attempt_is_given_back() -> None:
    node = device()
    await node.begin()
    one = await serving(node, 1, prompts=3)
    node.books.writes.clear()
    node.clock.go_to(2.5)
    node.change(lambda state: state.faults.leave(0, "requeue", 2.5))
    await news_arrives()
    assert not one.done()
    node.books.writes.set()
    served = await one
    assert (served.outcome, served.measured.prompts_done) == ("returned", 2)
    assert node.books.reports[-1].done == 2


@in_a_loop
async def test_another_attempt_goes_on_after_what_was_finished() -> None:
    node = device()
    await node.begin()
    first = await serving(node, 1, prompts=3)
    node.clock.go_to(2.5)
    node.change(lambda state: state.faults.leave(0, "requeue", 2.5))
    earlier = (await first).measured
    node.change(lambda state: state.faults.join(0, 3.0))
    node.clock.go_to(3.0)
    second = await serving(node, 1, prompts=3, attempt=2, earlier=earlier)
    node.clock.go_to(9.0)
    assert ((await second).outcome, (await second).ended_s) == ("done", 4.0)
    assert (await second).measured.started_s == 0.0


async def hear(node: NodeWorld, work: Work, heard: list[Any]) -> None:
    async for item in node.core.stream(work):
        heard.append(item)


@in_a_loop
async def test_a_stream_tells_tokens_in_order_and_ends_with_the_whole() -> None:
    node = device()
    await node.begin()
    heard: list[Any] = []
    stream = await begun(hear(node, node.work(1, "d0", prompts=2), heard))
    for t_s in (0.25, 0.5, 1.0, 1.75):
        node.clock.go_to(t_s)
        await until(lambda t_s=t_s: heard and heard[-1][0] == 32 * t_s / 2.0)
    node.clock.go_to(2.0)
    await stream
    assert heard[:-1] == [(4, 32), (8, 32), (16, 32), (28, 32)]
    assert isinstance(heard[-1], Served)
    assert (heard[-1].outcome, heard[-1].ended_s) == ("done", 2.0)


@in_a_loop
async def test_a_stream_of_a_request_that_is_cancelled_ends() -> None:
    node = device()
    await node.begin()
    served: list[Any] = []
    queued: list[Any] = []
    in_service = await begun(hear(node, node.work(1, "d0", prompts=2), served))
    in_queue = await begun(hear(node, node.work(2, "d0"), queued))
    node.clock.go_to(0.5)
    await until(lambda: served)
    await node.core.cancel("x2")
    await node.core.cancel("x1")
    await asyncio.gather(in_service, in_queue)
    assert [s.outcome for s in (served[-1], queued[-1])] == ["aborted", "aborted"]
    assert len(queued) == 1


@in_a_loop
async def test_a_fault_lands_on_the_request_in_service() -> None:
    node = device()
    await node.begin()
    one = await serving(node, 1)
    node.clock.go_to(0.5)
    onset, undo = steps(Slowdown(node="d0", at_s=0.5, until_s=1.0, factor=2.0))
    assert await node.core.inject(onset) == 0.5
    node.clock.go_to(1.0)
    assert await node.core.inject(undo) == 1.0
    node.clock.go_to(5.0)
    assert (await one).ended_s == 1.25


@in_a_loop
async def test_a_call_before_a_run_has_begun_waits_for_it() -> None:
    node = device()
    one = await serving(node, 1)
    assert not one.done()
    await node.begin()
    await news_arrives()
    node.clock.go_to(1.0)
    assert (await one).outcome == "done"


@in_a_loop
async def test_a_call_to_a_node_that_takes_up_no_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "TAKE_UP_S", 0.01)
    node = device()
    with pytest.raises(RuntimeError, match="d0: no run has begun"):
        await node.core.serve(node.work(1, "d0"))
    assert not await node.core.cancel("x1")


@in_a_loop
async def test_a_run_that_ends_answers_everybody_who_waits() -> None:
    node = device()
    await node.begin()
    served, queued = await serving(node, 1), await serving(node, 2)
    turn = await begun(node.core.turn(node.work(3, "d0")))
    streamed: list[Any] = []
    stream = await begun(hear(node, node.work(4, "d0"), streamed))
    await node.begin("the next")
    found = [await served, await queued, await turn]
    await stream
    assert {(s.outcome, s.reason) for s in (*found, streamed[-1])} == {("aborted", "the run ended")}
    assert node.state.jobs() == []
