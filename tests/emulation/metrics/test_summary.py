from __future__ import annotations

import json
from dataclasses import replace

import pytest

from emulation.metrics.series import latency_series
from emulation.metrics.summary import platform_overheads_s, summarise
from emulation.metrics.view import latency_s
from tests.build.records import decision, footer, header, request, run


def test_a_small_run_gives_the_figures_computed_by_hand() -> None:
    requests = [
        request(0, 10, "a", prompts=3),
        request(1, 30, "a"),
        request(2, 20, "b", prompts=2),
        request(3, 100, "b", outcome="expired"),
    ]
    summary = summarise(run(requests))
    assert summary.arrived == 4
    assert summary.done == 3
    assert summary.success_ratio == pytest.approx(0.75)
    assert summary.mean_latency_s == pytest.approx(20)
    assert summary.type_mean_latency_s == pytest.approx((20 + 20) / 2)
    assert summary.p50_s == pytest.approx(20)
    assert summary.p95_s == pytest.approx(29)
    assert summary.goodput == pytest.approx(3 / 100)
    assert summary.goodput_prompts == pytest.approx(6 / 100)
    assert summary.jain == pytest.approx(0.9)
    assert summary.fairness_norm == pytest.approx(0.8)
    assert summary.t_norm == pytest.approx(0.2)
    assert summary.objective == pytest.approx(0.5 * 0.2 + 0.5 * 0.2)
    assert summary.ends["expired"] == 1
    assert summary.ends["rejected"] == 0
    assert summary.conservation.ok


def test_request_weighted_and_type_averaged_means_differ_when_types_do() -> None:
    requests = [request(0, 10, "a"), request(0, 10, "a"), request(0, 10, "a"), request(0, 50, "b")]
    summary = summarise(run(requests))
    assert summary.mean_latency_s == pytest.approx(20)
    assert summary.type_mean_latency_s == pytest.approx(30)
    assert summary.objective_type == pytest.approx(0.5 * 0.3 + 0.0)


def test_no_success_means_no_latency_rather_than_zero() -> None:
    summary = summarise(run([request(0, 5, "a", outcome="expired"), request(0, 5, "b", outcome="rejected")]))
    assert summary.success_ratio == 0
    assert summary.goodput == 0
    for figure in (summary.mean_latency_s, summary.p50_s, summary.p99_s, summary.t_norm, summary.objective):
        assert figure is None
    assert summary.fairness_norm is None
    assert summary.per_model["a"].mean_latency_s is None


def test_what_is_still_in_the_system_arrived_and_was_not_served() -> None:
    inside = [request(1, 99, m, outcome="unfinished", service_s=None) for m in ("a", "b", "b")]
    summary = summarise(run([request(0, 10, "a"), *inside], deadline_s=None))
    assert (summary.arrived, summary.unfinished, summary.unnamed) == (4, 3, 0)
    assert summary.success_ratio == pytest.approx(1 / 4)
    assert [m.success_ratio for m in summary.per_model.values()] == pytest.approx([1 / 2, 0])
    assert summary.jain == pytest.approx(0.5)
    assert summary.mean_latency_s == pytest.approx(10)


def test_an_older_record_says_how_many_requests_are_in_no_figure() -> None:
    whole = run([request(0, 10)], version=2)
    books = replace(footer(whole.requests), arrived={"a": 4}, in_system={"a": 3})
    summary = summarise(replace(whole, footer=books))
    assert (summary.arrived, summary.unfinished, summary.unnamed) == (1, 0, 3)


def test_goodput_of_a_cut_run_is_over_the_time_it_ran() -> None:
    whole = run([request(0, 10), request(5, 10)])
    cut = replace(footer(whole.requests, t_s=20.0), interrupted=True)
    assert summarise(replace(whole, footer=cut)).goodput == pytest.approx(2 / 20)
    assert summarise(replace(whole, footer=None)).goodput == pytest.approx(2 / 15)
    assert summarise(whole).goodput == pytest.approx(2 / 100)


def test_an_empty_run_has_no_ratio_at_all() -> None:
    summary = summarise(run())
    assert summary.success_ratio is None
    assert summary.stutter_rate is None
    assert summary.per_model["a"].success_ratio is None


