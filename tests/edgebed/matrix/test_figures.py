"""What is kept of one run."""

from __future__ import annotations

import pytest

from edgebed.matrix.figures import figures_of
from emulation.domain.records import RequestRecord
from tests.build.records import request, run


def penalised_s(record: RequestRecord, deadline_s: float | None) -> float | None:
    """Of a run of 100 s with this request alone."""
    return figures_of(run([record], deadline_s=deadline_s), warm_up=0.0).penalised_latency_s


def test_serving_is_never_worse_than_refusing_however_late() -> None:
    refused = request(0.0, 0.0, outcome="rejected", started_s=None)
    for latency_s in (40.0, 300.0, 10_000.0):
        found = penalised_s(request(0.0, latency_s), None)
        assert found == min(latency_s, 100.0)
        assert found <= (penalised_s(refused, None) or 0.0)


@pytest.mark.parametrize(("latency_s", "counts_s"), [(30.0, 30.0), (50.3, 50.0)])
def test_nothing_counts_more_than_the_deadline(latency_s: float, counts_s: float) -> None:
    """An answer whose service ended in time may still be on its way."""
    assert penalised_s(request(0.0, latency_s), 50.0) == counts_s
