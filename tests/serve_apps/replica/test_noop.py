"""The backend that takes no time says what any other would, and as much of it."""

from __future__ import annotations

from typing import Any

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from serve_apps.replica import BackendSpec
from serve_apps.replica.noop import Noop
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta, Work
from tests.build.waiting import in_a_loop


def noop(modality: Any, features: Any = "prompts") -> Noop:
    return Noop(BackendSpec("d0", ModelSpec(id="m", modality=modality, features=features)))


def work(prompts: int = 1, **asked: Any) -> Work:
    request = Request("x", "m", "d0", 0.0, 60.0, prompts)
    ask = Ask(model="m", prompts=prompts, each=prompts, **asked)
    return Work(request=request, ask=ask, executor="d0", sent_s=0.0, dispatched_s=0.0)


@in_a_loop
async def test_a_stream_says_the_answer_word_by_word() -> None:
    asked = work(2, max_tokens=16)
    whole = await noop("text", "tokens").serve(asked)
    *deltas, last = [item async for item in noop("text", "tokens").stream(asked)]
    assert last == whole
    said: dict[int, str] = {}
    for delta in deltas:
        assert isinstance(delta, Delta)
        assert (delta.tokens, len(delta.text.split())) == (1, 1)
        said[delta.choice] = said.get(delta.choice, "") + delta.text
    assert tuple(said.values()) == whole.texts
    assert len(deltas) == whole.completion_tokens == 32


@in_a_loop
async def test_its_pictures_are_as_large_as_photographs() -> None:
    answer: Answer = await noop("image").serve(work(2, size=(64, 32)))
    assert len(answer.images) == 2
    assert all(len(picture) > 3 * 64 * 32 for picture in answer.images)


def test_it_is_sent_what_a_real_model_reads() -> None:
    assert Noop.reads_inputs
