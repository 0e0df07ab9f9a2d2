"""Injection on work that is really computed: exact on a clock that moves by one piece of work at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.cluster import ModelSpec
from emulation.domain.events import Error, Event, Leave, Pause, Slowdown
from emulation.domain.request import Request
from emulation.domain.truth import fails
from emulation.faults import Step, apply, timeline
from serve_apps.engines.caption import CaptionEngine, CaptionSettings
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.picture import PictureEngine, PictureSettings
from serve_apps.engines.prompting import TextSettings
from serve_apps.engines.text import TextEngine
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.real import Real
from serve_apps.wire.messages import Answer, Pace, Work
from tests.build.fakes import device_testbed
from tests.build.nodes import NodeWorld
from tests.build.real_work import World, real_node
from tests.build.waiting import news_arrives, until
from tests.build.works import PROMPT, Heard, picture_uri, text_work, work, work_of

pytestmark = pytest.mark.models

PIECE_S = 0.25
"""What every token or step takes on the clock of these tests."""


class Clock:
    """Time passes where the model computes (a fixed time a piece) and where the pacer waits; news comes at its time."""

    def __init__(self, news: list[tuple[float, float]]) -> None:
        """`news`: (seconds, factor from then on)."""
        self.now = 0.0
        self.pieces = 0
        self._news = news
        self.pacer = Pacer(clock=lambda: self.now, finish_queued=self._computed)
        self.pacer._changed.wait = self._wait  # type: ignore[method-assign]
        self.pacer.set(Pace(mode="cpu", factors=(1.0, 1.0)))

    def _computed(self) -> None:
        self.pieces += 1
        self._pass(self.now + PIECE_S)

    def _wait(self, timeout: float | None = None) -> bool:
        due_s = inf if timeout is None else self.now + timeout
        if self._news and self._news[0][0] < due_s:
            self._hear()
            return True
        assert due_s < inf, "would wait for ever"
        self.now = due_s
        return False

    def _pass(self, until_s: float) -> None:
        while self._news and self._news[0][0] < until_s:
            self._hear()
        self.now = until_s

    def _hear(self) -> None:
        self.now, factor = self._news.pop(0)
        self.pacer._factors = (factor, factor)


@pytest.fixture(scope="module")
def engines(tiny: Path) -> dict[str, tuple[Any, Work]]:
    """Each kind of engine with work of 9 to 24 pieces."""
    return {
        "text": (TextEngine(TextSettings(source=str(tiny / "gpt2")), ("cpu",)), text_work(ignore_eos=True)),
        "caption": (
            CaptionEngine(CaptionSettings(source=str(tiny / "blip")), ("cpu",)),
            work(pictures=(picture_uri(),), max_tokens=12, ignore_eos=True),
        ),
        "image": (
            PictureEngine(PictureSettings(source=str(tiny / "sd"), steps=8), ("cpu",)),
            work(inputs=(PROMPT,), size=(64, 64)),
        ),
    }


Engines = dict[str, tuple[Any, Work]]
Alone = dict[str, tuple[float, int]]
KINDS = ("text", "caption", "image")


def took(engines: Engines, kind: str, *news: tuple[float, float]) -> tuple[float, int]:
    """Seconds and pieces of one answer under this news."""
    engine, given = engines[kind]
    clock = Clock(list(news))
    engine.run(given, 0, clock.pacer, Heard())
    assert clock.pacer.timing().service_s == pytest.approx(clock.now), "all of it is service"
    assert not clock._news, "all of it was heard"
    return clock.now, clock.pieces


@pytest.fixture(scope="module")
def alone(engines: Engines) -> Alone:
    """Seconds and pieces of each kind's answer that nothing disturbs."""
    return {kind: took(engines, kind) for kind in KINDS}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1.25, 1.5, 2.0, 3.0, 5.0])
def test_a_slowdown_makes_the_service_exactly_so_many_times_longer(
    engines: Engines, alone: Alone, kind: str, factor: float
) -> None:
    alone_s, pieces = alone[kind]
    assert alone_s == pytest.approx(pieces * PIECE_S)
    assert pieces >= 9
    slow_s, again = took(engines, kind, (0.0, factor))
    assert again == pieces
    assert slow_s == pytest.approx(factor * alone_s, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1.25, 2.0, 5.0])
