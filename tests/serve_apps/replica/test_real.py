"""The walk of real work between replica and node: the true node runtime and backend, joined without Ray."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf

import pytest

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from emulation.domain.truth import Condition
from serve_apps.wire.ask import Fault
from serve_apps.wire.messages import Answer, Delta, Pace, Piece, Served
from tests.build.real_work import World, real_node
from tests.build.waiting import news_arrives, until
from tests.build.works import work_of

pytestmark = pytest.mark.models


def test_requests_are_computed_one_after_the_other_in_the_nodes_order(world: World) -> None:
    async def walk() -> None:
        first, second = world.ask(1), world.ask(2)
        world.engine.let(5)
        answer = await first
        assert (answer.served.outcome, answer.texts, answer.completion_tokens) == (
            "done",
            (" 0.0 0.1 0.2",),
            3,
        )
        assert answer.served.measured.output_tokens == 3
        assert answer.timing is not None
        assert answer.served.measured.service_s == answer.timing.service_s > 0
        assert not second.done()
        world.engine.let(1)
        await second
        assert [c.partition("/")[0] for c in world.engine.computed] == ["r1"] * 3 + ["r2"] * 3

    world.walk(walk)


def test_a_cancelled_request_frees_its_replica_within_one_token(world: World) -> None:
    async def walk() -> None:
        first, second = world.ask(1), world.ask(2)
        world.engine.let(1)
        await until(lambda: world.engine.computed)
        await world.node.core.cancel("r1")
        assert (await first).served.outcome == "aborted"
        world.engine.let(4)  # one for the token that was under way
        assert (await second).served.outcome == "done"
        assert len(world.engine.computed) == 5

    world.walk(walk)


def test_a_caller_that_goes_away_cancels_the_work(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1)
        await until(lambda: world.engine.runs)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await until(lambda: not world.node.state.jobs())

    world.walk(walk)


def test_a_deadline_ends_work_in_service(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1, deadline_s=9.0)
        await until(lambda: world.engine.runs)
        world.node.clock.go_to(10.0)
        assert (await first).served.outcome == "expired"

    world.walk(walk)


def test_what_is_finished_is_kept_for_the_next_attempt_when_its_node_leaves(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1, prompts=3)
        world.engine.let(4)
        await until(lambda: len(world.engine.computed) == 4)
        world.node.change(lambda state: state.faults.leave(0, "requeue", 1.0))
        answer = await first
        assert (answer.served.outcome, answer.served.measured.prompts_done) == ("returned", 1)
        assert [p.text for p in answer.kept] == [" 0.0 0.1 0.2"]
        world.node.change(lambda state: state.faults.join(0, 2.0))
        world.engine.let(7)
        again = await world.ask(1, prompts=3, kept=answer.kept)
        assert again.texts == (" 0.0 0.1 0.2", " 1.0 1.1 1.2", " 2.0 2.1 2.2")
        assert [r for r in world.engine.runs if r[1] == 0] == [("r1", 0)]

    world.walk(walk)


def test_a_stream_goes_on_where_it_stopped_when_its_node_comes_back(world: World) -> None:
    async def walk() -> None:
        request = Request("r1", "m", "d0", 0.0, inf, prompts=2)
        said: list[Delta] = []
        ends: list[Answer] = []

        async def listen() -> None:
            async for item in world.replica.stream(work_of(request, "d0")):
                said.append(item) if isinstance(item, Delta) else ends.append(item)

        listening = asyncio.ensure_future(listen())
        world.engine.let(5)
        await until(lambda: len(said) == 5)
        world.node.change(lambda state: state.faults.leave(0, "resume", 1.0))
        await news_arrives()
        world.engine.let(1)  # the token under way: then the thread lets go
        world.node.change(lambda state: state.faults.join(0, 2.0))
        world.engine.let(3)
        await listening
        assert "".join(d.text for d in said) == " 0.0 0.1 0.2 1.0 1.1 1.2"
        assert sum(d.tokens for d in said) == ends[0].completion_tokens == 6

    world.walk(walk)


def test_a_kept_choice_is_told_again_so_that_a_stream_is_whole(world: World) -> None:
    async def walk() -> None:
        kept = (Piece(text=" x y", tokens=2, said=((" x", 1), (" y", 1))),)
        work = work_of(Request("r1", "m", "d0", 0.0, inf, prompts=2), "d0", attempt=2, kept=kept)
        world.engine.let(3)
        items = [item async for item in world.replica.stream(work)]
        assert [(i.choice, i.text) for i in items[:3] if isinstance(i, Delta)] == [
            (0, " x"),
            (0, " y"),
            (1, " 1.0"),
        ]

    world.walk(walk)


def test_a_slowdown_holds_from_its_onset_and_ends_with_it(world: World) -> None:
    async def walk() -> None:
        first = world.ask(1)
        await until(lambda: world.engine.runs)
        world.node.change(lambda state: state.faults.set_condition(1, Condition(slowdown=inf), 1.0))
        await news_arrives()
        world.engine.let(3)
        await until(world.engine.held.is_set)
        assert len(world.engine.computed) == 1  # paused at its first token
        world.node.change(lambda state: state.faults.set_condition(1, None, 2.0))
        assert (await first).completion_tokens == 3

    world.walk(walk)


def test_a_model_that_breaks_ends_the_request_as_an_error_and_serves_the_next(world: World) -> None:
    async def walk() -> None:
        first, second = world.ask(1), world.ask(2)
        world.engine.broken = True
        world.engine.let(1)
        answer = await first
        assert answer.served.outcome == "error"
        world.engine.broken = False
        world.engine.let(3)
        assert (await second).served.outcome == "done"

    world.walk(walk)


def test_what_no_model_could_serve_is_refused_before_it_queues(world: World) -> None:
    async def walk() -> None:
        answer = await world.ask(1, max_tokens=13)
        assert (answer.served.outcome, answer.served.reason, answer.fault) == (
            "rejected", "13 is too many", Fault("max_tokens"),
        )  # fmt: skip
        assert not world.node.state.jobs()

    world.walk(walk)


def test_captions_of_several_pictures_are_lines_of_one_text(world: World) -> None:
    async def walk() -> None:
        world.replica._spec = replace(world.replica._spec, model=ModelSpec(id="m", modality="caption"))
        world.engine.let(6)
        work = work_of(Request("r1", "m", "d0", 0.0, inf, prompts=2), "d0")
        items = [item async for item in world.replica.stream(work)]
        said = "".join(i.text for i in items if isinstance(i, Delta))
        assert said == " 0.0 0.1 0.2\n 1.0 1.1 1.2"
        assert {i.choice for i in items if isinstance(i, Delta)} == {0}
        assert isinstance(items[-1], Answer)
        assert items[-1].texts == (" 0.0 0.1 0.2", " 1.0 1.1 1.2")

    world.walk(walk)


def test_the_seconds_a_stand_in_computes_count_speedup_times() -> None:
    async def walk() -> None:
        node = real_node(speedup=4.0)
        await node.begin()
        request = Request("r1", "m", "d0", 0.0, inf)
        heard = node.core.follow(work_of(request, "d0"))
        assert isinstance(await anext(heard), Pace)
        assert await node.core.complete("r1", 1, 1.5, 4)
        served = await anext(heard)
        assert isinstance(served, Served)
        assert served.measured.service_s == 6.0

    asyncio.run(walk())


def test_pace_is_told_when_it_changes_and_not_otherwise() -> None:
    async def walk() -> None:
        node = real_node()
        await node.begin()
        heard: list[Pace | Served] = []
        request = Request("r1", "m", "d0", 0.0, inf)

        async def listen() -> None:
            async for news in node.core.follow(work_of(request, "d0")):
                heard.append(news)

        listening = asyncio.ensure_future(listen())
        await until(lambda: heard)
        node.change(lambda state: state.faults.set_condition(1, Condition(slowdown=2.0), 1.0))
        await until(lambda: len(heard) == 2)
        node.change(lambda state: state.faults.set_condition(2, Condition(slowdown=2.0), 1.0, "b"))
        await news_arrives()
        assert not await node.core.complete("r1", 2, 1.0, 4)  # of another attempt
        assert await node.core.complete("r1", 1, 1.0, 4)
        await listening
        assert [p.factors for p in heard if isinstance(p, Pace)] == [(1.0, 1.0), (2.0, 2.0)]
        assert isinstance(heard[-1], Served)
        assert (heard[-1].measured.service_s, heard[-1].measured.output_tokens) == (1.0, 4)

    asyncio.run(walk())
