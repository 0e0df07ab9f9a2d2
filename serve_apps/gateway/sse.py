"""Streamed answers as server-sent events, in the shapes of the OpenAI API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

from emulation.domain.request import Request
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta

DONE = b"data: [DONE]\n\n"


def usage(ask: Ask, answer: Answer) -> dict[str, int]:
    """Token counts: those of the model's tokenizer, or whitespace words where it is emulated."""
    read = prompt_tokens(ask, answer)
    return {
        "prompt_tokens": read,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": read + answer.completion_tokens,
    }


def prompt_tokens(ask: Ask, answer: Answer) -> int:
    """Tokens of the input."""
    return ask.prompt_tokens if answer.prompt_tokens is None else answer.prompt_tokens


def finish_reason(answer: Answer, ask: Ask, choice: int = 0) -> str:
    """What a real model said of this choice; else `length` if it is as long as the client's limit allows."""
    if answer.finish:
        return answer.finish[min(choice, len(answer.finish) - 1)]
    each = answer.completion_tokens // max(len(answer.texts), 1)
    return "length" if ask.max_tokens is not None and each >= ask.max_tokens else "stop"


def response_object(
    request: Request, ask: Ask, answer: Answer | None, created: int, status: str = "completed"
) -> dict[str, Any]:
    """The body of `/v1/responses`; without an answer, that of a response in progress."""
    text = "" if answer is None else "\n".join(answer.texts)
    content = {"type": "output_text", "text": text, "annotations": []}
    message = {
        "type": "message",
        "id": f"msg-{request.id}",
        "status": status,
        "role": "assistant",
        "content": [content],
    }
    counts = None
    if answer is not None:
        counts = {
            "input_tokens": prompt_tokens(ask, answer),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt_tokens(ask, answer) + answer.completion_tokens,
        }
    return {
        "id": f"resp-{request.id}",
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": request.model,
        "output": [] if answer is None else [message],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "max_output_tokens": ask.max_tokens,
        "usage": counts,
    }


async def chat_events(
    items: AsyncIterator[Delta | Answer], request: Request, ask: Ask, created: int
) -> AsyncIterator[bytes]:
    """Chunks of `/v1/chat/completions`."""
    base = {
        "id": f"chatcmpl-{request.id}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": request.model,
    }
    opened: set[int] = set()
    async for item in items:
        if isinstance(item, Delta):
            if item.choice not in opened:
                opened.add(item.choice)
                yield _chunk(base, ask, _chat_choice(item.choice, {"role": "assistant", "content": ""}))
            yield _chunk(base, ask, _chat_choice(item.choice, {"content": item.text}))
        else:
            for choice in sorted(opened) or [0]:
                yield _chunk(base, ask, _chat_choice(choice, {}, finish_reason(item, ask, choice)))
            if ask.include_usage:
                yield _event({**base, "choices": [], "usage": usage(ask, item)})
            yield DONE


async def completion_events(
    items: AsyncIterator[Delta | Answer], request: Request, ask: Ask, created: int
) -> AsyncIterator[bytes]:
    """Chunks of `/v1/completions`."""
    base = {
        "id": f"cmpl-{request.id}",
        "object": "text_completion",
        "created": created,
        "model": request.model,
    }
    opened: set[int] = set()
    async for item in items:
        if isinstance(item, Delta):
            opened.add(item.choice)
            yield _chunk(base, ask, _text_choice(item.choice, item.text))
        else:
            for choice in sorted(opened) or [0]:
                yield _chunk(base, ask, _text_choice(choice, "", finish_reason(item, ask, choice)))
            if ask.include_usage:
                yield _event({**base, "choices": [], "usage": usage(ask, item)})
            yield DONE


async def responses_events(
    items: AsyncIterator[Delta | Answer], request: Request, ask: Ask, created: int
) -> AsyncIterator[bytes]:
    """Typed events of `/v1/responses`."""
    number = 0
    text = ""
    where = {"item_id": f"msg-{request.id}", "output_index": 0, "content_index": 0}
    async for item in items:
        if number == 0:
            begun = response_object(request, ask, None, created, "in_progress")
            yield _typed("response.created", 0, {"response": begun})
            part = {"type": "output_text", "text": "", "annotations": []}
            message: dict[str, Any] = {
                "type": "message",
                "id": where["item_id"],
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            yield _typed("response.output_item.added", 1, {"output_index": 0, "item": message})
            yield _typed("response.content_part.added", 2, {**where, "part": part})
            number = 3
        if isinstance(item, Delta):
            text += item.text
            yield _typed("response.output_text.delta", number, {**where, "delta": item.text, "logprobs": []})
            number += 1
        else:
            whole = response_object(request, ask, item, created)
            yield _typed("response.output_text.done", number, {**where, "text": text, "logprobs": []})
            part = whole["output"][0]["content"][0]
            yield _typed("response.content_part.done", number + 1, {**where, "part": part})
            yield _typed(
                "response.output_item.done", number + 2, {"output_index": 0, "item": whole["output"][0]}
            )
            yield _typed("response.completed", number + 3, {"response": whole})


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def _typed(kind: str, number: int, payload: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\n" + _event({"type": kind, "sequence_number": number, **payload})


def _chunk(base: dict[str, Any], ask: Ask, choice: dict[str, Any]) -> bytes:
    extra = {"usage": None} if ask.include_usage else {}
    return _event({**base, "choices": [choice], **extra})


def _chat_choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _text_choice(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
