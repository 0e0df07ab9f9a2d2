"""The meta-controller in a gateway: what it asked is in the records, and why it stopped is told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from controller.agents.llm import Query, ReasonerError, Reply, ToolCall
from emulation.domain.records import ENDED, SWITCHED, DecisionRecord
from serve_apps.gateway.meta import LiveMetaLink
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Hinted
from tests.build.calls import InMemoryCalls
from tests.build.controllers import Books
from tests.build.meta import Silent, Stage
from tests.build.waiting import LONG_S, in_a_loop, until

RECORDER = "recorder"


class Thinks(Silent):
    """A reasoner that thinks until it is let go, and then for as long as it says, or never answers at all."""

    def __init__(self, thinking_s: float = 0.0, broken: str = "") -> None:
        super().__init__()
        self.go = threading.Event()
        self._thinking_s, self._broken = thinking_s, broken

    def ask(self, query: Query) -> Reply:
        super().ask(query)
        self.go.wait(LONG_S)
        if self._broken:
            raise ReasonerError(self._broken)
        return Reply((ToolCall("c", "get_system_status", "{}"),), thinking_s=self._thinking_s)


class World:
    """A link over a meta-controller of three devices, and the recorder its records go to."""

    def __init__(self, llm: Thinks) -> None:
        self.llm, self.books = llm, Books()
        self.batch = RecordBatch(InMemoryCalls({RECORDER: self.books}), "gateway")
        self.batch.begin("run")
        self.meta = Stage(llm, answers=False).meta
        self.link = LiveMetaLink(self.meta, LiveClock(1.0, 0.0), self.batch, lambda: None)

    async def asked(self) -> None:
        """A hint comes into force, and the reasoner is asked about it."""
        self.link.hinted(Hinted(t_s=0.0, node="d0", hints=("game",)))
        await until(lambda: self.llm.asked)

    async def exchanges(self) -> list[DecisionRecord]:
        """Questions in the record."""
        await self.batch.flush()
        found: list[Any] = [args[0] for method, args in self.books.entries if method == "audit"]
        return [record for record in found if "exchange" in record.choice]


@in_a_loop
async def test_a_reasoner_that_never_answers_is_asked_once_and_why_is_told_at_the_end() -> None:
    world = World(Thinks(broken="401 (the key was revoked)"))
    world.llm.go.set()
    await world.asked()
    await until(lambda: world.link.broken)
    (record,) = await world.exchanges()
    assert (record.outcome, record.violations) == ("voided", ("401 (the key was revoked)",))
    assert record.choice["exchange"]["failure"] != "timeout"
    world.link.hinted(Hinted(t_s=0.0, node="d1", hints=("game",)))
    assert set(world.meta.steered.masks) == {"d0", "d1"}, "its rules go on"
    assert world.link.end() == "401 (the key was revoked)"
    assert len(world.llm.asked) == len(await world.exchanges()) == 1


@pytest.mark.parametrize("why", [ENDED, SWITCHED])
@in_a_loop
async def test_a_thought_that_has_yet_to_land_when_it_is_over_is_in_the_record_with_its_answer(
    why: str,
) -> None:
    world = World(Thinks(thinking_s=1000.0))
    world.llm.go.set()
    await world.asked()
    await until(lambda: world.link._thought)
    world.link.end() if why == ENDED else world.link.retire()
    (record,) = await world.exchanges()
    assert (record.outcome, record.violations, record.landed_s) == ("voided", (why,), None)
    assert [name for _, name, _ in record.choice["exchange"]["calls"]] == ["get_system_status"]
    assert record.thinking_s == 1000.0


@in_a_loop
async def test_a_question_nobody_has_answered_by_the_end_is_in_the_record_as_that() -> None:
    world = World(Thinks())
    try:
        await world.asked()
        assert world.link.end() == ""
        (record,) = await world.exchanges()
    finally:
        world.llm.go.set()
    assert (record.outcome, record.violations) == ("voided", (ENDED,))
    assert record.choice["exchange"]["failure"] == "unanswered"


@in_a_loop
async def test_what_a_rule_does_after_the_end_is_recorded_and_nothing_after_the_books_are_closed() -> None:
    world = World(Thinks())
    world.llm.go.set()
    world.link.end()
    world.link.hinted(Hinted(t_s=0.0, node="d0", hints=("game",)))
    await world.batch.flush()
    masks = len(world.books.entries)
    assert masks > 0
    world.link.stop()
    world.link.hinted(Hinted(t_s=0.0, node="d1", hints=("game",)))
    await world.batch.flush()
    assert len(world.books.entries) == masks
    assert world.llm.asked == []


class Breaks(Thinks):
    """A reasoner that breaks on the first question, and answers the next."""

    def ask(self, query: Query) -> Reply:
        if not self.asked:
            self.asked.append(query)
            raise OSError("no such socket")
        return super().ask(query)


@in_a_loop
async def test_what_breaks_on_the_way_is_in_the_record_and_the_next_question_is_asked() -> None:
    world = World(Breaks())
    world.llm.go.set()
    await world.asked()
    world.link.hinted(Hinted(t_s=0.0, node="d1", hints=("game",)))
    await until(lambda: len(world.llm.asked) > 1)
    world.link.end()
    first, second, *_ = await world.exchanges()
    assert (first.outcome, first.violations) == ("voided", ("OSError: no such socket",))
    assert second.cause == "onset:d1"
