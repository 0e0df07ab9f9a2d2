"""What one request may ask: a live gateway refuses more, and so does a scenario when it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulation.domain.inventory import ModelSpec
from emulation.domain.sources import (
    OutsideSource,
    SessionSource,
    SlottedSource,
    TokenLengths,
    TraceSource,
    WorkloadSource,
)

if TYPE_CHECKING:
    from emulation.domain.scenario import Scenario

MOST_PICTURES = 16
"""That one request may have made."""
MOST_ANSWERS = 128
"""In text, to one request."""
MOST_ANSWER_TOKENS = 131_072
"""That a client may state as the limit of an answer."""


def too_much(model: ModelSpec, prompts: int, prompt_tokens: int, max_tokens: int | None) -> str:
    """Why a live gateway would refuse a request of this model; empty if it would not."""
    most = MOST_PICTURES if model.modality == "image" else MOST_ANSWERS
    if prompts > most:
        return f"{prompts} prompts in one request of {model.id!r}, at most {most}"
    if model.features != "tokens" or max_tokens is None:
        return ""
    if max_tokens > MOST_ANSWER_TOKENS:
        return f"a limit of {max_tokens} tokens for an answer, at most {MOST_ANSWER_TOKENS}"
    if model.context_tokens is not None and prompt_tokens + max_tokens > model.context_tokens:
        return (
            f"a prompt of {prompt_tokens} tokens and a limit of {max_tokens}, at most {model.context_tokens} together,"
            f" the context_tokens of {model.id!r}"
        )
    return ""


def check_requests(scenario: Scenario) -> None:
    """Raise `ValueError` for a source that would send what a live gateway refuses, with what to lower.

    What sources of other packages send is looked at as they give it.
    """
    for i, source in enumerate(scenario.workload):
        if isinstance(source, OutsideSource):
            continue
        for model in _asked(source, scenario):
            told = _by_tokens if model.features == "tokens" else _by_prompts
            field, wrong, remedy = told(source, model)
            if wrong:
                raise ValueError(
                    f"workload[{i}].{field}: {wrong}; a live gateway refuses what is above: {remedy}"
                )


def _asked(source: WorkloadSource, scenario: Scenario) -> list[ModelSpec]:
    """Models of which a source sends any requests."""
    shares = getattr(source, "mix", None) or {}
    named = source.asked() or tuple(m.id for m in scenario.testbed.models)
    return [scenario.testbed.model(name) for name in dict.fromkeys(named) if shares.get(name, 1.0) > 0]


def _by_prompts(source: WorkloadSource, model: ModelSpec) -> tuple[str, str, str]:
    """Field, what is wrong with it, and what to do."""
    if isinstance(source, SlottedSource):
        return "k_max", too_much(model, source.k_max, 0, None), "lower k_max"
    given: tuple[int, ...] = getattr(source, "prompts", (1,))
    return "prompts", too_much(model, max(given), 0, None), "lower or remove it"


def _by_tokens(source: WorkloadSource, model: ModelSpec) -> tuple[str, str, str]:
    """The same. Traces and sessions leave room for their answers in the context themselves."""
    lengths: TokenLengths = getattr(source, "lengths", TokenLengths())
    limit, window = lengths.max_tokens or max(lengths.output_tokens), model.context_tokens
    if isinstance(source, TraceSource):
        limit = _beside_a_prompt(window, source.max_output_tokens)
        return "max_output_tokens", too_much(model, 1, 1, limit), "lower max_output_tokens"
    if isinstance(source, SessionSource):
        limit = _beside_a_prompt(window, min(limit, source.context_tokens - 1))
        return "lengths", too_much(model, 1, 1, limit), "lower lengths.max_tokens or lengths.output_tokens"
    wrong = too_much(model, 1, max(lengths.prompt_tokens), limit)
    if isinstance(source, SlottedSource):
        return "models", wrong, "leave it out here, and ask for it in a source that states lengths"
    return "lengths", wrong, "lower lengths.prompt_tokens, or lengths.max_tokens or lengths.output_tokens"


def _beside_a_prompt(window: int | None, limit: int) -> int:
    """What a context leaves of a limit beside the shortest prompt."""
    return limit if window is None else min(limit, window - 1)
