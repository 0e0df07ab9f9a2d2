"""`POST /v1/chat/completions`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from serve_apps.gateway.openai.answers import Chunks, whole
from serve_apps.gateway.openai.bodies import (
    Anything,
    ChoicesBody,
    Few,
    Limit,
    Metadata,
    Text,
    TextFormat,
    ToolChoice,
    Tools,
)
from serve_apps.gateway.openai.conversation import Message, conversation
from serve_apps.gateway.openai.fields import IGNORED, Only
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer


class ChatBody(ChoicesBody):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=2048, fail_fast=True)
    max_completion_tokens: Limit | None = None
    response_format: TextFormat | None = None
    tools: Annotated[Tools | None, IGNORED] = None
    functions: Annotated[Annotated[list[Anything], Few] | None, IGNORED] = None
    tool_choice: ToolChoice = None
    function_call: ToolChoice = None
    parallel_tool_calls: Annotated[bool | None, IGNORED] = None
    logprobs: Annotated[Any, Only("no probabilities are told", False)] = None
    top_logprobs: Annotated[Any, Only("no probabilities are told", 0)] = None
    modalities: Annotated[Any, Only("answers are text", ["text"])] = None
    audio: Annotated[Any, Only("answers are text")] = None
    moderation: Annotated[Any, Only("nothing is moderated")] = None
    web_search_options: Annotated[Any, Only("nothing is searched")] = None
    metadata: Annotated[Metadata | None, IGNORED] = None
    prediction: Annotated[Anything | None, IGNORED] = None
    prompt_cache_key: Annotated[Text | None, IGNORED] = None
    prompt_cache_options: Annotated[Anything | None, IGNORED] = None
    prompt_cache_retention: Annotated[Literal["in_memory", "24h"] | None, IGNORED] = None
    reasoning_effort: Annotated[Text | None, IGNORED] = None
    safety_identifier: Annotated[Text | None, IGNORED] = None
    service_tier: Annotated[Text | None, IGNORED] = None
    store: Annotated[bool | None, IGNORED] = None
    verbosity: Annotated[Literal["low", "medium", "high"] | None, IGNORED] = None

    def ask(self) -> Ask:
        """A conversation: n answers; K captions for K pictures."""
        turns = [message.turn() for message in self.messages]
        limited_in = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return conversation(self, turns, limit, self.n or 1, limited_in=limited_in)


def chat_completion(asked: Asked, answer: Answer) -> dict[str, Any]:
    """The answer in one piece; captions are one message, a line each."""
    texts = answer.texts if asked.ask.images == 0 else ("\n".join(answer.texts),)
    said = [{"message": {"role": "assistant", "content": text, "refusal": None}} for text in texts]
    return whole(asked, answer, "chatcmpl", "chat.completion", said)


def _events(asked: Asked) -> Chunks:
    return Chunks(
        asked,
        "chatcmpl",
        "chat.completion.chunk",
        say=lambda text: {"delta": {"content": text}},
        opening={"delta": {"role": "assistant", "content": ""}},
        ending={"delta": {}},
    )


CHAT = Form(
    path="/v1/chat/completions",
    summary="Chat, captions of images",
    body=ChatBody,
    whole=chat_completion,
    events=_events,
)
