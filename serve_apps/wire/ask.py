"""What a client asks of a model, whatever form its request had. Travels with every attempt, down to the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from emulation.domain.inventory import Modality
from serve_apps.wire.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a client wants a real model to answer; None: the backend's own default. An emulated model ignores it."""

    temperature: float | None = None
    """0: always the likeliest token."""
    top_p: float | None = None
    seed: int | None = None
    """None: drawn from the request's id, so that another attempt says the same."""
    stop: tuple[str, ...] = ()
    steps: int | None = None
    """Denoising steps of an image."""
    guidance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request's content and limits."""

    model: str
    prompts: int = 1
    """Answers that are wanted: `each` to every prompt."""
    each: int = 1
    prompt_tokens: int = 0
    """Whitespace words of all prompts, each counted once: the emulated tokenizer."""
    longest_tokens: int = 0
    """Those of the longest prompt."""
    max_tokens: int | None = None
    """Limit the client stated, of every answer."""
    min_tokens: int = 0
    """Least length of every answer; until then no stop sequence counts either."""
    ignore_eos: bool = False
    stream: bool = False
    include_usage: bool = False
    size: tuple[int, int] | None = None
    """Pixels asked of an image model, width and height."""
    images: int = 0
    inputs: tuple[str | tuple[int, ...], ...] = ()
    """Prompts, one per choice, for backends that read them: text, or tokens of the model's own."""
    turns: tuple[tuple[str, str], ...] = ()
    """A conversation as (role, text), for models whose tokenizer knows how to write one."""
    pictures: tuple[str, ...] = ()
    """Images to caption, as data URIs."""
    sampling: Sampling = Sampling()
    said_in: str = "messages"
    """Field of the client's body that holds what is asked, and below the one that limits the answer."""
    limited_in: str = "max_tokens"
    trace: Trace | None = None
    """The trace its client says that it belongs to; None: it says nothing."""

    def slim(self) -> Ask:
        """The same without what only a real model reads."""
        return replace(self, inputs=(), turns=(), pictures=(), trace=None)


def first_stop(text: str, stops: Iterable[str], start: int = 0) -> int | None:
    """Where a text ends because of stop sequences: where the one begins that is complete first; None: nowhere.

    Of several that are complete at once the longest counts. However the text comes in, it is the same place.
    """
    found = [(at + len(stop), at) for stop in stops if stop and (at := text.find(stop, start)) >= 0]
    return min(found)[1] if found else None


TOO_LONG = "context_length_exceeded"
"""Code of what does not fit into a model's context, as OpenAI's clients know it."""

USUAL_TOKENS: Mapping[Modality, int] = {"text": 256, "caption": 20, "image": 0}
"""Tokens an answer of a real model has at most, by modality, where neither its client nor the testbed file says so."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What makes a request one that nobody could serve: the client's mistake, not the model's."""

    param: str
    """Field of the request."""
    code: str | None = None


class BadAsk(ValueError):
    """A request that is well-formed but cannot be served."""

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.fault = Fault(param, code)
