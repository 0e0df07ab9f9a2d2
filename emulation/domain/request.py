"""What a decider may see of a request, and how a request can end."""

from __future__ import annotations

from typing import Literal

from emulation.domain.value import value

Outcome = Literal["done", "expired", "rejected", "no_host", "node_lost", "aborted", "error"]
"""The end of a request, always exactly one.

done: served within its deadline. expired: dropped at its deadline. rejected: refused by admission.
no_host: no node can host the model. node_lost: its node left and the policy is `fail`.
aborted: the client gave up, or the run ended. error: anything else, with the reason in the record.
"""

OUTCOMES: tuple[Outcome, ...] = ("done", "expired", "rejected", "no_host", "node_lost", "aborted", "error")

Fate = Outcome | Literal["unfinished"]
"""What became of a request in a run: its end, or `unfinished`: it was still in the system when the run ended."""

FATES: tuple[Fate, ...] = (*OUTCOMES, "unfinished")


@value
class Request:
    """One request of one model type, as any decider sees it. Times in virtual seconds."""

    id: str
    model: str
    origin: str
    """Node at which it enters the system."""
    arrival_s: float
    """Intended send time."""
    deadline_s: float
    """Absolute; infinity where there is none."""
    prompts: int = 1
    """K: number of prompts in the batch, which is the number of answers."""
    prompt_tokens: int = 0
    """n_in (feature `tokens`), over all prompts."""
    known_output_tokens: float | None = None
    """Output length a decider may use, over all answers, by the scenario's length knowledge: exact, max_tokens, or None
    (predict it)."""
    up_bytes: int = 0
    down_bytes: int = 0
    tenant: str | None = None
    """On whose behalf it is asked; None: nobody said."""
