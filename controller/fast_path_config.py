"""Parameters of the fast path, as data."""

from __future__ import annotations

from typing import Annotated

from emulation.domain.quantities import Range, Seconds
from emulation.domain.strict import Strict


class FastPathConfig(Strict):
    """Parameters of the score, in seconds."""

    explore_s: Seconds = 0.0
    """Bonus of a law nothing is known of (uncertainty 1); E3's explore_weight."""
    risk_penalty_s: Seconds = 60.0
    """Penalty of a risky executor beside its hard avoidance; E3's risk_penalty."""
    risk_bound: Annotated[float, Range(1, 1000, "times")] | None = None
    """How far hard avoidance of a risky executor goes: it is given up for a request that would take more than so many
    times as long everywhere else as there, both as predicted. Absent: it never is while another can serve (E3)."""
    eta_s: Seconds = 0.0
    """Weight of the guide's -log p."""
    prior_output_tokens: Annotated[float, Range(0.001, 1_000_000, "tokens")] = 128.0
    """Expected answer length until one was seen, where requests do not state theirs."""
