"""What deciders never see: true lengths, true service noise, hidden condition of a node.

Only workloads (which draw it), the executors of the two worlds (which live by it) and an oracle that is
given it on purpose may import this module; an import contract and a runtime test keep it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal

from mypy_extensions import mypyc_attr

from emulation.domain.events import LinkLoss
from emulation.domain.native import Native


@dataclass(init=False, slots=True, unsafe_hash=True)
class RequestTruth(Native):
    """Hidden facts of one request, the same for every scheme and both worlds."""

    output_tokens: Final[int]
    """True n_out (feature `tokens`), over all answers to the request."""
    noise: Final[tuple[float, ...]]
    """Multiplier of the service time, mean 1; one per prompt, and a single one for a request of one answer."""
    input_tokens: Final[int | None]
    """True n_in, by the tokenizer of a real model; None: what the gateway counted, `Request.prompt_tokens`."""

    def __init__(
        self,
        output_tokens: int = 0,
        noise: tuple[float, ...] = (1.0,),
        input_tokens: int | None = None,
    ) -> None:
        self.output_tokens = output_tokens
        self.noise = noise
        self.input_tokens = input_tokens

    @staticmethod
    def drawn(output_tokens: int, noise: Iterable[float]) -> RequestTruth:
        """A length and the noise of every prompt, as somebody drew them."""
        return RequestTruth(output_tokens, tuple(noise))

    @staticmethod
    def measured(output_tokens: int, prompts: int, input_tokens: int | None) -> RequestTruth:
        """What came to light of a request that is to be computed again, exactly as long as its law says."""
        return RequestTruth(output_tokens, (1.0,) * prompts, input_tokens)

    @staticmethod
    def unknown(prompts: int) -> RequestTruth:
        """Of work that really is computed: nobody knows its length or its time before it is over."""
        return RequestTruth(noise=(1.0,) * prompts)


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class Condition:
    """Hidden, piecewise-constant state of a node, or of one model on it."""

    slowdown: float = 1.0
    """Service time multiplier; 1 is healthy."""
    per_coefficient: tuple[float, ...] | None = None
    """Multiplier of each coefficient of theta, for drift that changes the law's shape; multiplies `slowdown`."""
    stutter: bool = False
    """Degraded: a task dispatched now counts as stuttering (E3 eq. 3)."""
    paused: bool = False
    """Nothing makes progress, nothing new comes into service."""
    error_rate: float = 0.0
    """Probability that a request fails instead of coming into service."""
    error_seed: int = 0

    def factor(self, index: int) -> float:
        """Multiplier of coefficient `index`."""
        if self.per_coefficient is None:
            return self.slowdown
        return self.slowdown * self.per_coefficient[min(index, len(self.per_coefficient) - 1)]


HEALTHY = Condition()


def fails(rate: float, seed: int, event: int, request_id: str, attempt: int, part: str = "") -> bool:
    """Whether event number `event` of the plan hits this attempt at a request: the same in both worlds, for any scheme.

    `part`: of the attempt, where it may be hit several times.

    A uniform draw in [0, 1), of 64 bits of BLAKE2b over all that names it, is below the rate.
    """
    name = f"{seed}/{event}/{attempt}/{request_id}{part}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") < rate * 2**64


Way = Literal["up", "down"]
"""Of a message: a request to its node, or an answer from there."""


def lost(
    loss: LinkLoss, event: int, request_id: str, attempt: int, way: Way, number: int, first_s: float
) -> bool:
    """Whether try `number` (from 0) of a message gets lost by event number `event`; its first try is at `first_s`."""
    in_force = first_s + number * loss.retry_s < loss.until_s
    return in_force and fails(loss.rate, loss.seed, event, request_id, attempt, f"/{way}{number}")


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class WorldTruth:
    """Hidden constants of a run: how far the profile is from the truth."""

    mismatch: Mapping[tuple[str, str, str], tuple[float, ...]] = field(default_factory=dict)
    """(node, model, mode) to the true / profiled ratio of each coefficient; absent: 1."""

    def ratios(self, node: str, model: str, mode: str) -> tuple[float, ...]:
        """Mismatch of each coefficient; ones where none was drawn."""
        return self.mismatch.get((node, model, mode), (1.0, 1.0))
