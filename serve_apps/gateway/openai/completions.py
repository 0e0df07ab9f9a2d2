"""`POST /v1/completions`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
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

    def ask(self) -> Ask:
        """K prompts (times n)."""
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        each = self.n or 1
        count = len(prompts) * each
        if count > MAX_CHOICES:
            raise BadAsk(f"{count} choices, at most {MAX_CHOICES}", "n")
        return Ask(
            model=self.model,
            prompts=count,
            prompt_tokens=words(prompts),
            max_tokens=self.max_tokens,
            ignore_eos=bool(self.ignore_eos),
            stream=bool(self.stream),
            include_usage=self.include_usage(),
            inputs=tuple(prompt for prompt in prompts for _ in range(each)),
            sampling=self.sampling(),
        )


def _whole(asked: Asked[CompletionBody], answer: Answer) -> dict[str, Any]:
    texts = answer.texts * asked.ask.prompts if len(answer.texts) == 1 else answer.texts
    return whole(asked, answer, "cmpl", "text_completion", [{"text": text} for text in texts])


def _events(asked: Asked[CompletionBody], items: AsyncIterator[Delta | Answer]) -> AsyncGenerator[bytes]:
    kind = "text_completion"
    return chunks(asked, items, "cmpl", kind, lambda text: {"text": text}, opening=None, ending={"text": ""})


COMPLETIONS = Form(
    path="/v1/completions",
    summary="Completions of one prompt or of a batch of K",
    body=CompletionBody,
    whole=_whole,
    events=_events,
)
