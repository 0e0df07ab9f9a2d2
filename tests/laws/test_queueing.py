"""The engine against queueing theory: what must hold whatever the code looks like."""

from __future__ import annotations

import numpy as np
import pytest

from emulation.recording import Run
from tests.build.fakes import device_testbed, latencies, poisson, scenario, simulate

RATES = [pytest.param(0.3, marks=pytest.mark.long), 0.6, pytest.param(0.8, marks=pytest.mark.long)]
"""Requests a second of a server that serves one in a second. `make test` checks the law at the middle one."""


def _run(rate: float, count: int, seed: int, service: str) -> Run:
    arrivals = poisson(rate, count, seed, service)
    world = scenario(device_testbed(), horizon_s=arrivals[-1][0].arrival_s + 1.0)
    return simulate(world, arrivals)


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_mm1_sojourn_time_matches_theory(rate: float) -> None:
    means = [np.mean(latencies(_run(rate, 6000, seed, "exponential"))) for seed in range(8)]
    expected = 1.0 / (1.0 - rate)
    error = 4 * np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - expected) < max(error, 0.02 * expected)


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_md1_waiting_time_matches_pollaczek_khinchine(rate: float) -> None:
    means = [np.mean(latencies(_run(rate, 6000, seed, "constant"))) - 1.0 for seed in range(8)]
    expected = rate / (2 * (1 - rate))
    error = 4 * np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - expected) < max(error, 0.02 * expected)


def test_a_single_server_equals_the_fifo_recursion() -> None:
    arrivals = poisson(0.9, 500, seed=3)
    world = scenario(device_testbed(), horizon_s=arrivals[-1][0].arrival_s + 1.0)
    run = simulate(world, arrivals)
    free, expected = 0.0, {}
    for request, truth in arrivals:
        free = max(free, request.arrival_s) + truth.noise[0]
        expected[request.id] = free
    assert {r.request_id: r.ended_s for r in run.requests} == pytest.approx(expected)


def test_littles_law_holds_on_every_sample_path() -> None:
    run = _run(0.7, 2000, 5, "exponential")
    horizon_s = max(r.ended_s for r in run.requests)
    changes = sorted([(r.intended_s, 1) for r in run.requests] + [(r.ended_s, -1) for r in run.requests])
    area, inside, last = 0.0, 0, 0.0
    for t_s, change in changes:
        area += inside * (t_s - last)
        inside, last = inside + change, t_s
    arrival_rate = len(run.requests) / horizon_s
    assert area / horizon_s == pytest.approx(arrival_rate * np.mean(latencies(run)), rel=1e-9)


def test_a_server_with_work_is_never_idle() -> None:
    run = _run(0.9, 800, 7, "exponential")
    by_start = sorted(run.requests, key=lambda r: r.started_s or 0.0)
    for earlier, later in zip(by_start, by_start[1:], strict=False):
        assert later.started_s == pytest.approx(max(earlier.ended_s, later.enqueued_s))


def test_the_clock_never_goes_back() -> None:
    run = _run(0.9, 400, 9, "exponential")
    ends = [r.t_s for r in run.requests]
    assert ends == sorted(ends)
    for r in run.requests:
        assert r.intended_s <= r.dispatched_s <= r.enqueued_s <= r.started_s <= r.ended_s
