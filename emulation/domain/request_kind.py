"""Requests made of what a source drew. Compiled: every request of every run is made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mypy_extensions import mypyc_attr

from emulation.domain.native import Native
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth

_BLOCK = 1_024
"""Multipliers that are drawn at once."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class Drawn(Native):
    """What a source drew of one request, its true length too: it has no id, deadline or noise yet."""

    arrival_s: Final[float]
    model: Final[str]
    origin: Final[str]
    prompts: Final[int]
    prompt_tokens: Final[int]
    output_tokens: Final[int]
    max_tokens: Final[int | None]
    """Output limit the client states; None for models without output tokens."""
    tenant: Final[str | None]

    def __init__(
        self,
        arrival_s: float,
        model: str,
        origin: str,
        prompts: int = 1,
        prompt_tokens: int = 0,
        output_tokens: int = 0,
        max_tokens: int | None = None,
        tenant: str | None = None,
    ) -> None:
        self.arrival_s = arrival_s
        self.model = model
        self.origin = origin
        self.prompts = prompts
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.max_tokens = max_tokens
        self.tenant = tenant


@mypyc_attr(allow_interpreted_subclasses=True)
class Noise:
    """Multipliers of service times, drawn in blocks and handed out a few at a time: the same as all at once."""

    def __init__(self, draw: Callable[[int], list[float]]) -> None:
        """`draw` gives the next so many."""
        self._draw = draw
        self._block: tuple[float, ...] = ()
        self._taken = 0
        self.requests = 0
        """How often any were taken."""

    def take(self, count: int) -> tuple[float, ...]:
        """The next `count`."""
        begin, end = self._taken, self._taken + count
        if end > len(self._block):
            more = self._draw(max(_BLOCK, count))
            self._block, begin, end = (*self._block[begin:], *more), 0, count
        self._taken = end
        self.requests += 1
        return self._block[begin:end]


@mypyc_attr(allow_interpreted_subclasses=True)
class RequestKind:
    """How requests of one model are made."""

    def __init__(
        self,
        model: str,
        by_prompts: bool,
        deadline_s: float,
        knowledge: str,
        up: tuple[int, int],
        down: tuple[int, int],
    ) -> None:
        """`by_prompts`: whether each prompt is work of its own. `deadline_s`: seconds from the arrival on. `knowledge`:
        a scenario's `length_knowledge`. `up`: bytes per prompt and per input token; `down`: per prompt and per token of
        the stated limit."""
        self.by_prompts = by_prompts
        self._model, self._deadline_s = model, deadline_s
        self._exact, self._predicted = knowledge == "exact", knowledge == "predicted"
        self._up_prompt, self._up_token = up
        self._down_prompt, self._down_token = down

    def request(self, request_id: str, drawn: Drawn) -> Request:
        """The request of this id."""
        arrival_s, prompts, tokens = drawn.arrival_s, drawn.prompts, drawn.prompt_tokens
        limit = drawn.max_tokens
        known: float | None = None
        if limit is not None and not self._predicted:
            known = float(drawn.output_tokens if self._exact else limit)
        return Request(
            request_id, self._model, drawn.origin, arrival_s, arrival_s + self._deadline_s, prompts, tokens, known,
            prompts * self._up_prompt + tokens * self._up_token,
            prompts * self._down_prompt + (0 if limit is None else limit) * self._down_token, drawn.tenant,
        )  # fmt: skip


@mypyc_attr(allow_interpreted_subclasses=True)
class Numbered:
    """Makes the requests of one run: ids `r000000`, `r000001`, ... in the order in which they are made."""

    def __init__(self, kinds: Mapping[str, RequestKind]) -> None:
        self._kinds = dict(kinds)
        self._made = 0

    def make(self, drawn: Drawn, noise: Noise) -> tuple[Request, RequestTruth]:
        """The next request, and its truth: a multiplier per prompt, or one where they are one piece of work."""
        kind = self._kinds[drawn.model]
        request = kind.request(f"r{self._made:06d}", drawn)
        self._made += 1
        return request, RequestTruth(drawn.output_tokens, noise.take(drawn.prompts if kind.by_prompts else 1))
