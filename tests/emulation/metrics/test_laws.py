from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.metrics import conservation, little
from tests.build.records import footer, request, run


def test_little_holds_exactly_for_a_known_series() -> None:
    # One request in the system during [0, 4), two during [2, 3): area 5 over 10 s.
    found = little([request(0, 4), request(2, 1)], until_s=10)
    assert found is not None
    assert found.mean_in_system == pytest.approx(0.5)
    assert found.arrival_rate_per_s == pytest.approx(0.2)
    assert found.mean_sojourn_s == pytest.approx(2.5)
    assert found.relative_error == pytest.approx(0)


def test_little_of_nothing_is_none() -> None:
    assert little([]) is None
    assert little([request(50, 1)], until_s=10) is None


def test_little_shows_work_left_at_the_edge() -> None:
    found = little([request(0, 10)], until_s=5)
    assert found is not None
    assert found.mean_in_system == pytest.approx(1)
    assert found.relative_error == pytest.approx(-0.5)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 50)), min_size=1, max_size=40))
def test_little_holds_for_any_drained_system(pairs: list[tuple[float, float]]) -> None:
    found = little([request(a, s, outcome="expired" if i % 3 else "done") for i, (a, s) in enumerate(pairs)])
    assert found is not None
    assert found.relative_error == pytest.approx(0, abs=1e-6)


def test_a_balanced_run_is_conserved() -> None:
    found = conservation(run([request(0, 1), request(0, 1, "b", outcome="rejected")]))
    assert found.ok
    assert (found.arrived, found.ended, found.in_system) == (2, 2, 0)


def test_a_lost_request_is_named_with_its_model() -> None:
    whole = run([request(0, 1), request(0, 1, "b")])
    assert whole.footer is not None
    found = conservation(replace(whole, footer=replace(whole.footer, arrived={"a": 1, "b": 2})))
    assert not found.ok
    assert found.problems == ("b: 2 arrived, but 1 ended and 0 are in the system",)


def test_requests_still_inside_are_accounted_for() -> None:
    requests = [request(0, 1)]
    books = replace(footer(requests), arrived={"a": 3}, in_system={"a": 2})
    assert conservation(replace(run(requests), footer=books)).ok


def test_a_footer_that_contradicts_the_record_is_caught() -> None:
    requests = [request(0, 1), request(0, 1)]
    found = conservation(replace(run(requests[:1]), footer=footer(requests)))
    assert found.problems == ("a: the footer states 2 done, the record has 1",)


def test_a_request_may_end_once_only() -> None:
    twice = request(0, 1)
    found = conservation(run([twice, twice]))
    assert not found.ok
    assert "ends 2 times" in found.problems[0]


def test_a_cut_run_proves_nothing() -> None:
    found = conservation(replace(run([request(0, 1)]), footer=None))
    assert not found.ok
    assert "no footer" in found.problems[0]
