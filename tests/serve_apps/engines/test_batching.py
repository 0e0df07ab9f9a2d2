"""The loop that runs an engine with continuous batching, with an engine that only counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from serve_apps.engines.batching import BatchPacer, Loop
from serve_apps.engines.pacer import BURST_S, COLD_MOST_S, Stopped
from serve_apps.wire.messages import Pace, Timing
from tests.build.waiting import eventually

pytestmark = pytest.mark.models

STEP_S = 0.002


class Engine:
    """Says tokens 0, 1, 2, ... of every answer; `params` is how many. A step waits until the test lets it."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.batch: dict[str, list[int]] = {}
        self.steps: list[tuple[str, ...]] = []
        self.aborted: list[str] = []
        self.broken = False

    def add_request(self, request_id: str, prompt: Any, params: Any) -> None:
        if prompt == "bad":
            raise ValueError("it takes no such prompt")
        self.batch[request_id] = [0, params]

    def abort_request(self, request_ids: list[str]) -> None:
        self.aborted += request_ids
        for request_id in request_ids:
            self.batch.pop(request_id, None)

    def step(self) -> list[Any]:
        assert self.go.acquire(timeout=20)
        if self.broken:
            raise RuntimeError("out of memory")
        time.sleep(STEP_S)  # noqa: TID251  a step takes its time: that is what is measured
        self.steps.append(tuple(self.batch))
        outputs = []
        for request_id, (said, wanted) in list(self.batch.items()):
            over = said + 1 == wanted
            reason = "length" if over else None
            told = SimpleNamespace(token_ids=[said], finish_reason=reason, stop_reason=None)
            outputs.append(SimpleNamespace(request_id=request_id, outputs=[told], finished=over))
            self.batch[request_id][0] += 1
            if over:
                del self.batch[request_id]
        return outputs

    def let(self, steps: int) -> None:
        for _ in range(steps):
            self.go.release()


class Asker(threading.Thread):
    """Somebody who wants an answer of so many tokens."""

    def __init__(self, loop: Loop, tokens: int, prompt: str = "", factor: float = 1.0) -> None:
        super().__init__(daemon=True)
        self._loop, self._tokens, self._prompt = loop, tokens, prompt
        self.pacer: BatchPacer = loop.pacer()
        self.pace(factor)
        self.heard: list[int] = []
        self.ended: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._loop.answer(self._prompt, self._tokens, self.pacer) as steps:
                for step in steps:
                    self.heard += step.ids
        except Exception as error:
            self.ended = error

    def pace(self, factor: float | None) -> None:
        self.pacer.set(Pace(mode="cpu", factors=None if factor is None else (factor,)))

    def wait(self) -> None:
        self.join(20)
        assert not self.is_alive()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def loop(engine: Engine) -> Iterator[Loop]:
    made = Loop(lambda: engine)
    yield made
    made.close()
    engine.let(1000)


def together(loop: Loop, engine: Engine, *tokens: int, factor: float = 1.0) -> list[Asker]:
    """Askers that are all in the engine, none of them with more than the first one's first token."""
    first = Asker(loop, tokens[0] + 1, factor=factor)
    eventually(lambda: len(engine.batch) == 1)  # its first step waits for us
    others = [Asker(loop, n, factor=factor) for n in tokens[1:]]
    eventually(lambda: len(loop._new) == len(others))
    engine.let(1)
    eventually(lambda: len(engine.batch) == len(tokens))
    return [first, *others]


def test_attempts_are_computed_in_the_same_steps(loop: Loop, engine: Engine) -> None:
    first, second = together(loop, engine, 3, 3)
    engine.let(3)
    first.wait(), second.wait()
    assert (first.heard, second.heard) == ([0, 1, 2, 3], [0, 1, 2])
    assert [len(batch) for batch in engine.steps] == [1, 2, 2, 2]


def test_one_that_comes_later_joins_the_next_step(loop: Loop, engine: Engine) -> None:
    first = Asker(loop, 10)
    engine.let(4)
    eventually(lambda: len(first.heard) == 4)
    second = Asker(loop, 2)
    eventually(lambda: loop._new)
    engine.let(6)
    first.wait(), second.wait()
    assert second.heard == [0, 1]
    assert len(engine.steps) == 10


def test_reading_and_saying_are_timed_apart_for_each_attempt(loop: Loop, engine: Engine) -> None:
    first, second = together(loop, engine, 3, 3)
    engine.let(3)
    first.wait(), second.wait()
    one, other = first.pacer.timing(), second.pacer.timing()
    assert one.decode_s >= 3 * STEP_S  # it had its first token before the other came
    assert one.prefill_s >= STEP_S
    assert other.prefill_s >= STEP_S
    assert other.decode_s >= 2 * STEP_S
    assert one.service_s > other.service_s


