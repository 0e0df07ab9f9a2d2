"""What a client asks of a model, whatever the form of its request was, and the error that names what cannot be done."""

from __future__ import annotations

from dataclasses import dataclass

from serve_apps.wire.messages import Sampling


@dataclass(frozen=True, slots=True)
class Ask:
    """What a body asks for, whatever its form was."""

    model: str
    prompts: int
    prompt_tokens: int
    """Whitespace words, the emulated tokenizer."""
    max_tokens: int | None
    ignore_eos: bool
    stream: bool
    include_usage: bool = False
    size: tuple[int, int] | None = None
    inputs: tuple[str, ...] = ()
    """One prompt per choice."""
    images: int = 0
    turns: tuple[tuple[str, str], ...] = ()
    """A conversation as (role, text)."""
    pictures: tuple[str, ...] = ()
    """URLs of the images."""
    sampling: Sampling = Sampling()


class BadAsk(ValueError):
    """A body that is well-formed but cannot be served; names the field."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param
