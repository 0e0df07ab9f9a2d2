"""A prompt that no model could take is refused before a tokenizer has read much of it."""

from __future__ import annotations

from typing import Any

import pytest

from serve_apps.engines.prompting import GLANCE, MOST_CHARACTERS, PromptEngine, Prompts
from serve_apps.wire.ask import BadAsk, Fault
from tests.build.works import text_work

CONTEXT = 100


class Words:
    """A tokenizer of words between blanks that knows how much it has read."""

    chat_template = None
    bos_token_id = 0

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, text: str) -> dict[str, Any]:
        self.read += len(text)
        return {"input_ids": [1] * len(text.split())}

    def __len__(self) -> int:
        return 10


class Engine(PromptEngine):
    """One that only looks at prompts."""

    def __init__(self) -> None:
        self.tokenizer = Words()
        self._prompts = Prompts(self.tokenizer, CONTEXT, 10)

    def pacer(self) -> Any:
        raise NotImplementedError

    def answer(self, ids: Any, wanted: Any, pacer: Any, emit: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("text", ["a " * 15_000_000, "x" * 30_000_000, " " * 30_000_000])
def test_of_a_text_that_is_far_too_long_only_the_begin_is_read(text: str) -> None:
    engine = Engine()
    with pytest.raises(BadAsk, match="characters of prompt do not fit in the model's 100 tokens") as refused:
        engine.check(text_work(inputs=(text,)))
    assert refused.value.fault == Fault("messages", "context_length_exceeded")
    assert engine.tokenizer.read == GLANCE * CONTEXT


@pytest.mark.parametrize(
    "text", ["word " * 70, "x" * (GLANCE * CONTEXT + 1), "w" + " " * (MOST_CHARACTERS * CONTEXT - 1)]
)
def test_whatever_may_fit_is_read_to_its_end(text: str) -> None:
    engine = Engine()
    engine.check(text_work(inputs=(text,)))
    assert engine.tokenizer.read >= len(text)


def test_a_prompt_that_is_wanted_answered_often_is_looked_at_once() -> None:
    engine = Engine()
    engine.check(text_work(inputs=("two words",) * 128))
    assert engine.tokenizer.read == len("two words")
