"""The end of a run in the gateway: once it is sealed nobody is answered, and who was stands in the records before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve_apps.gateway.flight import Refused
from serve_apps.gateway.openai.form import refusal
from serve_apps.gateway.steps import step_of
from serve_apps.records.batch import RecordBatch
from serve_apps.records.books import SEALED
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta, RunState, Work
from tests.build.calls import InMemoryCalls
from tests.build.gateway import Gateway, hanging, items_of, served, story
from tests.build.waiting import news_arrives, until

pytestmark = pytest.mark.usefixtures("at_once")


def said(gateway: Gateway) -> list[str]:
    return [method for method, _ in gateway.batch.entries]


@story
async def test_what_is_in_flight_is_refused_and_stands_in_no_record_as_ended(gateway: Gateway) -> None:
    entered = asyncio.Event()
    await gateway.answer(1)
    gateway.replicas.serving["d0"].append(hanging(entered))
    waiting = gateway.answer(2)
    await entered.wait()
    gateway.dispatcher.seal()
    gateway.dispatcher.seal()
    with pytest.raises(Refused, match="the run is over") as refused:
        await waiting
    assert refusal(refused.value).status == 503
    assert [end[0] for end in gateway.batch.ends()] == ["r1"]
    assert said(gateway)[-1] == SEALED
    assert said(gateway).count(SEALED) == 1
    assert gateway.nodes["d0"].cancelled == [("r2", 1)]
    assert not gateway.dispatcher.flights


@story
async def test_an_answer_that_comes_as_the_run_is_sealed_is_given_to_nobody(gateway: Gateway) -> None:
    entered, ready = asyncio.Event(), asyncio.Event()

    async def late(work: Work) -> Answer:
        entered.set()
        await ready.wait()
        return await served(work)

    gateway.replicas.serving["d0"].append(late)
    waiting = gateway.answer()
    await entered.wait()
    ready.set()
    gateway.dispatcher.seal()
    with pytest.raises(Refused, match="the run is over"):
        await waiting
    assert gateway.batch.ends() == []


@story
async def test_what_is_held_or_comes_late_is_refused_too(gateway: Gateway) -> None:
    gateway.path.plan.append(None)
    held = gateway.answer(1)
    await until(lambda: ("r1", "hold") in gateway.batch.routed())
    gateway.dispatcher.seal()
    for waiting in (held, gateway.answer(2)):
        with pytest.raises(Refused, match="the run is over"):
            await waiting
    assert gateway.replicas.works == []
    assert [args[0].id for method, args in gateway.batch.entries if method == "arrive"] == ["r1"]


@pytest.mark.parametrize("reading", [True, False])
def test_a_stream_breaks_off_wherever_it_is(reading: bool) -> None:
    @story
    async def steps(gateway: Gateway) -> None:
        async def stream(work: Work) -> Any:
            yield Delta(choice=0, text="a", tokens=1)
            if not reading:
                await asyncio.Event().wait()
            yield await served(work)

        gateway.replicas.streaming["d0"].append(stream)
        items = items_of(gateway.dispatcher.stream(gateway.request(), Ask(model="m", stream=True)))
        assert isinstance(await anext(items), Delta)
        following = None if reading else asyncio.ensure_future(anext(items))
        await news_arrives()
        gateway.dispatcher.seal()
        with pytest.raises(Refused, match="the run is over"):
            await (anext(items) if following is None else following)
        assert gateway.batch.ends() == []

    steps()


@pytest.mark.parametrize(
    ("state", "serving", "step"),
    [
        (RunState(run_id=None, t0_wall=None), False, "idle"),
        (RunState(run_id="run", t0_wall=1.0, closed=True, ending=True, sealing=True), False, "idle"),
        (RunState(run_id="run", t0_wall=1.0, ending=True), True, "end"),
        (RunState(run_id="run", t0_wall=1.0, ending=True, sealing=True), False, "seal"),
        (RunState(run_id="run", t0_wall=1.0), True, "stay"),
        (RunState(run_id="run", t0_wall=1.0), False, "end"),  # its recorder was killed, and has forgotten
        (RunState(run_id="next", t0_wall=1.0), True, "begin"),
    ],
)
def test_a_run_that_was_ended_is_never_begun_again(state: RunState, serving: bool, step: str) -> None:
    assert step_of(state, "run", serving) == step


def test_the_last_word_is_said_once_in_each_run() -> None:
    batch = RecordBatch(InMemoryCalls(), "gateway:a:1")
    for run in ("one", "two"):
        batch.begin(run)
        batch.add("x", 1)
        batch.seal()
        batch.seal()
        assert batch.unsent == 2
