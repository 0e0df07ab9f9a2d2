"""Turns of a conversation, as chats and responses write them, and the one ask they become."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import orjson
import pybase64
from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from serve_apps.gateway.openai.bodies import (
    MAX_CHOICES,
    MOST_ITEMS,
    Anything,
    Few,
    GeneratedBody,
    Shape,
    Text,
    words,
)
from serve_apps.wire.ask import Ask, BadAsk

_PICTURE_HEAD = re.compile(r"data:image/(?:png|jpe?g|webp|gif)(;[^;,]*)*;base64", re.I)


def _picture(url: str) -> str:
    """A picture's URL: `http(s)://...`, or `data:image/...;base64,...` that holds it."""
    if url.startswith("data:"):
        head, comma, coded = url.partition(",")
        if not comma or not coded or _PICTURE_HEAD.fullmatch(head) is None:
            raise ValueError("must be data:image/<kind>;base64,<picture>, its kind png, jpeg, webp or gif")
        try:
            pybase64.b64decode_as_bytearray(coded, validate=True)
        except binascii.Error as error:
            raise ValueError(f"is no base64: {error}") from error
        return url
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises on a port that is none
        named = bool(parts.scheme in ("http", "https") and parts.hostname and not set(url) & set(" \n\r\t"))
    except ValueError:
        named = False
    if not named:
        raise ValueError("must be a URL: https://..., or data:image/<kind>;base64,...")
    return url


PictureUrl = Annotated[Text, AfterValidator(_picture)]


class ImageUrl(Shape):
    """Where an image is; a data URI holds it itself. It is never fetched."""

    url: PictureUrl
    detail: Text | None = None


class TextPart(Shape):
    """A piece of text in a message."""

    type: Literal["text", "input_text", "output_text"]
    text: Text


class RefusalPart(Shape):
    """What a model said instead of an answer."""

    type: Literal["refusal"]
    refusal: Text


class ImagePart(Shape):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class InputImagePart(Shape):
    """A picture in an item of `/v1/responses`."""

    type: Literal["input_image"]
    image_url: PictureUrl
    detail: Text | None = None


Part = Annotated[TextPart | RefusalPart | ImagePart | InputImagePart, Field(discriminator="type")]


def _is_text(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Content = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[list[Part], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True), Tag("parts")],
    Discriminator(_is_text),
]


Turn = tuple[str, list[str], list[str]]
"""Role, texts and pictures of one turn."""


def turn_of(role: str, content: str | list[Part] | None) -> Turn:
    """Texts and pictures of what somebody said."""
    texts: list[str] = []
    pictures: list[str] = []
    for part in [content] if isinstance(content, str) else content or []:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, RefusalPart):
            texts.append(part.refusal)
        else:
            pictures.append(part.image_url.url if isinstance(part, ImagePart) else part.image_url)
    return role, texts, pictures


class Call(Shape):
    """A tool that a model called in an earlier turn."""

    id: Text | None = None
    type: Text | None = None
    function: Anything | None = None
    custom: Anything | None = None


class Message(Shape):
    """One turn of a conversation. Only an assistant may have said nothing, where it called a tool or refused."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    name: Text | None = None
    tool_call_id: Text | None = None
    tool_calls: Annotated[list[Call], Few] | None = None
    function_call: Anything | None = None
    refusal: Text | None = None
    audio: Anything | None = None
    content: Content | None = Field(default=None, validate_default=True)

    @field_validator("content")
    @classmethod
    def _said(cls, content: Any, info: ValidationInfo) -> Any:
        silent = any(info.data.get(n) for n in ("tool_calls", "function_call", "refusal", "audio"))
        role = info.data.get("role")
        if (
            content is None
            and role is not None
            and role != "function"
            and not (role == "assistant" and silent)
        ):
            message = "a message of role {role} must say something: text, or a list of parts"
            raise PydanticCustomError("missing", message, {"role": role})
        return content

    def turn(self) -> Turn:
        """What it says, and calls."""
        role, texts, pictures = turn_of(self.role, self.content)
        called = [c for call in self.tool_calls or [] for c in (call.function, call.custom)]
        texts += [orjson.dumps(c).decode() for c in (*called, self.function_call) if c]
        texts += [self.refusal] if self.refusal else []
        return role, texts, pictures


def conversation(
    body: GeneratedBody,
    turns: Sequence[Turn],
    max_tokens: int | None,
    choices: int = 1,
    said_in: str = "messages",
    limited_in: str = "max_tokens",
) -> Ask:
    """One answer to a conversation, or so many choices; for models that caption, one for each picture in it.

    `said_in`, `limited_in`: fields of the body. Raises `BadAsk` if there are more pictures than an answer may have
    choices, or more than one choice for pictures.
    """
    texts = [text for _, said, _ in turns for text in said]
    pictures = tuple(picture for _, _, seen in turns for picture in seen)
    if len(pictures) > MAX_CHOICES:
        raise BadAsk(f"{len(pictures)} images, at most {MAX_CHOICES}", said_in)
    if pictures and choices > 1:
        raise BadAsk("pictures get one answer, with a caption for each of them", "n")
    said_tokens = words(texts)
    return Ask(
        model=body.model,
        prompts=len(pictures) or choices,
        each=choices,
        prompt_tokens=said_tokens,
        longest_tokens=said_tokens,
        inputs=("\n".join(texts),) * choices,
        images=len(pictures),
        turns=tuple((role, "\n".join(said)) for role, said, _ in turns),
        pictures=pictures,
        said_in=said_in,
        **body.limits(max_tokens, len(pictures) or choices, limited_in),
    )
