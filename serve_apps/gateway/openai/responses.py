"""`POST /v1/responses`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import count
from typing import Annotated, Any

from pydantic import Field

from serve_apps.gateway.http import sse
from serve_apps.gateway.openai.answers import prompt_tokens
from serve_apps.gateway.openai.bodies import GeneratedBody, Limit, Message, Text, conversation
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta


class ResponsesBody(GeneratedBody):
    """`POST /v1/responses`: text, or a list of message items."""

    input: Text | Annotated[list[Message], Field(min_length=1, max_length=2048)]
    instructions: Text | None = None
    max_output_tokens: Limit | None = None

    def ask(self) -> Ask:
        """One answer."""
        said = [Message(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        first = [Message(role="system", content=self.instructions)] if self.instructions else []
        return conversation(self, [*first, *said], self.max_output_tokens)


async def _events(asked: Asked[ResponsesBody], items: AsyncIterator[Delta | Answer]) -> AsyncGenerator[bytes]:
    """Typed events, numbered from 0. The first wait for the first item."""
    numbers, created, text = count(), int(time.time()), ""
    at_item: dict[str, Any] = {"output_index": 0}
    at_part: dict[str, Any] = {"item_id": _message_id(asked), "output_index": 0, "content_index": 0}

    def event(kind: str, payload: dict[str, Any]) -> bytes:
        numbered = {"type": kind, "sequence_number": next(numbers), **payload}
        return b"event: " + kind.encode() + b"\n" + sse(numbered)

    begun = False
    async for item in items:
        if not begun:
            begun = True
            yield event("response.created", {"response": _response(asked, None, created)})
            message = _message(asked, "in_progress", [])
            yield event("response.output_item.added", {**at_item, "item": message})
            yield event("response.content_part.added", {**at_part, "part": _part("")})
        if isinstance(item, Delta):
            text += item.text
            yield event("response.output_text.delta", {**at_part, "delta": item.text, "logprobs": []})
        else:
            whole = _response(asked, item, created)
            message = whole["output"][0]
            yield event("response.output_text.done", {**at_part, "text": text, "logprobs": []})
            yield event("response.content_part.done", {**at_part, "part": message["content"][0]})
            yield event("response.output_item.done", {**at_item, "item": message})
            yield event("response.completed", {"response": whole})


def _response(
    asked: Asked[ResponsesBody], answer: Answer | None, created: int | None = None
) -> dict[str, Any]:
    """The response object; without an answer, that of a response in progress."""
    output: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None
    if answer is not None:
        output = [_message(asked, "completed", [_part("\n".join(answer.texts))])]
        read, written = prompt_tokens(asked.ask, answer), answer.completion_tokens
        usage = {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        }
    return {
        "id": f"resp-{asked.request.id}",
        "object": "response",
        "created_at": int(time.time()) if created is None else created,
        "status": "in_progress" if answer is None else "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": asked.request.model,
        "output": output,
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "max_output_tokens": asked.ask.max_tokens,
        "usage": usage,
    }


def _message_id(asked: Asked[ResponsesBody]) -> str:
    return f"msg-{asked.request.id}"


def _message(asked: Asked[ResponsesBody], status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "message",
        "id": _message_id(asked),
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


RESPONSES = Form(
    path="/v1/responses", summary="Responses", body=ResponsesBody, whole=_response, events=_events
)
