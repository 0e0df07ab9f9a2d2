"""`POST /v1/responses`."""

from __future__ import annotations

import time
from itertools import count
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from serve_apps.gateway.flight import Refused, finish_reason
from serve_apps.gateway.http import sse
from serve_apps.gateway.openai.answers import prompt_tokens
from serve_apps.gateway.openai.bodies import (
    MOST_ITEMS,
    Anything,
    Few,
    GeneratedBody,
    Limit,
    Metadata,
    Shape,
    StreamOptions,
    Text,
    TextFormat,
    ToolChoice,
    writable,
)
from serve_apps.gateway.openai.conversation import Turn, conversation
from serve_apps.gateway.openai.fields import IGNORED, Only
from serve_apps.gateway.openai.form import Asked, Form, refusal
from serve_apps.gateway.openai.items import Item
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta

MOST_CALLS = 2**31 - 1
"""Calls of tools that a client may allow; none is ever made."""


class TextSettings(Shape):
    """The form of an answer in text."""

    format: TextFormat | None = None
    verbosity: Annotated[Literal["low", "medium", "high"] | None, IGNORED] = None


class SaidAgain(Shape):
    """An object that is said again as it came; what it has beside the fields below, nobody looks into."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _can_be_said(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MOST_ITEMS:
            raise ValueError(f"{len(value)} fields, at most {MOST_ITEMS}")
        return writable(value) if isinstance(value, dict) else value

    def again(self) -> dict[str, Any]:
        """As it came."""
        return self.model_dump(exclude_unset=True)


class Tool(SaidAgain):
    """Something a model might call."""

    type: Text


class Reasoning(SaidAgain):
    """How a model is to think; ours do not."""

    effort: Text | None = None
    summary: Text | None = None


def _told(name: str) -> str:
    if name.endswith("logprobs"):
        raise ValueError("no probabilities are told")
    return name


def _kind(value: Any) -> str:
    return "items" if isinstance(value, list) else "text"


Input = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[list[Item], Field(min_length=1, max_length=2048, fail_fast=True), Tag("items")],
    Discriminator(_kind),
]


class ResponsesBody(GeneratedBody):
    """`POST /v1/responses`: text, or a list of items. What is marked ignored is said again in the answer."""

    input: Input
    instructions: Text | None = None
    max_output_tokens: Limit | None = None
    stream_options: StreamOptions | None = None
    text: TextSettings | None = None
    tool_choice: ToolChoice = None
    include: Annotated[list[Annotated[Text, AfterValidator(_told)]], Few] | None = None
    """Parts of items that are never part of our answers."""
    top_logprobs: Annotated[Any, Only("no probabilities are told", 0)] = None
    background: Annotated[Any, Only("answers are given at once, or not at all", False)] = None
    conversation: Annotated[Any, Only("conversations are not stored; send earlier turns as input")] = None
    previous_response_id: Annotated[Any, Only("answers are not stored; send earlier turns as input")] = None
    prompt: Annotated[Any, Only("there are no stored prompts; send input")] = None
    context_management: Annotated[Any, Only("conversations are not shortened", [])] = None
    moderation: Annotated[Any, Only("nothing is moderated")] = None
    access_programs: Annotated[Any, Only("there are no access programs", {})] = None
    tools: Annotated[Annotated[list[Tool], Few] | None, IGNORED] = None
    parallel_tool_calls: Annotated[bool | None, IGNORED] = None
    max_tool_calls: Annotated[Annotated[int, Field(ge=1, le=MOST_CALLS)] | None, IGNORED] = None
    metadata: Annotated[Metadata | None, IGNORED] = None
    image: Annotated[Anything | None, IGNORED] = None
    prompt_cache_key: Annotated[Text | None, IGNORED] = None
    prompt_cache_options: Annotated[Anything | None, IGNORED] = None
    prompt_cache_retention: Annotated[Literal["in_memory", "24h"] | None, IGNORED] = None
    reasoning: Annotated[Reasoning | None, IGNORED] = None
    safety_identifier: Annotated[Text | None, IGNORED] = None
    service_tier: Annotated[Text | None, IGNORED] = None
    store: Annotated[bool | None, IGNORED] = None
    truncation: Annotated[Literal["auto", "disabled"] | None, IGNORED] = None

    def ask(self) -> Ask:
        """One answer."""
        turns: list[Turn] = [("system", [self.instructions], [])] if self.instructions else []
        if isinstance(self.input, str):
            turns.append(("user", [self.input], []))
        else:
            turns += [item.turn() for item in self.input]
        limit = self.max_output_tokens
        return conversation(self, turns, limit, said_in="input", limited_in="max_output_tokens")


class _Events:
    """Typed events, numbered from 0. The first wait for the first item."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._created = asked, int(time.time())
        self._numbers = count()
        self._texts: list[str] = []
        self._begun = False
        self._at_item: dict[str, Any] = {"output_index": 0}
        self._at_part: dict[str, Any] = {"item_id": _message_id(asked), "output_index": 0, "content_index": 0}

    def of(self, item: Delta | Answer) -> bytes:
        """See `Events`."""
        before = b"" if self._begun else self._opening()
        self._begun = True
        if isinstance(item, Answer):
            return before + self._end(item)
        self._texts.append(item.text)
        said = {**self._at_part, "delta": item.text, "logprobs": []}
        return before + self._event("response.output_text.delta", said)

    def refused(self, refused: Refused) -> bytes | None:
        """See `Events`."""
        if not self._begun:
            return None
        said = refusal(refused).body()
        # its fields where OpenAI has them, and where its clients look for them
        return self._event("error", {**said["error"], **said, "type": "error"})

    def _opening(self) -> bytes:
        whole, message = (
            _response(self._asked, None, self._created),
            _message(self._asked, "in_progress", []),
        )
        return (
            self._event("response.created", {"response": whole})
            + self._event("response.output_item.added", {**self._at_item, "item": message})
            + self._event("response.content_part.added", {**self._at_part, "part": _part("")})
        )

    def _end(self, answer: Answer) -> bytes:
        whole = _response(self._asked, answer, self._created)
        message, text = whole["output"][0], "".join(self._texts)
        return (
            self._event("response.output_text.done", {**self._at_part, "text": text, "logprobs": []})
            + self._event("response.content_part.done", {**self._at_part, "part": message["content"][0]})
            + self._event("response.output_item.done", {**self._at_item, "item": message})
            + self._event(f"response.{whole['status']}", {"response": whole})
        )

    def _event(self, kind: str, payload: dict[str, Any]) -> bytes:
        numbered = {"type": kind, "sequence_number": next(self._numbers), **payload}
        return b"event: " + kind.encode() + b"\n" + sse(numbered)


