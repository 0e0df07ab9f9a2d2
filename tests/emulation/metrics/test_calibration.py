"""Calibration is counted from the records alone."""

from __future__ import annotations

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.metrics.calibration import calibration
from workloads.pools import random_pool


def test_bayes_states_honest_intervals_in_a_run() -> None:
    shares = [calibration(simulate_in_memory(random_pool(s), "e3-alone", s).requests) for s in range(4)]
    assert all(c is not None and c.n == 300 for c in shares)
    within = [c.within_80 for c in shares if c is not None]
    assert sum(within) / len(within) == pytest.approx(0.8, abs=0.08)


def test_nothing_is_claimed_where_nothing_was_stated() -> None:
    assert calibration([]) is None
    assert calibration(simulate_in_memory(random_pool(1), "oracle", 1).requests) is None
