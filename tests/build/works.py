"""Attempts to hand to an engine, and a place to hear what it says."""

from __future__ import annotations

import base64
from io import BytesIO
from math import inf
from typing import Any

from PIL import Image

from emulation.domain.request import Request
from serve_apps.wire.ask import Ask, Sampling
from serve_apps.wire.messages import Piece, Work

PROMPT = "the edge of a network serves what is near"


def work(number: int = 1, prompts: int = 1, **fields: Any) -> Work:
    """An attempt of request `r<number>`; see `work_of`."""
    request = Request(f"r{number}", "m", "n", 0.0, inf, prompts=prompts)
    return work_of(request, "n/m", **fields)


def work_of(request: Request, executor: str, **fields: Any) -> Work:
    """An attempt of this request; fields of `Ask` and `Sampling` may be given beside those of `Work`."""
    sampling = {name: fields.pop(name) for name in Sampling.__slots__ if name in fields}
    asked = {name: fields.pop(name) for name in Ask.__slots__ if name in fields}
    ask = Ask(
        **{"model": request.model, "prompts": request.prompts, "sampling": Sampling(**sampling)} | asked
    )
    return Work(request=request, ask=ask, executor=executor, **{"sent_s": 0.0, "dispatched_s": 0.0} | fields)


def text_work(number: int = 1, **fields: Any) -> Work:
    """One that asks for text."""
    return work(number, **({"inputs": (PROMPT,), "max_tokens": 24} | fields))


def picture_uri(width: int = 40, height: int = 24, kind: str = "PNG") -> str:
    """A picture as a data URI."""
    file = BytesIO()
    Image.new("RGB", (width, height), (200, 30, 60)).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


class Heard:
    """What an engine emitted."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    def __call__(self, text: str, tokens: int) -> None:
        self.said.append((text, tokens))

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.said)

    @property
    def tokens(self) -> int:
        return sum(tokens for _, tokens in self.said)


def answer(engine: Any, given: Work, index: int = 0) -> Piece:
    """Run one choice undisturbed."""
    engine.check(given)
    piece: Piece = engine.run(given, index, engine.pacer(), Heard())
    return piece
