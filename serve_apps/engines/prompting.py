"""From what a client asks to the tokens a text model reads, and how many it may say: what text engines share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from emulation.domain.quantities import Tokens
from serve_apps.engines.decoding import FIRST_CALL, Emit, Wanted, nobody
from serve_apps.engines.loading import RealSettings
from serve_apps.engines.pacer import Pacer
from serve_apps.wire.ask import TOO_LONG, USUAL_TOKENS, BadAsk
from serve_apps.wire.messages import Piece, Work

GLANCE = 16
"""Characters per token of its context up to which a prompt is read at once; prose has four."""
MOST_CHARACTERS = 128
"""Characters per token of the context beyond which no text is read: the longest token of usual vocabularies."""
CUT = 16
"""Tokens that the end of a text that is cut may have more than it would have whole."""


class TextSettings(RealSettings):
    """Settings of a text model."""

    max_tokens: Tokens = USUAL_TOKENS["text"]
    """Longest answer where the client states no limit."""


class Prompts:
    """A text model's tokenizer and its limits."""

    def __init__(self, tokenizer: Any, context: int, default_tokens: int) -> None:
        """`context`: most tokens of prompt and answer together; `default_tokens`: of an answer without a limit."""
        self._tokenizer = tokenizer
        self._context = context
        self._default_tokens = default_tokens

    def ids(self, work: Work, index: int) -> list[int]:
        """Tokens of a prompt, at least one; a model that knows how to write a conversation gets one.

        Raises `BadAsk` for a text that is far too long, before all of it is read.
        """
        given = work.ask.inputs[index]
        if isinstance(given, tuple):
            return list(given) or self.start()
        if len(given) > GLANCE * self._context:
            self._glance(work, given)
        if work.ask.turns and self._tokenizer.chat_template:
            turns = [{"role": role, "content": text} for role, text in work.ask.turns]
            encoded = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
        else:
            encoded = self._tokenizer(given)
        ids: list[int] = encoded["input_ids"]
        return ids or self.start()

    def _glance(self, work: Work, text: str) -> None:
        """Read the begin of a long text: what it has too many tokens in need not be read to its end."""
        begin: list[int] = self._tokenizer(text[: GLANCE * self._context])["input_ids"]
        if len(begin) > self._context + CUT or len(text) > MOST_CHARACTERS * self._context:
            raise BadAsk(
                f"{len(text)} characters of prompt do not fit in the model's {self._context} tokens",
                work.ask.said_in,
                TOO_LONG,
            )

    def start(self) -> list[int]:
        """What stands before the first word."""
        start = self._tokenizer.bos_token_id
        return [start if start is not None else 0]

    def check(self, work: Work, ids: list[int]) -> None:
        """Raises `BadAsk` if a token is none of the model's."""
        known = len(self._tokenizer)
        if max(ids) >= known:
            raise BadAsk(f"token {max(ids)} is not one of the model's {known}", work.ask.said_in)

    def limit(self, work: Work, prompt_tokens: int) -> int:
        """Longest answer. Raises `BadAsk` if it does not fit beside the prompt."""
        room = self._context - prompt_tokens
        asked = work.ask.max_tokens
        if room < (asked or 1):
            wanted = f" and {asked} asked for" if asked else ""
            raise BadAsk(
                f"{prompt_tokens} tokens of prompt{wanted} do not fit in the model's {self._context}",
                work.ask.limited_in if asked and room > 0 else work.ask.said_in,
                TOO_LONG,
            )
        return asked or min(self._default_tokens, room)

    def decode(self, ids: list[int]) -> str:
        """The text of some tokens."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class PromptEngine(ABC):
    """A text model in memory: every prompt of some work gets an answer."""

    _prompts: Prompts

    @abstractmethod
    def pacer(self) -> Pacer:
        """A pacer for one attempt."""

    @abstractmethod
    def answer(self, ids: list[int], wanted: Wanted, pacer: Pacer, emit: Emit) -> Piece:
        """The answer to these tokens. Raises `Stopped`."""

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""
        return len(work.ask.inputs)

    def check(self, work: Work) -> None:
        """Raises `BadAsk` if a prompt does not fit, or has tokens the model does not know."""
        different = {prompt: index for index, prompt in enumerate(work.ask.inputs)}
        for index in different.values():
            ids = self._prompts.ids(work, index)
            self._prompts.check(work, ids)
            self._prompts.limit(work, len(ids))

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One answer. Raises `Stopped`."""
        ids = self._prompts.ids(work, index)
        return self.answer(
            ids, Wanted.of(work, index, self._prompts.limit(work, len(ids)), len(ids)), pacer, emit
        )

    def first_call(self) -> None:
        """Answer once, to nobody."""
        self.answer(self._prompts.start(), FIRST_CALL, self.pacer(), nobody)
