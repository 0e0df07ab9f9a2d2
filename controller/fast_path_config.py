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
    energy_s_per_j: Annotated[float, Range(0, 1_000_000, "s per J")] = 0.0
    """Seconds that a joule of energy above idle counts in the score, by the testbed's watts; a scenario's
    `energy_weight` sets it where it is not given."""
    prior_output_tokens: Annotated[float, Range(0.001, 1_000_000, "tokens")] = 128.0
    """Expected answer length until one was seen, where requests do not state theirs."""
    in_time: Annotated[float, Range(0.01, 0.999)] | None = None
    """Predictive admission: probability, by what the performance model itself does not know, with which a request must
    end before its deadline and within its model's limit, or it is refused. Absent: only a limit of the planner's
    counts, and is held against the mean."""
    defer_s: Seconds = 0.0
    """With `in_time`: how long since its arrival a request that would be late may be held, if it is predicted to be
    taken by then; 0: it is refused at once."""
