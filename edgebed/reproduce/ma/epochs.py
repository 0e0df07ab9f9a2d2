"""Figure 7: the objective from epoch to epoch, and how many epochs it takes to be as good as with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebed.report.stats import Interval, mean_interval
from edgebed.reproduce.ma.recovery import rolling, stays_from

Floats = NDArray[np.float64]
NEAR = 0.05
"""Within this share of the truth's J is as good."""
WINDOW = 3
"""Epochs of a mean: the J of a single epoch swings with what happened to arrive in it."""
LAST = 5
"""Epochs over which a run is taken to end."""


@dataclass(frozen=True, slots=True)
class Approach:
    """How runs came to the J of plans searched with the truth. Epochs count from 1."""

    first_near: int | None
    """Epochs until a mean over `WINDOW` epochs was within `NEAR` for the first time; None: never."""
    stays_near: int | None
    """Epochs until it was within `NEAR` and stayed there to the end."""
    first_epoch: Interval | None
    """J over the truth's J - 1 in epoch 1, paired by seed."""
    last_epochs: Interval | None
    """The same over the last `LAST` epochs."""
    objective: Interval | None
    """J over the last `LAST` epochs."""


def approach(ours: Mapping[int, Sequence[float]], truth: Mapping[int, Sequence[float]]) -> Approach | None:
    """Compare J per epoch by seed with the J of the same seeds under the truth; None without a shared seed.

    Whether a mean is near is judged on means over the seeds: sums of both over the window, then their ratio.
    Raises `ValueError` if runs differ in length or have fewer epochs than the window.
    """
    seeds = sorted(ours.keys() & truth.keys())
    if not seeds:
        return None
    a, b = (np.array([side[s] for s in seeds], dtype=float) for side in (ours, truth))
    if a.shape[1] < WINDOW:
        raise ValueError(f"{a.shape[1]} epochs are fewer than the {WINDOW} of a mean")
    near = moving(a.mean(axis=0)) <= (1.0 + NEAR) * moving(b.mean(axis=0))
    stays = stays_from(near)
    last = slice(max(0, a.shape[1] - LAST), None)
    return Approach(
        first_near=int(near.argmax()) + 1 if near.any() else None,
        stays_near=None if stays is None else stays + 1,
        first_epoch=mean_interval(list(a[:, 0] / b[:, 0] - 1.0)),
        last_epochs=mean_interval(list(a[:, last].mean(axis=1) / b[:, last].mean(axis=1) - 1.0)),
        objective=mean_interval(list(a[:, last].mean(axis=1))),
    )


def moving(objectives: Floats) -> Floats:
    """Means over `WINDOW` epochs from each on: (E,) to (E - WINDOW + 1,)."""
    return rolling(objectives, np.ones_like(objectives), WINDOW)