def _response(asked: Asked, answer: Answer | None, created: int | None = None) -> dict[str, Any]:
    """The response object; without an answer, that of a response in progress. One that ended at its limit is
    incomplete."""
    now = int(time.time())
    status, output, usage, why = "in_progress", list[Any](), None, None
    if answer is not None:
        status = "completed"
        if finish_reason(answer, asked.ask) == "length":
            status, why = "incomplete", {"reason": "max_output_tokens"}
        output = [_message(asked, status, [_part("\n".join(answer.texts))])]
        usage = _usage(asked.ask, answer)
    return {
        "id": f"resp-{asked.request.id}",
        "object": "response",
        "created_at": now if created is None else created,
        "completed_at": now if status == "completed" else None,
        "status": status,
        "error": None,
        "incomplete_details": why,
        "model": asked.request.model,
        "output": output,
        "usage": usage,
        **asked.again,
    }


def _usage(ask: Ask, answer: Answer) -> dict[str, Any]:
    read, written = prompt_tokens(ask, answer), answer.completion_tokens
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


def _said_again(body: ResponsesBody) -> dict[str, Any]:
    """What the client asked for, in the answer's own fields: what may be large as text, until it is said."""
    verbosity = body.text.verbosity if body.text is not None else None
    return {
        "background": False,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": _written(
            {"effort": None, "summary": None, **(body.reasoning.again() if body.reasoning else {})}
        ),
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": False,
        "temperature": body.temperature,
        "text": {
            "format": {"type": "text"},
            **({"verbosity": verbosity} if verbosity is not None else {}),
        },
        "tool_choice": body.tool_choice or "auto",
        "tools": _written([tool.again() for tool in body.tools or []]),
        "top_logprobs": 0,
        "top_p": body.top_p,
        "truncation": body.truncation or "disabled",
        "user": body.user,
    }


def _written(value: Any) -> orjson.Fragment:
    """Values as their text: what clients write in 3 bytes may be an object of 64."""
    return orjson.Fragment(bytes(memoryview(orjson.dumps(value))))  # what it returns holds its whole buffer


def _message_id(asked: Asked) -> str:
    return f"msg-{asked.request.id}"


def _message(asked: Asked, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "message",
        "id": _message_id(asked),
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


RESPONSES = Form(
    path="/v1/responses",
    summary="Responses",
    body=ResponsesBody,
    whole=_response,
    events=_Events,
    again=_said_again,
)