def test_a_factor_that_changes_in_service_holds_from_the_piece_under_way(
    engines: Engines, alone: Alone, kind: str, factor: float
) -> None:
    alone_s, pieces = alone[kind]
    slow_s, _ = took(engines, kind, (3.5 * PIECE_S, factor))
    assert slow_s == pytest.approx((3 + factor * (pieces - 3)) * PIECE_S, rel=1e-9)
    assert slow_s > alone_s


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_slowdown_that_ends_in_service_is_over_at_once(engines: Engines, alone: Alone, kind: str) -> None:
    _, pieces = alone[kind]
    # one piece undisturbed, three at three times their time; of the fifth, two thirds are done
    begun_s, over_s = 1.5 * PIECE_S, (1 + 3 + 3 + 3 + 2) * PIECE_S
    found_s, _ = took(engines, kind, (begun_s, 3.0), (over_s, 1.0))
    assert found_s == pytest.approx(over_s + (pieces - 5 + 1 / 3) * PIECE_S, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_pause_holds_at_the_next_piece_and_nothing_is_made_up_for(
    engines: Engines, alone: Alone, kind: str
) -> None:
    _, pieces = alone[kind]
    found_s, again = took(engines, kind, (4.5 * PIECE_S, inf), (90.0, 1.0))
    assert again == pieces
    assert found_s == pytest.approx(90.0 + (pieces - 5) * PIECE_S, rel=1e-9)


def test_a_paused_stream_says_nothing_until_it_goes_on(engines: Engines) -> None:
    engine, given = engines["text"]
    clock, told_s = Clock([(4.5 * PIECE_S, inf), (90.0, 1.0)]), []
    engine.run(given, 0, clock.pacer, lambda text, tokens: told_s.append(clock.now))
    assert len([t for t in told_s if t < 4.5 * PIECE_S]) >= 3
    assert not [t for t in told_s if 4.5 * PIECE_S <= t < 90.0]
    assert len([t for t in told_s if t >= 90.0]) > 10


# -- node and replica, joined without Ray


def steps(*events: Event) -> list[Step]:
    """The steps of a plan on the node of `World`."""
    return timeline(events, device_testbed())


def play(node: NodeWorld, step: Step) -> None:
    """Apply one step now."""
    node.change(lambda state: apply(step, state, step.at_s))


def test_a_pause_of_the_node_stops_the_thread_and_gives_no_turn_to_the_next(world: World) -> None:
    async def walk() -> None:
        onset, undo = steps(Pause(node="d0", at_s=1.0, until_s=9.0))
        first, second = world.ask(1), world.ask(2)
        await until(lambda: world.engine.runs)
        play(world.node, onset)
        await news_arrives()
        world.engine.let(6)
        await until(world.engine.held.is_set)
        assert world.engine.computed == ["r1/0.0"], "the token under way, and no more"
        play(world.node, undo)
        answers = [await first, await second]
        assert [a.served.outcome for a in answers] == ["done", "done"]
        assert world.engine.computed == [f"r{n}/0.{i}" for n in (1, 2) for i in range(3)]

    world.walk(walk)


def test_a_request_that_has_to_fail_is_never_computed(world: World) -> None:
    async def walk() -> None:
        onset, undo = steps(Error(node="d0", at_s=1.0, until_s=9.0, rate=0.5))
        play(world.node, onset)
        world.engine.let(1000)
        for number in range(40):
            answer = await world.ask(number)
            assert answer.served.outcome == ("error" if fails(0.5, 0, 0, f"r{number}", 1) else "done")
            assert (f"r{number}", 0) not in world.engine.runs or answer.served.outcome == "done"
        assert 10 < len(world.engine.runs) < 30
        play(world.node, undo)
        unlucky = next(n for n in range(40, 100) if fails(0.5, 0, 0, f"r{n}", 1))
        assert (await world.ask(unlucky)).served.outcome == "done"

    world.walk(walk)


def test_an_error_spares_the_request_that_is_being_computed(world: World) -> None:
    async def walk() -> None:
        onset, _ = steps(Error(node="d0", at_s=1.0, until_s=9.0))
        first, second = world.ask(1), world.ask(2)
        await until(lambda: world.engine.runs)
        play(world.node, onset)
        world.engine.let(3)
        assert [(await a).served.outcome for a in (first, second)] == ["done", "error"]
        assert [r for r, _ in world.engine.runs] == ["r1"]

    world.walk(walk)


def test_a_node_that_returns_still_paused_computes_nothing_until_the_pause_is_over(world: World) -> None:
    async def walk() -> None:
        plan = steps(
            Pause(node="d0", at_s=1.0, until_s=9.0),
            Leave(node="d0", at_s=2.0, until_s=3.0, in_flight="resume"),
        )
        first = world.ask(1)
        await until(lambda: world.engine.runs)
        for step in plan[:-1]:
            play(world.node, step)
        await news_arrives()
        world.engine.let(4)  # one for the token under way: then the thread lets go
        await until(lambda: world.engine.computed and not world.engine.at_work)
        await news_arrives()
        assert len(world.engine.computed) == len(world.engine.runs) == 1
        play(world.node, plan[-1])
        assert (await first).served.outcome == "done"
        assert world.engine.computed == ["r1/0.0", "r1/0.0", "r1/0.1", "r1/0.2"], "an answer starts over"

    world.walk(walk)


class Counting:
    """An engine whose pieces of work are counted, each held until the test has looked."""

    def __init__(self, engine: Any) -> None:
        self.facts, self._engine = engine.facts, engine
        self.pieces: list[str] = []
        self.look: Callable[[str], None] = lambda request_id: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, given: Work, index: int, pacer: Pacer, emit: Any) -> Any:
        lap = pacer.lap

        def counted(coefficient: int = 0) -> None:
            self.pieces.append(given.request.id)
            self.look(given.request.id)
            lap(coefficient)

        pacer.lap = counted  # type: ignore[method-assign]
        return self._engine.run(given, index, pacer, emit)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("why", ["cancelled", "timed out"])
