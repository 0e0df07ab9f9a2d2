"""`POST /v1/completions`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from serve_apps.gateway.openai.answers import Chunks, whole
from serve_apps.gateway.openai.bodies import MAX_CHOICES, ChoicesBody, Text, words
from serve_apps.gateway.openai.fields import Only
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.wire.ask import Ask, BadAsk
from serve_apps.wire.messages import Answer

MOST_TOKENS = 1_000_000
"""Of one prompt that is given as tokens."""
Token = Annotated[int, Field(ge=0, lt=2**31)]
Tokens = Annotated[list[Token], Field(min_length=1, max_length=MOST_TOKENS, fail_fast=True)]
Most = Field(min_length=1, max_length=MAX_CHOICES, fail_fast=True)


def _kind(value: Any) -> str:
    """Which of its four forms a prompt has, by its first item."""
    if not isinstance(value, list):
        return "text"
    if value and isinstance(value[0], list):
        return "lists of tokens"
    return "tokens" if value and isinstance(value[0], int) else "texts"


Prompt = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[list[Text], Most, Tag("texts")]
    | Annotated[Tokens, Tag("tokens")]
    | Annotated[list[Tokens], Most, Tag("lists of tokens")],
    Discriminator(_kind),
]


class CompletionBody(ChoicesBody):
    """`POST /v1/completions`: one prompt, or a list of K prompts that gives K choices; as text, or as tokens."""

    prompt: Prompt
    best_of: Annotated[Any, Only("every answer is given, none chosen", 1)] = None
    echo: Annotated[Any, Only("prompts are not said again", False)] = None
    logprobs: Annotated[Any, Only("no probabilities are told")] = None
    suffix: Annotated[Any, Only("nothing is inserted before a suffix", "")] = None

    def ask(self) -> Ask:
        """K prompts (times n)."""
        prompts = self._prompts()
        each = self.n or 1
        count = len(prompts) * each
        if count > MAX_CHOICES:
            raise BadAsk(f"{count} choices, at most {MAX_CHOICES}", "n")
        tokens = [words([p]) if isinstance(p, str) else len(p) for p in prompts]
        return Ask(
            model=self.model,
            prompts=count,
            each=each,
            prompt_tokens=sum(tokens),
            longest_tokens=max(tokens),
            inputs=tuple(prompt for prompt in prompts for _ in range(each)),
            said_in="prompt",
            **self.limits(self.max_tokens, count, "max_tokens"),
        )

    def _prompts(self) -> list[str | tuple[int, ...]]:
        given: Any = self.prompt
        if isinstance(given, str):
            return [given]
        if isinstance(given[0], int):
            return [tuple(given)]
        return [p if isinstance(p, str) else tuple(p) for p in given]


def _whole(asked: Asked, answer: Answer) -> dict[str, Any]:
    return whole(asked, answer, "cmpl", "text_completion", [{"text": text} for text in answer.texts])


def _events(asked: Asked) -> Chunks:
    kind = "text_completion"
    return Chunks(asked, "cmpl", kind, lambda text: {"text": text}, opening=None, ending={"text": ""})


COMPLETIONS = Form(
    path="/v1/completions",
    summary="Completions of one prompt or of a batch of K",
    body=CompletionBody,
    whole=_whole,
    events=_events,
)
