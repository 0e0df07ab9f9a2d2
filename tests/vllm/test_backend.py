"""The vLLM backend on vLLM's own CPU build, with a tiny GPT-2 that the project makes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any, cast

import pytest

from emulation.domain.cluster import ModelSpec
from emulation.domain.measured import Measured
from emulation.domain.request import Outcome
from emulation.files import ConfigError
from serve_apps.engines.pacer import BURST_S, COLD_MOST_S, Stopped
from serve_apps.engines.vllm import VllmEngine, VllmSettings
from serve_apps.replica import backend_class
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.real import Vllm
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.messages import Answer, Delta, Pace, Served, Timing, Work
from serve_apps.wire.names import runtime_name
from tests.build.calls import InMemoryCalls
from tests.build.waiting import news_arrives, until
from tests.build.works import Heard, answer, text_work

MODEL = ModelSpec(id="m", modality="text")
WIDTH = 4


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Iterator[VllmEngine]:
    given = {"source": str(tiny / "gpt2"), "max_num_seqs": WIDTH, "kv_cache_gb": 0.1}
    settings = cast(VllmSettings, Vllm.settings_of("text", Vllm.checked("text", given)))
    made = VllmEngine(settings, ("cpu",))
    yield made
    made.close()


@pytest.fixture
def steps(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Which answers each step of vLLM gave tokens to."""
    made = cast(Any, engine._loop.engine)
    seen: list[tuple[str, ...]] = []
    step = made.step

    def watched() -> Any:
        outputs = step()
        seen.append(tuple(output.request_id for output in outputs))
        return outputs

    monkeypatch.setattr(made, "step", watched)
    return seen


class Node:
    """Every attempt has its turn at once; the pace is the test's."""

    def __init__(self) -> None:
        self.paces: dict[str, asyncio.Queue[Pace | Served]] = {}
        self.failures: dict[str, str] = {}
        self.completed: dict[str, tuple[float, int]] = {}
        self.factor = 1.0

    async def follow(self, work: Work) -> AsyncIterator[Pace | Served]:
        queue = self.paces[work.request.id] = asyncio.Queue()
        yield Pace(mode="cpu", factors=(self.factor,))
        while True:
            news = await queue.get()
            yield news
            if isinstance(news, Served):
                return

    def slow(self, factor: float | None) -> None:
        self.factor = self.factor if factor is None else factor
        for queue in self.paces.values():
            queue.put_nowait(Pace(mode="cpu", factors=None if factor is None else (factor,)))

    def end(self, request_id: str, served: Served) -> None:
        self.paces.pop(request_id).put_nowait(served)

    async def complete(
        self, request_id: str, attempt: int, service_s: float, tokens: int, *read: Any
    ) -> bool:
        self.completed[request_id] = (service_s, tokens)
        self.end(
            request_id,
            Served(outcome="done", ended_s=0.0, measured=Measured(output_tokens=tokens, service_s=service_s)),
        )
        return True

    async def advanced(self, request_id: str, attempt: int, prompts_done: int) -> None: ...

    async def cancel(self, request_id: str, reason: str, attempt: int, outcome: Outcome = "aborted") -> bool:
        if outcome == "error":
            self.failures[request_id] = reason
            self.end(request_id, Served(outcome="error", ended_s=0.0, reason=reason))
        return True


class World:
    """One replica on the engine, and its node."""

    def __init__(self, engine: VllmEngine) -> None:
        self.node = Node()
        self.replica = Vllm(BackendSpec("d0", MODEL), InMemoryCalls({runtime_name("d0"): self.node}), engine)

    def ask(self, number: int, **fields: Any) -> asyncio.Task[Answer]:
        return asyncio.ensure_future(self.replica.serve(text_work(number, **fields)))


@pytest.fixture
def world(engine: VllmEngine) -> World:
    return World(engine)


class Run(threading.Thread):
    """One answer in a thread of its own, as the replica's pool runs it."""

    def __init__(self, engine: VllmEngine, number: int, factor: float = 1.0, **fields: Any) -> None:
        super().__init__(daemon=True)
        self._engine, self._work = engine, text_work(number, **fields)
        self.pacer, self.heard = engine.pacer(), Heard()
        self.pacer.set(Pace(mode="cpu", factors=(factor,)))
        self.ended: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.piece = self._engine.run(self._work, 0, self.pacer, self.heard)
        except BaseException as error:
            self.ended = error

    def wait(self) -> None:
        self.join(60)
        assert not self.is_alive()


def walk(what: Callable[[], Any]) -> Any:
    async def within() -> Any:
        async with asyncio.timeout(120):
            return await what()

    return asyncio.run(within())