def undisturbed_s(timing: Timing) -> float:
    """At least: the pacer does not stretch what a step may have lost to a wait before it."""
    computed_s = timing.prefill_s + timing.decode_s
    return computed_s - COLD_MOST_S * (computed_s // BURST_S)


def test_a_slow_device_stretches_every_step_for_all_in_the_batch(loop: Loop, engine: Engine) -> None:
    first, second = together(loop, engine, 5, 5, factor=3.0)
    engine.let(5)
    first.wait(), second.wait()
    for asker in (first, second):
        timing = asker.pacer.timing()
        assert timing.service_s >= 2.99 * undisturbed_s(timing)


def test_the_slowest_word_of_the_node_counts_until_all_have_heard_it(loop: Loop, engine: Engine) -> None:
    first, second = together(loop, engine, 4, 4)
    second.pace(inf)
    engine.let(4)
    eventually(lambda: len(engine.steps) == 2)
    assert first.heard == [0]
    second.pace(1.0)
    first.wait(), second.wait()


def test_a_pause_holds_all_of_them_and_its_end_lets_them_go(loop: Loop, engine: Engine) -> None:
    first, second = together(loop, engine, 4, 4)
    first.pace(inf), second.pace(inf)
    engine.let(10)
    eventually(lambda: len(engine.steps) == 2)
    assert (first.heard, second.heard) == ([0], [])
    first.pace(1.0), second.pace(1.0)
    first.wait(), second.wait()
    assert (first.heard[-1], second.heard[-1]) == (4, 3)


def test_one_that_ends_in_a_pause_does_not_hold_up_the_next(loop: Loop, engine: Engine) -> None:
    first = Asker(loop, 4, factor=inf)
    engine.let(10)
    eventually(lambda: engine.steps)
    first.pacer.stop()
    first.wait()
    assert isinstance(first.ended, Stopped)
    second = Asker(loop, 2)
    second.wait()
    assert second.heard == [0, 1]
    assert engine.aborted == ["0"]


@pytest.mark.parametrize("how", ["stopped", "turn taken away"])
def test_one_that_is_not_wanted_leaves_before_the_next_step(loop: Loop, engine: Engine, how: str) -> None:
    first, second = together(loop, engine, 6, 6)
    engine.let(1)
    eventually(lambda: len(second.heard) == 1)
    first.pacer.stop() if how == "stopped" else first.pace(None)
    first.wait()
    assert isinstance(first.ended, Stopped)
    engine.let(5)
    second.wait()
    assert second.heard == [0, 1, 2, 3, 4, 5]
    # The step that was under way when it left is its last one.
    assert sum("0" in batch for batch in engine.steps) <= 3
    assert engine.aborted == ["0"]


def test_one_that_was_not_wanted_to_begin_with_never_comes_to_the_engine(loop: Loop, engine: Engine) -> None:
    asker = Asker(loop, 2, factor=1.0)
    engine.let(2)
    asker.wait()
    asker.pacer.stop()
    with pytest.raises(Stopped), loop.answer("", 2, asker.pacer):
        raise AssertionError("it has no turn")
    assert len(engine.steps) == 2


def test_what_one_asks_wrongly_does_not_disturb_the_others(loop: Loop, engine: Engine) -> None:
    first = Asker(loop, 3)
    bad = Asker(loop, 3, prompt="bad")
    engine.let(3)
    first.wait(), bad.wait()
    assert first.heard == [0, 1, 2]
    assert isinstance(bad.ended, ValueError)


def test_a_step_that_breaks_is_heard_by_its_batch_and_the_next_one_goes_on(
    loop: Loop, engine: Engine
) -> None:
    first, second = together(loop, engine, 4, 4)
    engine.broken = True
    engine.let(1)
    first.wait(), second.wait()
    assert str(first.ended) == str(second.ended) == "out of memory"
    assert engine.batch == {}
    engine.broken = False
    third = Asker(loop, 2)
    engine.let(2)
    third.wait()
    assert third.heard == [0, 1]


def test_an_engine_that_cannot_be_made_says_why_to_whoever_wants_it() -> None:
    def broken() -> Engine:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        Loop(broken)


def test_whoever_waits_hears_that_the_engine_was_closed(loop: Loop, engine: Engine) -> None:
    asker = Asker(loop, 5)
    engine.let(1)
    eventually(lambda: asker.heard)
    loop.close()
    engine.let(1)
    asker.wait()
    assert "closed" in str(asker.ended)
