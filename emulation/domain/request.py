"""What a decider may see of a request, and how a request can end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from emulation.domain.native import Native

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


@dataclass(init=False, slots=True, unsafe_hash=True)
class Request(Native):
    """One request of one model type, as any decider sees it. Times in virtual seconds."""

    id: Final[str]
    model: Final[str]
    origin: Final[str]
    """Node at which it enters the system."""
    arrival_s: Final[float]
    """Intended send time."""
    deadline_s: Final[float]
    """Absolute; infinity where there is none."""
    prompts: Final[int]
    """K: number of prompts in the batch, which is the number of answers."""
    prompt_tokens: Final[int]
    """n_in (feature `tokens`), over all prompts."""
    known_output_tokens: Final[float | None]
    """Output length a decider may use, over all answers, by the scenario's length knowledge: exact, max_tokens, or None
    (predict it)."""
    up_bytes: Final[int]
    down_bytes: Final[int]
    tenant: Final[str | None]
    """On whose behalf it is asked; None: nobody said."""

    def __init__(
        self,
        id: str,
        model: str,
        origin: str,
        arrival_s: float,
        deadline_s: float,
        prompts: int = 1,
        prompt_tokens: int = 0,
        known_output_tokens: float | None = None,
        up_bytes: int = 0,
        down_bytes: int = 0,
        tenant: str | None = None,
    ) -> None:
        self.id = id
        self.model = model
        self.origin = origin
        self.arrival_s = arrival_s
        self.deadline_s = deadline_s
        self.prompts = prompts
        self.prompt_tokens = prompt_tokens
        self.known_output_tokens = known_output_tokens
        self.up_bytes = up_bytes
        self.down_bytes = down_bytes
        self.tenant = tenant
