"""A request that never ends is no success: it is named when the run ends, and counts as one that arrived."""

from __future__ import annotations

import pytest

from emulation.domain.actions import RoutingDecision
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.metrics.series import latency_series
from emulation.metrics.summary import summarise
from emulation.recording import Run
from tests.build.fakes import FixedRoute, device_testbed, request, scenario, simulate


class HoldsEverySecond(FixedRoute):
    """A fast path that lets every second request wait for ever."""

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        if int(request.id.removeprefix("r")) % 2:
            return RoutingDecision(None, "hold", "for ever")
        return super().route(request, now_s)


def half_waits(deadline_s: float | None = None) -> Run:
    """Ten requests in ten seconds of which five are held until the run gives up."""
    world = scenario(device_testbed(unit_s=0.1), horizon_s=10.0, deadline_s=deadline_s)
    arrivals = [(request(i, float(i)), RequestTruth()) for i in range(10)]
    return simulate(world, arrivals, HoldsEverySecond("d0"))


def test_requests_that_wait_for_ever_are_no_successes() -> None:
    summary = summarise(half_waits())
    assert (summary.arrived, summary.done, summary.unfinished) == (10, 5, 5)
    assert summary.success_ratio == pytest.approx(0.5)
    assert summary.ends["unfinished"] == 5
    (model,) = summary.per_model.values()
    assert (model.arrived, model.unfinished, model.success_ratio) == (10, 5, 0.5)
    assert summary.conservation.ok
    assert summary.goodput == pytest.approx(0.5)


def test_a_record_names_what_was_in_the_system_when_it_closed() -> None:
    run = half_waits()
    left = [r for r in run.requests if r.outcome == "unfinished"]
    assert [r.request_id for r in left] == [f"r{i:06d}" for i in (1, 3, 5, 7, 9)]
    assert run.footer is not None
    assert {r.ended_s for r in left} == {run.footer.t_s}
    assert sum(run.footer.in_system.values()) == 5
    assert not any(count for ends in run.footer.ends.values() for o, count in ends.items() if o != "done")


def test_success_over_time_counts_them_where_they_arrived() -> None:
    assert [b.success_ratio for b in latency_series(half_waits(), 5)] == pytest.approx([3 / 5, 2 / 5])


def test_one_in_service_when_the_run_ends_says_where() -> None:
    world = scenario(device_testbed(unit_s=1e6), horizon_s=10.0)
    run = simulate(world, [(request(0, 1.0), RequestTruth())])
    (left,) = run.requests
    assert (left.outcome, left.executor, left.started_s, left.service_s) == ("unfinished", "d0", 1.0, None)
