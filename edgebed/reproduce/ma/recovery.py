"""Adaptation: how long after a change a scheme's latency moves, and what is lost until it has settled.

The series is the mean latency per slot of arrival over all seeds, every lost request counted with the whole deadline.
The new steady state of a phase is its mean over the last `SETTLED` of it, its swing the furthest that a mean over
`WINDOW` slots strays from it there. A scheme is back in the first slot from which every such mean, to the end of the
phase, stays within `NEAR` of the steady state, or within its swing where that is more: nobody can be back within less
than it moves anyway. Where the swing is above `UNSTEADY` there is no steady state to come back to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from edgebed.reproduce.ma.slots import SlotFigures
from emulation.rng import stream

Floats = NDArray[np.float64]
NEAR = 0.10
WINDOW = 10
"""Slots of a mean."""
UNSTEADY = 0.5
SETTLED = 0.4
"""Share of a phase, at its end, that is its steady state."""
BEFORE = 20
"""Slots before a change that say what was lost by it."""
_DRAWS = 200
_LEVEL = 0.95
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Recovery:
    """One scheme after one change."""

    before_s: float
    """Mean of the series over the `BEFORE` slots before the change."""
    steady_s: float
    """The new steady state."""
    swing: float
    """Share of the steady state by which it moves."""
    peak_s: float
    """Highest mean over `WINDOW` slots within the phase."""
    slots: int | None
    """Slots until it was back; None: there is no steady state."""
    low: int | None
    """95% range of that over seeds drawn again; None where that end has no steady state."""
    high: int | None
    excess_s: float
    """Per run: latency above the new steady state times requests, until back (or to the end of the phase)."""
    lost: float
    """Per run: requests lost until then."""
    phase_excess_s: float
    """Per run, over the whole phase: latency times requests beyond what it was before the change; negative: less."""
    phase_lost: float
    """Per run: requests lost in the whole phase."""
    phase_requests: float
    """Per run: requests of the phase."""


def recovery(runs: Sequence[SlotFigures], start: int, end: int) -> Recovery:
    """Measure the phase of slots start to end - 1 over runs of one scheme, one per seed.

    Raises `ValueError` if there is no run, or the phase is shorter than two windows or not within the runs.
    """
    if not runs or end - start < 2 * WINDOW or start < 0 or end > min(r.slots for r in runs):
        raise ValueError(f"no recovery to measure in slots {start} to {end} of {len(runs)} runs")
    cost_s = np.array([r.cost_s for r in runs])
    asked = np.array([r.arrived.sum(axis=1) for r in runs])
    lost = np.array([(r.arrived - r.done).sum(axis=1) for r in runs])
    phase = slice(start, end)
    steady_s, swing, means = _phase(cost_s[:, phase].sum(axis=0), asked[:, phase].sum(axis=0))
    back = slots_until_back(means, steady_s, swing)
    until = slice(start, end if back is None else start + back)
    before = slice(max(0, start - BEFORE), start)
    before_s = _mean(cost_s[:, before], asked[:, before])
    low, high = _range(cost_s[:, phase], asked[:, phase])
    above_s = cost_s[:, until].sum(axis=0) - steady_s * asked[:, until].sum(axis=0)
    n = len(runs)
    return Recovery(
        before_s=before_s,
        steady_s=steady_s,
        swing=swing,
        peak_s=float(means.max()),
        slots=back,
        low=low,
        high=high,
        excess_s=float(np.maximum(above_s, 0.0).sum()) / n,
        lost=float(lost[:, until].sum()) / n,
        phase_excess_s=float((cost_s[:, phase] - before_s * asked[:, phase]).sum()) / n,
        phase_lost=float(lost[:, phase].sum()) / n,
        phase_requests=float(asked[:, phase].sum()) / n,
    )


def rolling(cost_s: Floats, asked: Floats, window: int = WINDOW) -> Floats:
    """Mean latency over the `window` slots from each slot on: (S,) and (S,) to (S - window + 1,)."""
    sums = [np.concatenate([[0.0], np.cumsum(a)]) for a in (cost_s, asked)]
    costs, counts = (s[window:] - s[:-window] for s in sums)
    means: Floats = costs / np.maximum(counts, 1.0)
    return means


def slots_until_back(means: Floats, steady_s: float, swing: float = 0.0) -> int | None:
    """First index from which all means are within the tolerance of the steady state; None if the last is not."""
    if swing > UNSTEADY:
        return None
    return stays_from(np.abs(means - steady_s) <= max(NEAR, swing) * steady_s * (1 + _ROUNDING))


def stays_from(near: NDArray[np.bool_]) -> int | None:
    """First index from which everything is near; None if the last is not."""
    after_far = int(np.flatnonzero(~near).max(initial=-1)) + 1
    return None if after_far == len(near) else after_far


def _phase(cost_s: Floats, asked: Floats) -> tuple[float, float, Floats]:
    """Steady state of a phase, its swing, and the rolling means of the whole phase."""
    at = len(cost_s) - ceil(SETTLED * len(cost_s))
    means = rolling(cost_s, asked)
    steady_s = _mean(cost_s[at:], asked[at:])
    return steady_s, float(np.abs(means[at:] - steady_s).max() / steady_s), means


def _mean(cost_s: Floats, asked: Floats) -> float:
    return float(cost_s.sum() / max(asked.sum(), 1.0))


def _range(cost_s: Floats, asked: Floats) -> tuple[int | None, int | None]:
    """Central range of the slots until back, over seeds drawn with replacement: (R, S) each."""
    rng = stream(0, "reproduce/recovery")
    never = cost_s.shape[1]
    found = []
    for _ in range(_DRAWS):
        pick = rng.integers(len(cost_s), size=len(cost_s))
        steady_s, swing, means = _phase(cost_s[pick].sum(axis=0), asked[pick].sum(axis=0))
        back = slots_until_back(means, steady_s, swing)
        found.append(never if back is None else back)
    low, high = np.quantile(found, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], method="nearest")
    return (None if low == never else int(low)), (None if high == never else int(high))
