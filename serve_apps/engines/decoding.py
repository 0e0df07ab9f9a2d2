"""Token by token: turning tokens to text, seeing a stop sequence come, and running a model to the end of an answer."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.sampling import NONE, Defaults, TokenSampler
from serve_apps.wire.ask import Sampling, first_stop
from serve_apps.wire.messages import Finish, Piece, Work

Emit = Callable[[str, int], None]
"""Called with new text and the number of tokens it stands for."""
UNFINISHED = "\ufffd"
"""What a tokenizer says for bytes that are not yet a whole character."""


def nobody(text: str, tokens: int) -> None:
    """Hears what a model says to itself while it is loaded."""


def seed_of(work: Work, index: int) -> int:
    """Seed of one choice: the client's, or one that belongs to the request, so that an attempt can be repeated."""
    given = work.ask.sampling.seed
    base = zlib.crc32(work.request.id.encode()) if given is None else given
    return (base + index) % 2**63


class Detokenizer:
    """Turns tokens to text as they come, holding back half characters and what may begin a stop sequence."""

    def __init__(
        self, decode: Callable[[list[int]], str], stop: Sequence[str], emit: Emit, min_tokens: int = 0
    ) -> None:
        """`min_tokens`: what is said up to this one is never part of a stop sequence."""
        self._decode = decode
        self._min_tokens = min_tokens
        self._stop = tuple(s for s in stop if s)
        self._emit = emit
        self._ids: list[int] = []
        self._from = 0
        """First token of the window that is decoded: a piece of a word needs what stands before it."""
        self._said = 0
        """Tokens whose text was told or is held."""
        self._held = ""
        self._untold = 0
        self.text = ""
        self.said: list[tuple[str, int]] = []
        self.stopped = False

    def add(self, token: int) -> None:
        """One more token; sets `stopped` when a stop sequence is complete, its text and all after it cut."""
        self._ids.append(token)
        self._untold += 1
        if self._decode(self._ids[self._from :]).endswith(UNFINISHED):
            return
        self._take()
        self._look_for_stop()
        may_end = self.stopped or not self._counts()
        self._tell(len(self._held) - (0 if may_end else self._may_begin_stop()))

    def end(self) -> None:
        """No token follows: say what was held back, up to a stop sequence in it; that sets `stopped` too."""
        if not self.stopped:
            self._take()
            self._look_for_stop()
            self._tell(len(self._held))
        if self._untold:
            self._say("", self._untold)
            self._untold = 0

    def piece(self, finish: Finish, prompt_tokens: int = 0) -> Piece:
        """What was said, as a finished answer."""
        return Piece(
            text=self.text,
            tokens=len(self._ids),
            prompt_tokens=prompt_tokens,
            said=tuple(self.said),
            finish=finish,
        )

    def _take(self) -> None:
        """Hold the text of all tokens that have none yet."""
        before = self._decode(self._ids[self._from : self._said])
        self._held += self._decode(self._ids[self._from :])[len(before) :]
        self._from, self._said = self._said, len(self._ids)

    def _counts(self) -> bool:
        """Whether a stop sequence would count by now."""
        return len(self._ids) > self._min_tokens

    def _look_for_stop(self) -> None:
        at = first_stop(self._held, self._stop) if self._counts() else None
        if at is not None:
            self._held, self.stopped = self._held[:at], True

    def _tell(self, characters: int) -> None:
        """Say the first of the held text; a token stays with the rest, so that no text ever stands for none."""
        text, rest = self._held[:characters], self._held[characters:]
        tokens = self._untold - bool(rest)
        if text and tokens > 0:
            self._held, self._untold = rest, self._untold - tokens
            self._say(text, tokens)

    def _say(self, text: str, tokens: int) -> None:
        self.text += text
        self.said.append((text, tokens))
        self._emit(text, tokens)

    def _may_begin_stop(self) -> int:
        """Length of the longest end of the held text that a stop sequence begins with."""
        longest = max((len(s) for s in self._stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(s.startswith(self._held[-length:]) for s in self._stop):
                return length
        return 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One answer that is to be decoded."""

    max_tokens: int
    sampling: Sampling
    seed: int = 0
    ignore_end: bool = False
    prompt_tokens: int = 0
    min_tokens: int = 0

    @classmethod
    def of(cls, work: Work, index: int, max_tokens: int, prompt_tokens: int = 0) -> Wanted:
        """An answer that some work asks for."""
        ask = work.ask
        return cls(
            max_tokens, ask.sampling, seed_of(work, index), ask.ignore_eos, prompt_tokens, ask.min_tokens
        )


FIRST_CALL = Wanted(2, Sampling(temperature=0.0), ignore_end=True)
"""What an engine decodes while it is loaded: an input is read, and a further token costs a step."""


class Decoder:
    """Runs a model to the end of an answer, token by token."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        end_tokens: frozenset[int],
        temperature: float,
        defaults: Defaults = NONE,
    ) -> None:
        """`decode`: tokens to text; `temperature`: where neither client nor checkpoint (`defaults`) states one."""
        self._decode, self._defaults = decode, defaults
        self._end_tokens = end_tokens
        self._temperature = temperature

    def answer(
        self,
        wanted: Wanted,
        first: Callable[[], Any],
        step: Callable[[int], Any],
        pacer: Pacer,
        emit: Emit,
        read: Sequence[int] = (),
    ) -> Piece:
        """One answer. `first` reads the input, `step` says a token; both return the logits of the next, (vocabulary,).

        `read`: tokens of the input.

        Raises `Stopped` when the node wants no more of it.
        """
        sample = TokenSampler(wanted.sampling, self._temperature, wanted.seed, self._defaults, read)
        text = Detokenizer(self._decode, wanted.sampling.stop, emit, wanted.min_tokens)
        torch: Any = need("torch")
        finish: Finish = "length"
        with torch.inference_mode():
            pacer.begin()
            logits = first()
            for number in range(wanted.max_tokens):
                if number < wanted.min_tokens:
                    logits[list(self._end_tokens)] = -inf
                token = sample(logits)
                pacer.lap(min(number, 1))
                ended = token in self._end_tokens and not wanted.ignore_end
                if not ended:
                    text.add(token)
                if ended or text.stopped:
                    finish = "stop"
                    break
                if number + 1 < wanted.max_tokens:
                    logits = step(token)
        text.end()
        return text.piece("stop" if text.stopped else finish, wanted.prompt_tokens)
