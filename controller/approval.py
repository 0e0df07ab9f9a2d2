"""Proposals: what an agent decided is held until somebody has approved, edited or rejected it, or for a while.

The loop says what is held and what a verdict makes of it, in both worlds. Live, whoever hosts the loop asks a person;
in virtual time there is nobody, so a stand-in answers as it was told, or the time runs out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from emulation.domain.actions import Command
from emulation.domain.quantities import Length, Seconds
from emulation.domain.strict import Strict

Outcome = Literal["approved", "edited", "rejected", "timed_out"]


class ApprovalConfig(Strict):
    """Who approves, and for how long they are waited for. Virtual seconds."""

    timeout_s: Length = 60.0
    """After which the rules of the role decide."""
    stand_in: Literal["nobody", "approves", "rejects"] = "nobody"
    """In virtual time, what stands in for a person; live it counts for nothing."""
    after_s: Seconds = 5.0
    """How long the stand-in takes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a proposal."""

    outcome: Outcome
    waited_s: float
    """Virtual seconds from the proposal to the verdict."""
    by: str = ""
    why: str = ""
    command: Command | None = None
    """Of an edited one, what is to be done instead."""

    def told(self) -> str:
        """In words, at the begin of a reason."""
        who = f" by {self.by}" if self.by else ""
        why = f" ({self.why})" if self.why else ""
        if self.outcome == "timed_out":
            return f"nobody approved it within {self.waited_s:.0f} s{why}"
        return f"{self.outcome}{who}{why}"


NOT_BEGUN = Verdict("timed_out", 0.0, why="the run had not begun")
"""Of the first decisions, which are to be in force when a run begins: in neither world anybody is waited for."""


def stood_in(config: ApprovalConfig) -> Verdict:
    """What the stand-in of a virtual run says."""
    if config.stand_in == "nobody" or config.after_s >= config.timeout_s:
        return Verdict("timed_out", config.timeout_s)
    outcome: Outcome = "approved" if config.stand_in == "approves" else "rejected"
    return Verdict(outcome, config.after_s, "stand-in")


def as_data(present: Any, proposed: Any, reason: str, verdict: Verdict) -> dict[str, Any]:
    """A proposal and its verdict as plain data, for the record."""
    return {
        "present": present, "proposed": proposed, "reason": reason, "outcome": verdict.outcome, "by": verdict.by,
        "why": verdict.why, "waited_s": verdict.waited_s,
    }  # fmt: skip
