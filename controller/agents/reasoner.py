"""Labels of what thinks. Every decision and every table row carries one."""

from __future__ import annotations

from typing import Literal

ReasonerLabel = Literal["none", "rules", "openai", "scripted", "replay", "first", "random"]
"""none: no agent takes part; rules: agents whose reasoning is a deterministic program; openai: a language model
behind an OpenAI-compatible URL; scripted: answers read from a file; replay: answers of a recorded run; first, random:
of the options an agent is given, always the first that is shown, or any: what a chooser without judgement comes to."""

NONE: ReasonerLabel = "none"
RULES: ReasonerLabel = "rules"
OPENAI: ReasonerLabel = "openai"


def split_choice(choice: str) -> tuple[ReasonerLabel, str]:
    """`rules`, `openai`, `first`, `random`, `scripted:<file>` or `replay:<file>` as label and file.

    Raises `ValueError` on anything else.
    """
    label, _, file = choice.partition(":")
    if label in ("rules", "openai", "first", "random") and not file:
        return label, ""  # type: ignore[return-value]
    if label in ("scripted", "replay") and file:
        return label, file  # type: ignore[return-value]
    raise ValueError(
        f"reasoner {choice!r}: choose rules, openai, first, random, scripted:<file> or replay:<file>"
    )
