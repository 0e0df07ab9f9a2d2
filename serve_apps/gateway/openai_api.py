"""The OpenAI-compatible request bodies, and what each asks of a model. Unknown fields are ignored, wrong
types refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from emulation.domain.cluster import Modality
from serve_apps.wire.ask import Ask, BadAsk, Sampling

MAX_CHOICES = 128
MAX_TOKENS = 131_072
MAX_SIDE = 2048
_SIZE = re.compile(r"^([1-9][0-9]{0,4})x([1-9][0-9]{0,4})$")


def _printable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    return text


Text = Annotated[str, AfterValidator(_printable)]
Count = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
Limit = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Stop = Text | Annotated[list[Text], Field(max_length=4)]
"""Where an answer ends; OpenAI's API takes up to four."""


class Body(BaseModel):
    """Base of all bodies: strict types, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    model: Text = Field(min_length=1, max_length=256)


class StreamOptions(BaseModel):
    """`include_usage`: a last chunk carries the token counts."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    include_usage: bool | None = None


class ImageUrl(BaseModel):
    """Where an image is; a data URI holds it itself. It is never fetched."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    url: Text = Field(min_length=1)


class TextPart(BaseModel):
    """A piece of text in a message."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    type: Literal["text", "input_text", "output_text"]
    text: Text


class ImagePart(BaseModel):
    """A picture in a message."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    type: Literal["image_url"]
    image_url: ImageUrl


class InputImagePart(BaseModel):
    """A picture in an item of `/v1/responses`."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    type: Literal["input_image"]
    image_url: Text = Field(min_length=1)


Part = Annotated[TextPart | ImagePart | InputImagePart, Field(discriminator="type")]


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[Part] | None = None


class ChatBody(Body):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=2048)
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    n: Count | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    ignore_eos: bool | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: int | None = None
    stop: Stop | None = None


class CompletionBody(Body):
    """`POST /v1/completions`: one prompt, or a list of K prompts that gives K choices."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_CHOICES)]
    max_tokens: Limit | None = None
    n: Count | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    ignore_eos: bool | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: int | None = None
    stop: Stop | None = None


class ImageBody(Body):
    """`POST /v1/images/generations`: n pictures of the asked size."""

    prompt: Text = Field(max_length=32_000)
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    size: Text | None = None
    response_format: Literal["b64_json", "url"] | None = None
    seed: int | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Denoising steps; like `seed` and `guidance_scale` beyond what OpenAI's own API has."""
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None


class ResponsesBody(Body):
    """`POST /v1/responses`: text, or a list of message items."""

    input: Text | Annotated[list[Message], Field(min_length=1, max_length=2048)]
    instructions: Text | None = None
    max_output_tokens: Limit | None = None
    stream: bool | None = None
    ignore_eos: bool | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None


@dataclass(frozen=True, slots=True)
class _Talk:
    """What the messages of a conversation hold."""

    texts: list[str]
    pictures: list[str]
    turns: tuple[tuple[str, str], ...]

    def prompts(self, choices: int) -> tuple[str, ...]:
        """The conversation as plain text, once per choice."""
        return ("\n".join(self.texts),) * choices


def _talk(messages: list[Message]) -> _Talk:
    texts: list[str] = []
    pictures: list[str] = []
    turns: list[tuple[str, str]] = []
    for message in messages:
        said = [message.content] if isinstance(message.content, str) else []
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(part, TextPart):
                said.append(part.text)
            else:
                pictures.append(part.image_url.url if isinstance(part, ImagePart) else part.image_url)
        texts.extend(said)
        turns.append((message.role, "\n".join(said)))
    return _Talk(texts, pictures, tuple(turns))


def _sampling(body: ChatBody | CompletionBody) -> Sampling:
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return Sampling(temperature=body.temperature, top_p=body.top_p, seed=body.seed, stop=tuple(stop))


def _words(texts: list[str]) -> int:
    return sum(len(text.split()) for text in texts)


def ask_chat(body: ChatBody) -> Ask:
    """A conversation: one answer, n for models that serve prompts in batches; K captions for K pictures."""
    talk = _talk(body.messages)
    images = len(talk.pictures)
    if images > MAX_CHOICES:
        raise BadAsk(f"{images} images, at most {MAX_CHOICES}", "messages")
    return Ask(
        model=body.model,
        prompts=images or body.n or 1,
        prompt_tokens=_words(talk.texts),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        ignore_eos=bool(body.ignore_eos),
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        inputs=talk.prompts(body.n or 1),
        images=images,
        turns=talk.turns,
        pictures=tuple(talk.pictures),
        sampling=_sampling(body),
    )


def ask_completion(body: CompletionBody) -> Ask:
    """K prompts (times n)."""
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    count = len(prompts) * (body.n or 1)
    if count > MAX_CHOICES:
        raise BadAsk(f"{count} choices, at most {MAX_CHOICES}", "n")
    return Ask(
        model=body.model,
        prompts=count,
        prompt_tokens=_words(prompts),
        max_tokens=body.max_tokens,
        ignore_eos=bool(body.ignore_eos),
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        inputs=tuple(prompt for prompt in prompts for _ in range(body.n or 1)),
        sampling=_sampling(body),
    )


def ask_images(body: ImageBody) -> Ask:
    """n pictures."""
    return Ask(
        model=body.model,
        prompts=body.n or 1,
        prompt_tokens=_words([body.prompt]),
        max_tokens=None,
        ignore_eos=False,
        stream=False,
        size=parse_size(body.size),
        inputs=(body.prompt,),
        sampling=Sampling(seed=body.seed, steps=body.steps, guidance=body.guidance_scale),
    )


def ask_responses(body: ResponsesBody) -> Ask:
    """One answer."""
    said = [Message(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    first = [Message(role="system", content=body.instructions)] if body.instructions else []
    talk = _talk([*first, *said])
    images = len(talk.pictures)
    return Ask(
        model=body.model,
        prompts=images or 1,
        prompt_tokens=_words(talk.texts),
        max_tokens=body.max_output_tokens,
        ignore_eos=bool(body.ignore_eos),
        stream=bool(body.stream),
        inputs=talk.prompts(1),
        images=images,
        turns=talk.turns,
        pictures=tuple(talk.pictures),
        sampling=Sampling(temperature=body.temperature, top_p=body.top_p),
    )


def parse_size(size: str | None) -> tuple[int, int] | None:
    """`WxH` in pixels; None (or `auto`): the model's default. Raises `BadAsk` on anything else."""
    if size is None or size == "auto":
        return None
    found = _SIZE.match(size)
    if found is None:
        raise BadAsk(f"size {size[:40]!r} is not of the form 512x512", "size")
    width, height = int(found[1]), int(found[2])
    if max(width, height) > MAX_SIDE:
        raise BadAsk(f"size {size} is too large, at most {MAX_SIDE}x{MAX_SIDE}", "size")
    return width, height


def check_modality(ask: Ask, modality: Modality, path: str) -> None:
    """Raises `BadAsk` if a model of this kind cannot answer this form of request."""
    if (modality == "image") != (path == "/v1/images/generations"):
        where = "/v1/images/generations" if modality == "image" else "/v1/chat/completions"
        raise BadAsk(f"model {ask.model!r} is a {modality} model: use {where}", "model")
    if modality == "caption" and ask.images == 0:
        raise BadAsk(f"model {ask.model!r} captions images: give at least one image_url part", "messages")
    if modality == "text" and ask.images:
        raise BadAsk(f"model {ask.model!r} reads text only: it cannot take image_url parts", "messages")


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The OpenAI error shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
