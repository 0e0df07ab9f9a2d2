from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.metrics.fairness import jain, jain_normalised, objective

ratios = st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=12)


def test_jain_of_a_hand_computed_case() -> None:
    # (1 + 0.5)^2 / (2 (1 + 0.25)) = 2.25 / 2.5
    assert jain([1.0, 0.5]) == pytest.approx(0.9)
    assert jain_normalised(0.9, 2) == pytest.approx(0.8)


def test_equal_ratios_are_perfectly_fair_and_one_served_type_is_perfectly_unfair() -> None:
    assert jain([0.3, 0.3, 0.3]) == pytest.approx(1.0)
    assert jain([0.7, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain_normalised(jain([0.7, 0.0, 0.0, 0.0]), 4) == pytest.approx(0.0)


def test_fairness_of_nothing_served_is_undefined() -> None:
    assert jain([]) is None
    assert jain([0.0, 0.0]) is None
    assert jain_normalised(None, 2) is None


def test_a_single_type_has_no_normalised_fairness() -> None:
    assert jain([0.5]) == pytest.approx(1.0)
    assert jain_normalised(1.0, 1) is None


def test_negative_ratios_are_refused() -> None:
    with pytest.raises(ValueError, match=">= 0"):
        jain([0.5, -0.1])


@given(ratios)
def test_jain_lies_between_one_over_the_types_and_one(values: list[float]) -> None:
    index = jain(values)
    if index is None:
        assert not any(values)
        return
    assert 1 / len(values) - 1e-9 <= index <= 1 + 1e-9
    stretched = jain_normalised(index, len(values))
    assert stretched is None or 0 <= stretched <= 1


@given(ratios, st.floats(min_value=0.01, max_value=1))
def test_jain_does_not_depend_on_scale(values: list[float], scale: float) -> None:
    index, scaled = jain(values), jain([v * scale for v in values])
    if index is not None and scaled is not None:
        assert scaled == pytest.approx(index)


def test_objective_weighs_latency_against_unfairness() -> None:
    assert objective(0.2, 0.9, 0.5) == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)
    assert objective(0.2, 0.9, 1.0) == pytest.approx(0.2)
    assert objective(None, 0.9, 0.5) is None
    assert objective(0.2, None, 0.5) is None
