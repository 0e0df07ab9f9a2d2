"""What the bodies of the endpoints share. Unknown fields are ignored, wrong types refused."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from serve_apps.wire.ask import Ask, BadAsk, Sampling

MAX_CHOICES = 128
MAX_TOKENS = 131_072


def _printable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    return text


Text = Annotated[str, AfterValidator(_printable)]
Count = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
Limit = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Stop = Text | Annotated[list[Text], Field(max_length=4)]
"""Where an answer ends; OpenAI's API takes up to four."""


class Shape(BaseModel):
    """Base of whatever a client sends: strict types, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Body(Shape):
    """Base of all bodies."""

    model: Text = Field(min_length=1, max_length=256)

    @abstractmethod
    def ask(self) -> Ask:
        """What it asks of a model. Raises `BadAsk`."""


class GeneratedBody(Body):
    """Base of what is answered in text."""

    stream: bool | None = None
    ignore_eos: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None

    def include_usage(self) -> bool:
        """Whether the last chunk of a stream is to carry the token counts."""
        return False

    def sampling(self) -> Sampling:
        """How a real model is to answer."""
        return Sampling(temperature=self.temperature, top_p=self.top_p)


class StreamOptions(Shape):
    """`include_usage`: a last chunk carries the token counts."""

    include_usage: bool | None = None


class ChoicesBody(GeneratedBody):
    """Base of what is answered in choices."""

    max_tokens: Limit | None = None
    n: Count | None = None
    stream_options: StreamOptions | None = None
    seed: int | None = None
    stop: Stop | None = None

    def include_usage(self) -> bool:
        """As the client's `stream_options` say."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> Sampling:
        """With a seed, and where to stop."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return replace(super().sampling(), seed=self.seed, stop=tuple(stop))


class ImageUrl(Shape):
    """Where an image is; a data URI holds it itself. It is never fetched."""

    url: Text = Field(min_length=1)


class TextPart(Shape):
    """A piece of text in a message."""

    type: Literal["text", "input_text", "output_text"]
    text: Text


class ImagePart(Shape):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class InputImagePart(Shape):
    """A picture in an item of `/v1/responses`."""

    type: Literal["input_image"]
    image_url: Text = Field(min_length=1)


Part = Annotated[TextPart | ImagePart | InputImagePart, Field(discriminator="type")]


class Message(Shape):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[Part] | None = None


def conversation(
    body: GeneratedBody, messages: list[Message], max_tokens: int | None, choices: int = 1
) -> Ask:
    """One answer to a conversation, or so many choices; for models that caption, one for each picture in it.

    Raises `BadAsk` if there are more pictures than an answer may have choices.
    """
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
    if len(pictures) > MAX_CHOICES:
        raise BadAsk(f"{len(pictures)} images, at most {MAX_CHOICES}", "messages")
    return Ask(
        model=body.model,
        prompts=len(pictures) or choices,
        prompt_tokens=words(texts),
        max_tokens=max_tokens,
        ignore_eos=bool(body.ignore_eos),
        stream=bool(body.stream),
        include_usage=body.include_usage(),
        inputs=("\n".join(texts),) * choices,
        images=len(pictures),
        turns=tuple(turns),
        pictures=tuple(pictures),
        sampling=body.sampling(),
    )


def words(texts: list[str]) -> int:
    """Tokens by the emulated tokenizer: words between blanks."""
    return sum(len(text.split()) for text in texts)
