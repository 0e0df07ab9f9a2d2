"""The J that a planner says its plan comes to: how it stands in the reason of a decision, and how it is found there."""

from __future__ import annotations

import re

_TOLD = re.compile(r"(?:^|; )J (-?\d+\.\d{3}) estimated(?:;|$)")


def estimate_told(objective: float) -> str:
    """The clause of a reason that tells it."""
    return f"J {objective:.3f} estimated"


def estimate_in(reason: str) -> float | None:
    """What a reason tells; None if it tells none."""
    found = _TOLD.search(reason)
    return None if found is None else float(found[1])
