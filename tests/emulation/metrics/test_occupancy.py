"""Requests that wait and nodes at work, against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.metrics.occupancy import at_work_series, mean_count, merged, waiting_series
from tests.build.records import event, request, run, state

EDGES_S = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
SPANS = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0, 50)).map(lambda p: (p[0], p[0] + p[1])), max_size=30
)


def test_a_request_waits_until_it_is_served_or_lost() -> None:
    records = [
        request(0, 30, "a", started_s=20, service_s=10),
        request(10, 20, "a", started_s=None, service_s=None, outcome="expired"),
    ]
    assert waiting_series(run(records, horizon_s=40.0, slots=4), EDGES_S) == pytest.approx([1, 2, 1, 0])


def test_a_node_is_at_work_while_it_serves_anything() -> None:
    records = [
        request(0, 20, "a", started_s=0, service_s=20, executor="n1/a"),
        request(0, 20, "b", started_s=10, service_s=10, executor="n1/b"),
    ]
    states = [state(0, "n1/a", "ready"), state(0, "n1/b", "ready"), state(0, "n2/a", "ready")]
    assert at_work_series(run(records, executors=states, horizon_s=40.0, slots=4), EDGES_S) == pytest.approx(
        [0.5, 0.5, 0, 0]
    )


def test_a_node_that_a_pause_keeps_still_is_not_at_work() -> None:
    stops = [event(5, "onset", 0, "pause", "n1/a"), event(15, "undo", 0, "pause", "n1/a")]
    records = [request(0, 20, "a", started_s=0, service_s=20, executor="n1/a")]
    found = at_work_series(run(records, events=stops, horizon_s=40.0, slots=4), EDGES_S)
    assert found == pytest.approx([0.5, 0.5, 0, 0])


@given(SPANS, st.sets(st.integers(1, 1199), max_size=20))
def test_the_time_covered_is_kept_whatever_the_bins(
    spans: list[tuple[float, float]], inner: set[int]
) -> None:
    inside = sum(min(end, 120.0) - min(start, 120.0) for start, end in spans)
    edges_s = np.array([0.0, *(tenth / 10 for tenth in sorted(inner)), 120.0])
    assert sum(mean_count(spans, edges_s) * np.diff(edges_s)) == pytest.approx(inside, abs=1e-6)


@given(SPANS)
def test_merged_spans_are_disjoint_and_cover_the_same(spans: list[tuple[float, float]]) -> None:
    found = merged(spans)
    assert all(one[1] < other[0] for one, other in zip(found, found[1:], strict=False))
    assert all(any(s <= start and end <= e for s, e in found) for start, end in spans)


@pytest.mark.parametrize("edges", [[], [0.0], [0.0, 2.0, 2.0], [3.0, 1.0]])
def test_edges_that_do_not_ascend_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="edges"):
        mean_count([], np.array(edges))
