"""What the answers of the endpoints share: token counts, and choices in one piece or as chunks of a stream."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any

from serve_apps.gateway.flight import finish_reason
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


async def chunks(
    asked: Asked,
    items: AsyncIterator[Delta | Answer],
    prefix: str,
    kind: str,
    say: Callable[[str], dict[str, Any]],
    opening: dict[str, Any] | None,
    ending: dict[str, Any],
) -> AsyncGenerator[bytes]:
    """Chunks of a stream of choices: `say` makes fields of a choice's new text, `opening` comes before the first."""
    ask, head = asked.ask, _head(asked, prefix, kind)
    opened: set[int] = set()

    def chunk(index: int, fields: dict[str, Any], finish: str | None = None) -> bytes:
        extra = {"usage": None} if ask.include_usage else {}
        return sse({**head, "choices": [_choice(index, fields, finish)], **extra})

    async for item in items:
        if isinstance(item, Delta):
            if opening is not None and item.choice not in opened:
                yield chunk(item.choice, opening)
            opened.add(item.choice)
            yield chunk(item.choice, say(item.text))
        else:
            for index in range(1 if ask.images else ask.prompts):
                if opening is not None and index not in opened:
                    yield chunk(index, opening)
                yield chunk(index, ending, finish_reason(item, ask, index))
            if ask.include_usage:
                yield sse({**head, "choices": [], "usage": _usage(ask, item)})
            yield b"data: [DONE]\n\n"


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
