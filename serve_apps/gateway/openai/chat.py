"""`POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from pydantic import Field

from serve_apps.gateway.openai.answers import chunks, whole
from serve_apps.gateway.openai.bodies import ChoicesBody, Limit, Message, conversation
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta


class ChatBody(ChoicesBody):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=2048)
    max_completion_tokens: Limit | None = None

    def ask(self) -> Ask:
        """A conversation: one answer, n for models that serve prompts in batches; K captions for K pictures."""
        return conversation(self, self.messages, self.max_completion_tokens or self.max_tokens, self.n or 1)


def chat_completion(asked: Asked[ChatBody], answer: Answer) -> dict[str, Any]:
    """The answer in one piece; captions are one message, a line each."""
    texts = answer.texts if asked.ask.images == 0 else ("\n".join(answer.texts),)
    said = [{"message": {"role": "assistant", "content": text, "refusal": None}} for text in texts]
    return whole(asked, answer, "chatcmpl", "chat.completion", said)


def _events(asked: Asked[ChatBody], items: AsyncIterator[Delta | Answer]) -> AsyncGenerator[bytes]:
    return chunks(
        asked,
        items,
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