def test_it_is_found_by_name_and_says_what_loading_cost(engine: VllmEngine) -> None:
    assert backend_class("vllm") is Vllm
    facts = engine.facts
    assert (facts.device, facts.dtype, facts.threads) == ("cpu", "float32", 1)
    assert facts.parameters > 100_000
    assert min(facts.import_s, facts.weights_s, facts.first_call_s, facts.ram_mb) > 0


def test_a_chat_is_answered_with_its_usage_and_its_service_time(world: World) -> None:
    async def talk() -> None:
        found = await world.ask(1, max_tokens=12, ignore_eos=True)
        assert found.served.outcome == "done"
        assert found.completion_tokens == 12
        assert found.finish == ("length",)
        assert found.prompt_tokens is not None
        assert found.prompt_tokens > 5
        assert found.timing is not None
        assert found.timing.prefill_s > 0
        assert found.timing.decode_s > 0
        assert world.node.completed["r1"] == (found.timing.service_s, 12)

    walk(talk)


def test_a_stream_says_what_the_whole_answer_says(world: World) -> None:
    async def talk() -> None:
        said = [item async for item in world.replica.stream(text_work(1, seed=4, max_tokens=20))]
        *deltas, last = said
        assert isinstance(last, Answer)
        heard = [d for d in deltas if isinstance(d, Delta)]
        assert len(heard) > 3
        assert "".join(d.text for d in heard) == last.texts[0]
        assert sum(d.tokens for d in heard) == last.completion_tokens
        assert (await world.ask(2, seed=4, max_tokens=20)).texts == last.texts

    walk(talk)


def test_several_choices_come_one_after_the_other_and_differ(world: World) -> None:
    async def talk() -> None:
        prompt = text_work(1).ask.inputs[0]
        found = await world.ask(1, prompts=2, inputs=(prompt, prompt), max_tokens=16)
        assert len(found.texts) == 2
        assert found.texts[0] != found.texts[1]

    walk(talk)


def test_attempts_at_the_same_time_are_computed_in_the_same_steps(
    world: World, steps: list[tuple[str, ...]]
) -> None:
    async def talk() -> None:
        world.node.slow(inf)
        asked = [world.ask(n, max_tokens=30, ignore_eos=True) for n in range(1, WIDTH + 1)]
        await until(lambda: len(world.node.paces) == WIDTH)
        await news_arrives()
        world.node.slow(1.0)
        found = await asyncio.gather(*asked)
        assert [a.completion_tokens for a in found] == [30] * WIDTH

    walk(talk)
    assert max(len(batch) for batch in steps) == WIDTH
    assert len(steps) < 2 * 30


def test_one_more_than_fit_waits_for_its_thread(world: World, steps: list[tuple[str, ...]]) -> None:
    async def talk() -> None:
        await asyncio.gather(*(world.ask(n, max_tokens=8, ignore_eos=True) for n in range(1, 2 * WIDTH + 1)))

    walk(talk)
    assert max(len(batch) for batch in steps) <= WIDTH
    assert sum(len(batch) for batch in steps) == 2 * WIDTH * 8


def test_a_seed_makes_an_answer_that_can_be_had_again(engine: VllmEngine) -> None:
    first, again = (answer(engine, text_work(n, seed=7)) for n in (1, 2))
    other = answer(engine, text_work(3, seed=8))
    assert first.text == again.text != other.text


def test_without_a_seed_the_request_itself_is_one(engine: VllmEngine) -> None:
    assert answer(engine, text_work(1)).text == answer(engine, text_work(1)).text
    assert answer(engine, text_work(1)).text != answer(engine, text_work(2)).text


def test_temperature_zero_takes_the_likeliest_token_whatever_the_seed(engine: VllmEngine) -> None:
    texts = {answer(engine, text_work(1, seed=s, temperature=0.0)).text for s in (1, 2)}
    assert len(texts) == 1
    assert answer(engine, text_work(1, seed=1, top_p=0.0)).text in texts


def test_a_stop_sequence_ends_the_answer_and_is_not_part_of_it(engine: VllmEngine) -> None:
    whole = answer(engine, text_work(1, seed=5, max_tokens=40, ignore_eos=True))
    word = whole.text.split()[3]
    cut = answer(engine, text_work(1, seed=5, max_tokens=40, ignore_eos=True, stop=(word,)))
    assert cut.finish == "stop"
    assert cut.text == whole.text[: whole.text.index(word)]
    assert cut.tokens < whole.tokens


def test_max_tokens_is_kept_to_and_counted(engine: VllmEngine) -> None:
    heard = Heard()
    piece = engine.run(text_work(1, max_tokens=9, ignore_eos=True), 0, engine.pacer(), heard)
    assert (piece.tokens, piece.finish, heard.tokens, heard.text) == (9, "length", 9, piece.text)