def test_a_request_that_is_over_costs_at_most_one_more_token_or_step(
    engines: Engines, kind: str, why: str
) -> None:
    engine, given = engines[kind]
    counting, node = Counting(engine), real_node()
    replica = Real(BackendSpec("d0", ModelSpec(id="m", modality=kind)), node.calls, counting)  # type: ignore[arg-type]
    over: list[int] = []

    def ask(request_id: str, deadline_s: float) -> asyncio.Task[Answer]:
        request = Request(request_id, "m", "d0", 0.0, deadline_s)
        attempt = Work(request=request, ask=given.ask, executor="d0", sent_s=0.0, dispatched_s=0.0)
        return asyncio.ensure_future(replica.serve(attempt))

    async def end() -> None:
        if why == "cancelled":
            await node.core.cancel("r1")
        else:
            node.clock.go_to(10.0)
        await news_arrives()
        over.append(counting.pieces.count("r1"))

    async def walk() -> None:
        await node.begin()
        loop = asyncio.get_running_loop()

        def look(request_id: str) -> None:
            if request_id == "r1" and counting.pieces.count("r1") == 4:  # in the thread: the loop is free
                asyncio.run_coroutine_threadsafe(end(), loop).result(20)

        counting.look = look
        first, second = ask("r1", 9.0), ask("r2", inf)
        assert (await first).served.outcome == ("aborted" if why == "cancelled" else "expired")
        assert (await second).served.outcome == "done"

    asyncio.run(walk())
    assert over == [4]
    assert counting.pieces.count("r1") - over[0] <= 1
    assert counting.pieces.count("r2") > 4


def test_a_slowdown_of_the_plan_reaches_the_pacer_as_its_factor(world: World) -> None:
    async def walk() -> None:
        onset, undo = steps(Slowdown(node="d0", at_s=1.0, until_s=2.0, factor=2.5))
        request = Request("r1", "m", "d0", 0.0, inf)
        heard = world.node.core.follow(work_of(request, "d0"))
        assert (await anext(heard)).factors == (1.0, 1.0)
        play(world.node, onset)
        assert (await anext(heard)).factors == (2.5, 2.5)
        play(world.node, undo)
        assert (await anext(heard)).factors == (1.0, 1.0)
        await heard.aclose()

    world.walk(walk)
