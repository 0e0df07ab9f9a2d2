from __future__ import annotations

import pytest

from edgebed.report.stats import mean_interval, paired_difference


def test_student_interval_of_three_values() -> None:
    # mean 2, standard error 1 / sqrt(3), t(0.975, 2) = 4.302653
    found = mean_interval([1.0, 2.0, 3.0])
    assert found is not None
    assert found.mean == 2
    assert found.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert found.n == 3


def test_a_single_seed_has_a_mean_and_no_interval() -> None:
    found = mean_interval([5.0, None])
    assert found is not None
    assert (found.mean, found.half, found.n) == (5.0, None, 1)
    assert not found.excludes_zero


def test_two_seeds_have_a_mean_and_no_interval_either() -> None:
    found = mean_interval([5.0, 7.0])
    assert found is not None
    assert (found.mean, found.half, found.n) == (6.0, None, 2)


def test_nothing_measured_is_none() -> None:
    assert mean_interval([]) is None
    assert mean_interval([None, None]) is None


def test_pairs_cancel_what_the_seeds_have_in_common() -> None:
    baseline = {1: 100.0, 2: 200.0, 3: 300.0}
    found = paired_difference({1: 90.0, 2: 191.0, 3: 289.0, 4: 7.0}, baseline)
    assert found is not None
    assert found.mean == pytest.approx(-10)
    assert found.excludes_zero
    unpaired = mean_interval([90.0, 191.0, 289.0])
    assert unpaired is not None
    assert found.half is not None
    assert unpaired.half is not None
    assert found.half < unpaired.half / 50


def test_pairs_without_a_common_measurement_have_no_difference() -> None:
    assert paired_difference({1: 1.0}, {2: 1.0}) is None
    assert paired_difference({1: None}, {1: 1.0}) is None


def test_a_level_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        mean_interval([1.0, 2.0], level=95)