def test_a_prompt_that_does_not_fit_is_the_clients_mistake(world: World, engine: VllmEngine) -> None:
    async def talk() -> None:
        found = await world.ask(1, inputs=("word " * 3000,))
        assert (found.served.outcome, found.fault) == ("rejected", "messages")
        assert "2048" in found.served.reason
        assert world.node.completed == {}

    walk(talk)
    with pytest.raises(BadAsk) as refused:
        engine.check(text_work(1, max_tokens=5000))
    assert refused.value.fault.param == "max_tokens"


@pytest.mark.parametrize("how", ["cancelled", "turn taken away"])
def test_one_that_is_stopped_is_out_of_the_engine_within_one_step(
    engine: VllmEngine, steps: list[tuple[str, ...]], how: str
) -> None:
    gone = Run(engine, 1, max_tokens=1500, ignore_eos=True)
    asyncio.run(until(lambda: steps))
    number = steps[0][0]
    stays = Run(engine, 2, max_tokens=200, ignore_eos=True)
    asyncio.run(until(lambda: stays.heard.tokens > 5))
    before = len(steps)
    gone.pacer.stop() if how == "cancelled" else gone.pacer.set(Pace(mode="off", factors=None))
    gone.wait()
    assert isinstance(gone.ended, Stopped)
    stays.wait()
    assert stays.piece.tokens == 200
    # One step was under way when it was stopped, another one when its thread had let go.
    assert sum(number in batch for batch in steps[before:]) <= 2
    assert not cast(Any, engine._loop.engine).has_unfinished_requests()


def undisturbed_s(timing: Timing) -> float:
    """At least: the pacer does not stretch what a step may have lost to the wait before it."""
    computed_s = timing.prefill_s + timing.decode_s
    return computed_s - COLD_MOST_S * (1 + computed_s // BURST_S)


def test_a_slowdown_stretches_the_whole_batch(engine: VllmEngine) -> None:
    runs = [Run(engine, n, factor=3.0, max_tokens=40, ignore_eos=True) for n in (1, 2)]
    for run in runs:
        run.wait()
        timing = run.pacer.timing()
        assert timing.service_s >= 2.99 * undisturbed_s(timing)


def test_a_pause_holds_a_stream_and_its_end_lets_it_go(engine: VllmEngine) -> None:
    run = Run(engine, 1, max_tokens=200, ignore_eos=True)
    asyncio.run(until(lambda: run.heard.tokens > 5))
    run.pacer.set(Pace(mode="cpu", factors=(inf,)))
    asyncio.run(asyncio.sleep(0.2))
    held = run.heard.tokens
    asyncio.run(asyncio.sleep(0.2))
    assert run.heard.tokens == held < 200
    run.pacer.set(Pace(mode="cpu", factors=(1.0,)))
    run.wait()
    assert run.piece.tokens == 200


def test_a_node_that_leaves_and_returns_gets_the_same_answer_to_the_end(world: World) -> None:
    async def talk() -> None:
        undisturbed = await world.ask(1, seed=3, max_tokens=300, ignore_eos=True)
        again = world.ask(2, seed=3, max_tokens=300, ignore_eos=True)
        await until(lambda: "r2" in world.node.paces)
        world.node.slow(None)
        await asyncio.sleep(0.1)
        assert not again.done()
        world.node.slow(1.0)
        assert (await again).texts == undisturbed.texts

    walk(talk)


def test_what_breaks_one_answer_leaves_the_others_alone(
    world: World, engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cast(Any, engine._loop.engine)
    add = made.add_request

    def picky(request_id: str, prompt: Any, params: Any) -> Any:
        if params.max_tokens == 13:
            raise ValueError("not this one")
        return add(request_id, prompt, params)

    monkeypatch.setattr(made, "add_request", picky)

    async def talk() -> None:
        good, bad = await asyncio.gather(
            world.ask(1, max_tokens=20, ignore_eos=True), world.ask(2, max_tokens=13)
        )
        assert (good.served.outcome, good.completion_tokens) == ("done", 20)
        assert bad.served.outcome == "error"
        assert "not this one" in world.node.failures["r2"]

    walk(talk)


def test_a_build_for_another_device_is_named(tiny: Path) -> None:
    settings = VllmSettings(source=str(tiny / "gpt2"), device="cuda")
    with pytest.raises(ConfigError, match="GPU"):
        VllmEngine(settings, ("gpu",))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    settings = VllmSettings(source=str(tmp_path), kv_cache_gb=0.1)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        VllmEngine(settings, ("cpu",))
