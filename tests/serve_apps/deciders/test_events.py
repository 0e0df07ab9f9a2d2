"""The event plan on wall time without Ray: what is played, what is refused, what is recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from emulation.domain.events import Event, LlmOutage, NodeKill, Ramp, ReplicaKill, Slowdown
from emulation.ledger import Ledger
from serve_apps.deciders.events import EventPlayer
from serve_apps.wire.calls import Unreached
from serve_apps.wire.kills import Victims
from serve_apps.wire.names import EVENTS, RECORDER, app_name, deployer_name, runtime_name
from serve_apps.wire.news import Follower
from tests.build.calls import InMemoryCalls
from tests.build.controllers import TESTBED, Books, Node
from tests.build.fakes import header, scenario
from tests.build.waiting import in_a_loop, until


class Executioner:
    """The `Kills` of tests: writes down what it is to kill, and says what was there when a test lets it."""

    def __init__(self, node: Node) -> None:
        self.asked: list[tuple[str, Victims]] = []
        self.seen: list[list[str]] = []
        """Phases that the node had heard of at each call."""
        self.there = asyncio.Event()
        self.finds = True
        self._node = node

    async def kill(self, victims: Victims) -> tuple[str, ...]:
        self._note("kill", victims)
        return (*victims.actors, *victims.apps) if self.finds else ()

    async def back(self, victims: Victims, limit_s: float) -> bool:
        self._note("back", victims)
        await self.there.wait()
        return True

    def _note(self, what: str, victims: Victims) -> None:
        self.asked.append((what, victims))
        self.seen.append([step.phase for step in self._node.steps])


class Stage:
    """A player, one node and a recorder."""

    def __init__(self, *events: Event) -> None:
        self.scenario = scenario(TESTBED, events=events, live={"speedup": 50.0})
        self.node, self.books = Node(), Books()
        self.calls = InMemoryCalls({runtime_name("n"): self.node, RECORDER: self.books})
        self.kills = Executioner(self.node)
        self.player = EventPlayer(self.calls, self.kills)

    @asynccontextmanager
    async def playing(self, now_s: float = 0.0) -> AsyncIterator[EventPlayer]:
        """A run that is `now_s` virtual seconds old."""
        await self.player.begin_run("run", self.scenario)
        await self.player.start(time.time() - now_s / 50.0)
        yield self.player

    async def recorded(self) -> list[tuple[str, float]]:
        """(phase, time) of what is in the record of events."""
        await self.player.flush()
        return [(step.phase, at_s) for _, (step, at_s, *_) in self.books.entries]

    def phases(self) -> list[str]:
        return [step.phase for step in self.node.steps]


def slow(at_s: float, until_s: float, **fields: Any) -> Slowdown:
    return Slowdown(**{"node": "n", "factor": 2.0, "at_s": at_s, "until_s": until_s, **fields})


@in_a_loop
async def test_every_step_is_played_at_its_time_and_recorded_when_it_landed() -> None:
    stage = Stage(slow(1.0, 3.0))
    stage.node.landed_s = 1.25
    async with stage.playing():
        assert stage.node.steps == []
        await until(lambda: stage.phases() == ["onset", "undo"])
        assert await stage.recorded() == [("onset", 1.25), ("undo", 1.25)]


@in_a_loop
async def test_a_step_that_lands_on_no_node_is_recorded_nowhere() -> None:
    stage = Stage(slow(0.0, 500.0))
    stage.calls.lose(runtime_name("n"))
    async with stage.playing():
        await until(lambda: (runtime_name("n"), "inject") in stage.calls.asked)
        assert await stage.recorded() == []


@in_a_loop
async def test_an_event_injected_into_the_past_begins_now_and_gets_the_next_number() -> None:
    stage = Stage(slow(900.0, 950.0))
    async with stage.playing(now_s=100.0) as player:
        assert await player.inject(slow(50.0, 500.0)) == 1
        await until(lambda: stage.phases() == ["onset"])
        assert stage.node.steps[0].event == 1


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (slow(0.0, 500.0, node="nowhere"), "nowhere"),
        (slow(0.0, 500.0, model="nothing"), "nothing"),
        (slow(0.0, 50.0), "until_s 50 is past"),
    ],
)
@in_a_loop
async def test_an_impossible_event_is_refused_with_what_is_wrong_with_it(event: Event, words: str) -> None:
    stage = Stage()
    async with stage.playing(now_s=100.0) as player:
        with pytest.raises(ValueError, match=words):
            await player.inject(event)
        assert stage.node.steps == []


@in_a_loop
async def test_without_a_run_no_event_is_taken() -> None:
    with pytest.raises(ValueError, match="no run is in progress"):
        await Stage().player.inject(slow(0.0, 500.0))


@pytest.mark.slow
@in_a_loop
async def test_an_outage_of_reasoners_is_told_and_taken_back() -> None:
    stage = Stage(LlmOutage(at_s=1.0, until_s=50.0, failure="timeout"))
    heard: list[str | None] = []
    async with stage.playing() as player:
        follower = Follower(InMemoryCalls({EVENTS: player}), EVENTS, "run", heard.append)
        while len(heard) < 2:
            await follower.poll()
        assert heard == ["timeout", None]
        assert [phase for phase, _ in await stage.recorded()] == ["onset", "undo"]


@in_a_loop
async def test_a_restarted_player_plays_what_is_due_again_and_goes_on() -> None:
    stage = Stage(slow(1.0, 900.0), slow(102.0, 900.0))
    stage.books.parts[EVENTS] = ("run", stage.scenario), time.time() - 2.0
    await stage.player.resume()
    await until(lambda: [step.event for step in stage.node.steps] == [0, 1])


REPLICA = Victims(apps=(app_name("n", "a"),))
WHOLE_NODE = Victims((runtime_name("n"), deployer_name("n")), (app_name("n", "a"), app_name("n", "b")))


@pytest.mark.parametrize(
    ("event", "victims", "heard_before"),
    [
        (ReplicaKill(node="n", model="a", at_s=1.0, until_s=2.0), REPLICA, []),
        (NodeKill(node="n", at_s=1.0, until_s=2.0), WHOLE_NODE, ["onset"]),
    ],
)
@in_a_loop
async def test_a_kill_really_kills_and_its_undo_waits_until_somebody_is_there_again(
    event: Event, victims: Victims, heard_before: list[str]
) -> None:
    """A replica dies first and its node hears then; a node must have heard of its end, for its successor."""
    stage = Stage(event)
    async with stage.playing():
        await until(lambda: len(stage.kills.asked) == 2)
        assert stage.kills.asked == [("kill", victims), ("back", victims)]
        assert stage.kills.seen[0] == heard_before
        assert stage.phases() == ["onset"], "nobody is back yet"
        stage.kills.there.set()
        await until(lambda: stage.phases() == ["onset", "undo"])
        await stage.player.flush()
        (_, (_, _, side)), _ = stage.books.entries
        assert side == {"killed": (*victims.actors, *victims.apps)}


@in_a_loop
async def test_nothing_is_killed_twice_because_the_player_was_restarted() -> None:
    stage = Stage(NodeKill(node="n", at_s=1.0, until_s=900.0), slow(102.0, 900.0))
    stage.books.parts[EVENTS] = ("run", stage.scenario), time.time() - 2.0
    await stage.player.resume()
    await until(lambda: [step.event for step in stage.node.steps] == [1])
    assert stage.kills.asked == []


@in_a_loop
async def test_an_undo_lands_although_its_node_does_not_answer_at_first() -> None:
    stage = Stage(slow(1.0, 10.0))
    async with stage.playing():
        await until(lambda: stage.phases() == ["onset"])
        stage.calls.lose(runtime_name("n"))
        asked = len(stage.calls.asked)
        await until(lambda: len(stage.calls.asked) > asked)
        stage.calls.back(runtime_name("n"))
        await until(lambda: stage.phases() == ["onset", "undo"])


@in_a_loop
async def test_a_kill_that_found_nobody_is_recorded_nowhere() -> None:
    stage = Stage(ReplicaKill(node="n", model="a", at_s=1.0, until_s=900.0))
    stage.kills.finds = False
    async with stage.playing():
        await until(lambda: stage.phases() == ["onset"])
        assert await stage.recorded() == []


# -- by hand ----------------------------------------------------------------------------------------------------


async def state_of(player: EventPlayer, number: int) -> str:
    return (await player.ledger()).events[number].state


async def until_state(player: EventPlayer, number: int, state: str) -> None:
    while await state_of(player, number) != state:
        await asyncio.sleep(0.005)


@in_a_loop
async def test_an_event_is_undone_early_and_no_step_of_it_comes_later() -> None:
    ramp = Ramp(node="n", factor=8.0, at_s=1.0, until_s=12.0, ramp_s=10.0, steps=5)
    stage = Stage(ramp, slow(16.0, 17.0))
    async with stage.playing() as player:
        await until_state(player, 0, "in_force")
        over_s = await player.undo(0)
        assert 1.0 <= over_s < 12.0
        await until_state(player, 1, "over")  # by then the ramp would have risen, and been undone
        assert [step.phase for step in stage.node.steps if step.event == 0].count("undo") == 1
        *_, last = [step for step in stage.node.steps if step.event == 0]
        assert (last.phase, last.at_s) == ("undo", over_s)
        assert (await player.ledger()).events[0].until_s == over_s


@in_a_loop
async def test_what_is_done_by_hand_is_marked_so_in_the_record_and_nothing_else_is() -> None:
    stage = Stage(slow(1.0, 900.0), slow(1.0, 3.0))
    lines: list[Any] = []
    async with stage.playing() as player:
        number = await player.inject(slow(0.0, 900.0))
        for event in (0, number):
            await until_state(player, event, "in_force")
            await player.undo(event)
        for event in (0, 1, number):
            await until_state(player, event, "over")
        await player.flush()
    ledger = Ledger(header(stage.scenario), None, TESTBED)
    ledger.write_to(_Lines(lines))
    for _, entry in stage.books.entries:
        ledger.event(*entry)
    marked = {(r.event, r.phase, r.detail.get("by_hand", False)) for r in lines}
    assert marked == {
        (0, "onset", False), (0, "undo", True), (1, "onset", False), (1, "undo", False),
        (number, "onset", True), (number, "undo", True),
    }  # fmt: skip


class _Lines:
    """A sink that keeps the lines."""

    def __init__(self, lines: list[Any]) -> None:
        self._lines = lines

    def write(self, record: Any, side: Any = None) -> None:
        self._lines.append(record)


@in_a_loop
async def test_only_what_is_in_force_is_undone_and_the_refusal_says_why() -> None:
    stage = Stage(slow(0.0, 1.0), slow(800.0, 900.0))
    async with stage.playing() as player:
        await until_state(player, 0, "over")
        for number, words in ((0, "is over since"), (1, "begins at 800 s"), (2, "the last one is 1")):
            with pytest.raises(ValueError, match=words):
                await player.undo(number)
        stage.calls.lose(runtime_name("n"))
        lost = await player.inject(slow(0.0, 900.0))
        await until_state(player, lost, "missed")
        with pytest.raises(ValueError, match="landed nowhere"):
            await player.undo(lost)


@in_a_loop
async def test_a_restarted_player_knows_what_was_done_by_hand_and_repeats_nothing_that_is_over() -> None:
    stage = Stage(slow(1.0, 900.0))
    began = time.time()
    async with stage.playing() as player:
        number = await player.inject(slow(0.0, 900.0))
        for event in (0, number):
            await until_state(player, event, "in_force")
        await player.undo(0)
        await until_state(player, 0, "over")
    stage.books.parts[EVENTS] = ("run", stage.scenario), began
    stage.node.steps.clear()
    successor = EventPlayer(stage.calls, stage.kills)
    await successor.resume()
    await until(lambda: stage.phases() == ["onset"])
    assert (stage.node.steps[0].event, stage.node.steps[0].by_hand) == (number, True)
    assert await state_of(successor, 0) == "over"
    assert await successor.inject(slow(0.0, 950.0)) == number + 1


@in_a_loop
async def test_what_could_not_be_kept_for_a_successor_does_not_happen() -> None:
    stage = Stage()
    async with stage.playing() as player:
        stage.calls.lose(RECORDER)
        with pytest.raises(Unreached):
            await player.inject(slow(0.0, 900.0))
        stage.calls.back(RECORDER)
        assert (await player.ledger()).events == ()
        assert stage.node.steps == []
        assert await player.inject(slow(0.0, 900.0)) == 0
