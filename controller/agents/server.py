"""What a model's server takes and what it is, learnt from its answers and refusals; shared by all who ask it.

Servers that call themselves OpenAI-compatible differ in what they refuse. A refusal that names something we can leave
out is taken at its word, once; what is left out then stays so for the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SMALL = 8_000_000_000
"""Parameters below which a model is small: it is given a choice where nobody says otherwise."""
CHARS_PER_TOKEN = 3.0
"""Taken for granted until the server has counted a prompt: rather too few."""
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s*([bm])(?![a-z0-9])")
_TOO_LONG = re.compile(
    r"context.{0,40}(length|window|size|exceed)|exceed.{0,40}context|too (long|many tokens)"
)

_UNREAD = re.compile(r"pars\w* .{0,40}(call|argument|answer|output|response|generation)")
"""As of llama.cpp, where a model wrote one call that cannot be read."""
_REFUSES = re.compile(r"support|requires|implement|unknown|unrecogni|unexpected (param|field|key)")


@dataclass(slots=True)
class Server:
    """One server and model, as far as they are known."""

    url: str
    window: int | None = None
    """Tokens of prompt and answer together."""
    parameters: float | None = None
    limit: str = "max_completion_tokens"
    """Name of the field that bounds the answer."""
    left_out: set[str] = field(default_factory=set)
    """Fields it refuses: temperature, response_format, tools, tool_choice, reasoning_effort."""
    shows_tools: bool = True
    """Whether its chat template shows the model its tools."""
    answered: bool = False
    """Whether it ever answered a question: what it refuses after that is wrong with the question alone."""
    chars_per_token: float = CHARS_PER_TOKEN
    looked_at: bool = False
    """Whether its list of models was read."""
    looked_for_tools: bool = False
    detail: str = ""
    """What it said last of a refusal."""
    held: bool = False
    """Whether it was seen to hold its model to a schema: an answer came as a JSON object alone."""
    reasons: bool = False
    """Whether its model was seen to reason before it answers, or to need more room than its answer does."""

    @property
    def small(self) -> bool:
        """Whether it is known to be a small model."""
        return is_small(self.parameters)

    @property
    def terse(self) -> bool:
        """Whether room for the answer alone is enough: the server holds its model to a schema, and that reasons not."""
        return self.held and not self.reasons

    def wrote(self, text: str, reasoned: bool, cut: bool) -> None:
        """What its model wrote where there was a schema, whether it `reasoned` first, and was `cut` short."""
        self.reasons = self.reasons or reasoned or "</think" in text or (cut and self.terse)
        self.held = self.held or (text.lstrip().startswith("{") and not cut)

    def learn(self, body: Mapping[str, Any], param: str | None, message: str, status: int = 400) -> bool:
        """Whether the refusal of this request is about something that can be left out, or named otherwise.

        What a server could not read of one answer is no refusal, and a fault of its own (500) only where it says so.
        """
        said = f"{param or ''} {message}".lower()
        if _TOO_LONG.search(said) or _UNREAD.search(said) or (status == 500 and not _REFUSES.search(said)):
            return False
        if "max_tokens" in said or "max_completion_tokens" in said:
            other = "max_tokens" if self.limit == "max_completion_tokens" else "max_completion_tokens"
            if f"limit:{other}" not in self.left_out:
                self.left_out |= {f"limit:{self.limit}", f"limit:{other}"}
                self.limit = other
                return True
        for name, words in _WORDS.items():
            if name in body and name not in self.left_out and any(word in said for word in words):
                self.left_out.add(name)
                return True
        return False

    def counted(self, chars: int, prompt_tokens: int) -> None:
        """The server has counted a prompt of so many characters."""
        if prompt_tokens > 0 and chars > 200:
            seen = chars / prompt_tokens
            self.chars_per_token = (
                seen if self.chars_per_token == CHARS_PER_TOKEN else min(self.chars_per_token, seen)
            )

    def tokens(self, chars: int) -> int:
        """About how many tokens so many characters are."""
        return int(chars / self.chars_per_token) + 8

    def listed(self, model: str, entry: Mapping[str, Any]) -> None:
        """Take what its list of models says of this one; llama.cpp, vLLM and others each in a way of their own.

        vLLM serves a model under any name; where it was loaded from tells more.
        """
        found = entry.get("meta")
        meta: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        windows = (
            meta.get("n_ctx"),
            *(entry.get(n) for n in ("max_model_len", "context_length", "context_window")),
        )
        self.window = next((int(w) for w in windows if isinstance(w, int) and w > 0), self.window)
        size, root = meta.get("n_params"), entry.get("root")
        if isinstance(size, int | float) and size > 0:
            self.parameters = float(size)
        else:
            self.parameters = size_told(model) or size_of(root if isinstance(root, str) else "")


_WORDS: Mapping[str, tuple[str, ...]] = {
    "tool_choice": ("tool_choice", "tool choice"),
    "temperature": ("temperature",),
    "response_format": ("response_format", "json_schema", "schema", "structured output", "grammar", "guided"),
    "reasoning_effort": ("reasoning_effort", "reasoning effort"),
    "tools": ("tool", "function call"),
}
"""Field to what a refusal of it says, the most particular first."""


def too_long(message: str) -> bool:
    """Whether a refusal says that the question does not fit into the model's window."""
    return _TOO_LONG.search(message.lower()) is not None


def size_told(model: str) -> float | None:
    """Parameters by a model's name, as `Qwen2.5-7B-Instruct` tells them; None if it does not.

    Of several sizes the largest: `Qwen2.5-14B-Instruct-1M` has a window of a million tokens.
    """
    sizes = (float(n) * (1e9 if unit == "b" else 1e6) for n, unit in _SIZE.findall(model.lower()))
    return max(sizes, default=None)


def size_of(source: str) -> float | None:
    """Parameters by where a model is loaded from, a folder or an id: its last name that tells them."""
    told = (size_told(name) for name in reversed(source.split("/")))
    return next((size for size in told if size is not None), None)


def is_small(parameters: float | None) -> bool:
    """Whether a model is known to be small."""
    return parameters is not None and parameters < SMALL
