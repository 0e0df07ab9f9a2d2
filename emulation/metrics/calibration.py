"""Whether stated uncertainties are honest: how often the actual service time fell inside the stated interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from emulation.domain.records import RequestRecord
from emulation.metrics.view import in_one_go

_Z_80, _Z_95 = 1.2815515655446004, 1.959963984540054


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predictions stored with the decisions, against what the requests then took."""

    n: int
    """Served requests whose decision stated a mean and a standard deviation above 0."""
    within_80: float
    """Share whose service time lay within the central 80% of a normal of that mean and deviation."""
    within_95: float


def calibration(records: Iterable[RequestRecord]) -> Calibration | None:
    """Calibration of the predictions of these requests; None where no decision stated an uncertainty.

    A request that a change of its device met between decision and service counts like any other; one that was moved,
    interrupted or stood still does not: what it took in all is no one executor's time for it.
    """
    rows = [
        (r.predicted_s, r.predicted_sd_s, r.service_s)
        for r in records
        if r.outcome == "done" and in_one_go(r) and r.predicted_s and r.predicted_sd_s
    ]
    if not rows:
        return None
    mean, sd, actual = np.array(rows, dtype=float).T
    off = np.abs(actual - mean) / sd
    return Calibration(
        n=len(rows),
        within_80=float((off <= _Z_80).mean()),
        within_95=float((off <= _Z_95).mean()),
    )
