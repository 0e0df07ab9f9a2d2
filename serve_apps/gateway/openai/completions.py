"""`POST /v1/completions`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field

from serve_apps.gateway.openai.answers import chunks, whole
from serve_apps.gateway.openai.bodies import MAX_CHOICES, ChoicesBody, Text, words
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.wire.ask import Ask, BadAsk
from serve_apps.wire.messages import Answer, Delta


class CompletionBody(ChoicesBody):
    """`POST /v1/completions`: one prompt, or a list of K prompts that gives K choices."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_CHOICES)]


def _ask(body: CompletionBody) -> Ask:
    """K prompts (times n)."""
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    each = body.n or 1
    count = len(prompts) * each
    if count > MAX_CHOICES:
        raise BadAsk(f"{count} choices, at most {MAX_CHOICES}", "n")
    return Ask(
        model=body.model,
        prompts=count,
        prompt_tokens=words(prompts),
        max_tokens=body.max_tokens,
        ignore_eos=bool(body.ignore_eos),
        stream=bool(body.stream),
        include_usage=body.include_usage(),
        inputs=tuple(prompt for prompt in prompts for _ in range(each)),
        sampling=body.sampling(),
    )


def _whole(asked: Asked[CompletionBody], answer: Answer) -> dict[str, Any]:
    texts = answer.texts * asked.ask.prompts if len(answer.texts) == 1 else answer.texts
    return whole(asked, answer, "cmpl", "text_completion", [{"text": text} for text in texts])


def _events(asked: Asked[CompletionBody], items: AsyncIterator[Delta | Answer]) -> AsyncIterator[bytes]:
    return chunks(
        asked, items, "cmpl", "text_completion", lambda text: {"text": text}, None, ending={"text": ""}
    )


COMPLETIONS = Form(
    path="/v1/completions",
    summary="Completions of one prompt or of a batch of K",
    body=CompletionBody,
    ask=_ask,
    whole=_whole,
    events=_events,
)