def test_latency_counts_from_the_intended_send_time() -> None:
    late = request(10, 5, sent_s=13.0, dispatched_s=13.5)
    assert latency_s(late) == pytest.approx(5)
    assert latency_s(request(0, 5, outcome="aborted")) is None


def test_tail_arrivals_are_not_counted_but_are_conserved() -> None:
    summary = summarise(run([request(0, 10), request(150, 40, counted=False)]))
    assert summary.arrived == 1
    assert summary.mean_latency_s == pytest.approx(10)
    assert summary.conservation.arrived == 2


def test_without_a_deadline_there_is_no_objective() -> None:
    summary = summarise(run([request(0, 10, "a"), request(0, 10, "b")], deadline_s=None))
    assert summary.t_norm is None
    assert summary.objective is None
    assert summary.goodput == pytest.approx(0.02)


def test_work_served_after_its_deadline_is_no_goodput() -> None:
    assert summarise(run([request(0, 101), request(0, 100)])).goodput == pytest.approx(0.01)


def test_stutter_is_a_share_of_the_dispatched() -> None:
    requests = [
        request(0, 1, stutter=True),
        request(0, 1),
        request(0, 1, outcome="rejected", dispatched_s=None, executor=None),
    ]
    assert summarise(run(requests)).stutter_rate == pytest.approx(0.5)


def test_time_of_a_model_splits_into_queue_service_and_transfer() -> None:
    model = summarise(run([request(0, 10, service_s=4.0, transfer_s=1.0)])).per_model["a"]
    assert (model.queue_mean_s, model.service_mean_s, model.transfer_mean_s) == (5.0, 4.0, 1.0)
    assert model.mean_latency_s == pytest.approx(10)


def test_control_calls_leave_out_the_router_and_the_tail() -> None:
    decisions = [
        decision(0, "planner", thinking_s=2.0),
        decision(0, "scheduler"),
        decision(0, "deployer:n1", changes=2),
        decision(0, "deployer:n2", changes=1, thinking_s=0.5),
        decision(1, "router"),
        decision(150, "deployer:n1", changes=9),
    ]
    summary = summarise(run([request(0, 1)], decisions))
    assert summary.control_calls == {"planner": 1, "scheduler": 1, "deployer": 2, "meta": 0}
    assert summary.control_calls_total == 4
    assert summary.reconfigurations == 3
    assert summary.thinking_s == pytest.approx(2.5)


def test_platform_overhead_is_what_the_side_data_say_of_each_request() -> None:
    side = {1: {"platform_overhead_s": 0.03}, 2: {"pid": 7}, 3: {"platform_overhead_s": 0.05}}
    assert platform_overheads_s(side) == pytest.approx([0.03, 0.05])
    assert summarise(run([request(0, 1)], side=side)).platform_overhead_s == pytest.approx(0.04)
    assert summarise(run([request(0, 1)])).platform_overhead_s is None


def test_a_summary_is_plain_json() -> None:
    data = json.loads(json.dumps(summarise(run([request(0, 10)])).to_json()))
    assert data["per_model"]["a"]["mean_latency_s"] == pytest.approx(10)
    assert data["per_model"]["b"]["mean_latency_s"] is None


def test_series_keeps_empty_bins_and_bins_by_intended_time() -> None:
    bins = latency_series(run([request(5, 50), request(9, 10, outcome="expired"), request(31, 2, "b")]))
    assert len(bins) == 10
    assert (bins[0].arrived, bins[0].done, bins[0].mean_latency_s) == (2, 1, pytest.approx(50))
    assert bins[0].success_ratio == pytest.approx(0.5)
    assert bins[1].mean_latency_s is None
    assert bins[1].success_ratio is None
    assert [b.done for b in latency_series(run([request(5, 50), request(31, 2, "b")]), 5, "b")] == [1, 0]
    with pytest.raises(ValueError, match="slots of a bin"):
        latency_series(run(), 0)


def test_the_header_of_a_summary_is_the_header_of_the_run() -> None:
    summary = summarise(run(scheme="MA", seed=7, world="live", speedup=10.0))
    assert (summary.scheme, summary.seed, summary.world, summary.speedup) == ("MA", 7, "live", 10.0)
    assert header().scheme == "sect"
