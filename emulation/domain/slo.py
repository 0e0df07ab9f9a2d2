"""What a user may expect of a served request, as conditions that must all hold."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from emulation.domain.quantities import Length
from emulation.domain.strict import Strict


class Slo(Strict):
    """Service level objective of one model: a request meets it if it is done and every condition that is stated holds.

    Virtual seconds. No decision rests on it: it is what runs are judged by, and may be stated afterwards.
    """

    ttft_s: Length | None = None
    """At most so long to the first token; models with feature `tokens` only."""
    tpot_s: Length | None = None
    """At most so long per further output token; models with feature `tokens` only."""
    e2e_s: Length | None = None
    """At most so long from the intended send time to the end."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.ttft_s is None and self.tpot_s is None and self.e2e_s is None:
            raise ValueError("states no condition; give ttft_s, tpot_s or e2e_s")
        return self

    @property
    def of_tokens(self) -> bool:
        """Whether it has a condition that only token models can meet."""
        return self.ttft_s is not None or self.tpot_s is not None
