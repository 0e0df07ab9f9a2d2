"""Requests made of what a source drew, model by model. Compiled: every request of every run is made here."""

from __future__ import annotations

from typing import Protocol

from mypy_extensions import mypyc_attr

from emulation.domain.request import Request


class Drawn(Protocol):
    """What a source drew of one request, its true length too."""

    @property
    def arrival_s(self) -> float: ...
    @property
    def origin(self) -> str: ...
    @property
    def prompts(self) -> int: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def tenant(self) -> str | None: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class RequestKind:
    """How requests of one model are made."""

    def __init__(
        self, model: str, deadline_s: float, knowledge: str, up: tuple[int, int], down: tuple[int, int]
    ) -> None:
        """`deadline_s`: seconds from the arrival on. `knowledge`: a scenario's `length_knowledge`. `up`: bytes per
        prompt and per input token; `down`: per prompt and per token of the stated limit."""
        self._model, self._deadline_s = model, deadline_s
        self._exact, self._predicted = knowledge == "exact", knowledge == "predicted"
        self._up_prompt, self._up_token = up
        self._down_prompt, self._down_token = down

    def request(self, request_id: str, drawn: Drawn) -> Request:
        """The request of this id."""
        arrival_s, prompts, tokens, limit = (
            drawn.arrival_s,
            drawn.prompts,
            drawn.prompt_tokens,
            drawn.max_tokens,
        )
        known: float | None = None
        if limit is not None and not self._predicted:
            known = float(drawn.output_tokens if self._exact else limit)
        return Request(
            request_id, self._model, drawn.origin, arrival_s, arrival_s + self._deadline_s, prompts, tokens, known,
            prompts * self._up_prompt + tokens * self._up_token,
            prompts * self._down_prompt + (0 if limit is None else limit) * self._down_token, drawn.tenant,
        )  # fmt: skip
