"""What the answers of the endpoints share: token counts, and choices in one piece or as chunks of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from serve_apps.gateway.flight import Refused, finish_reason
from serve_apps.gateway.http import sse
from serve_apps.gateway.openai.form import Asked
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta


def prompt_tokens(ask: Ask, answer: Answer) -> int:
    """Tokens of the input: those of the model's tokenizer, or whitespace words where it is emulated."""
    return ask.prompt_tokens if answer.prompt_tokens is None else answer.prompt_tokens


def whole(
    asked: Asked, answer: Answer, prefix: str, kind: str, said: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """An answer with one choice for each of `said`; `prefix` is that of its id."""
    choices = [_choice(i, fields, finish_reason(answer, asked.ask, i)) for i, fields in enumerate(said)]
    return {**_head(asked, prefix, kind), "choices": choices, "usage": _usage(asked.ask, answer)}


class Chunks:
    """Chunks of a stream of choices."""

    def __init__(
        self,
        asked: Asked,
        prefix: str,
        kind: str,
        say: Callable[[str], dict[str, Any]],
        opening: dict[str, Any] | None,
        ending: dict[str, Any],
    ) -> None:
        """`say` makes fields of a choice's new text, `opening` comes before the first."""
        self._ask, self._head = asked.ask, _head(asked, prefix, kind)
        self._say, self._opening, self._ending = say, opening, ending
        self._extra = {"usage": None} if self._ask.include_usage else {}
        self._opened: set[int] = set()

    def of(self, item: Delta | Answer) -> bytes:
        """See `Events`."""
        if isinstance(item, Delta):
            return self._open(item.choice) + self._chunk(item.choice, self._say(item.text))
        last = b"".join(
            self._open(index) + self._chunk(index, self._ending, finish_reason(item, self._ask, index))
            for index in range(1 if self._ask.images else self._ask.prompts)
        )
        if self._ask.include_usage:
            last += sse({**self._head, "choices": [], "usage": _usage(self._ask, item)})
        return last + b"data: [DONE]\n\n"

    def refused(self, refused: Refused) -> None:
        """See `Events`: like any other error."""

    def _open(self, index: int) -> bytes:
        if self._opening is None or index in self._opened:
            return b""
        self._opened.add(index)
        return self._chunk(index, self._opening)

    def _chunk(self, index: int, fields: dict[str, Any], finish: str | None = None) -> bytes:
        return sse({**self._head, "choices": [_choice(index, fields, finish)], **self._extra})


def _head(asked: Asked, prefix: str, kind: str) -> dict[str, Any]:
    request = asked.request
    return {
        "id": f"{prefix}-{request.id}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
    }


def _choice(index: int, fields: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": index, **fields, "logprobs": None, "finish_reason": finish}


def _usage(ask: Ask, answer: Answer) -> dict[str, int]:
    read, written = prompt_tokens(ask, answer), answer.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
