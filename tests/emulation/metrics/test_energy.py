"""Energy and cost of small records whose figures can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from emulation.domain.cluster import TestbedConfig
from emulation.domain.power import Electricity, NodePrice, PowerEntry, Prices
from emulation.domain.sharing import GpuSpec
from emulation.metrics.energy import Energy, energy_of
from emulation.metrics.energy_figures import energy_figures
from emulation.metrics.summary import summarise
from emulation.recording import Run
from tests.build.fakes import pod_testbed
from tests.build.records import event, request, run, served, state

END_S = 200.0
"""When the runs of `tests.build.records` close."""


def watts(mode: str, value: float, node: str | None = None) -> PowerEntry:
    """An estimate."""
    return PowerEntry.model_validate(
        {"mode": mode, "watts": value, "node": node, "tier": "estimate", "source": "test"}
    )


def bed(*entries: PowerEntry, gpu: GpuSpec | None = None, prices: Prices | None = None) -> TestbedConfig:
    """One node `n`; without entries 10 W idle, 40 W with all cores at work, 110 W with its GPU at work."""
    plain = pod_testbed()
    nodes = plain.nodes if gpu is None else (plain.nodes[0].model_copy(update={"gpus": (gpu,)}),)
    power = entries or (watts("idle", 10.0), watts("cpu", 40.0), watts("gpu", 110.0))
    fields = {**plain.model_dump(), "nodes": [n.model_dump() for n in nodes]}
    fields |= {"power": [e.model_dump() for e in power], "prices": prices and prices.model_dump()}
    return TestbedConfig.model_validate(fields)


def energy(run: Run, testbed: TestbedConfig | None = None) -> Energy:
    """Its energy, which must be given."""
    found = energy_of(run, testbed or bed())
    assert found is not None
    return found


def on_gpu(start_s: float, service_s: float, model: str = "a", **more: Any) -> Any:
    """Served on the GPU of `n`."""
    return served(start_s, service_s, "n", model, **more)


def on_cpu(start_s: float, service_s: float, model: str = "a") -> Any:
    """Served on the cores of `n`."""
    return served(start_s, service_s, "n", model, mode="cpu")


def test_an_idle_run_costs_idle_power_times_time() -> None:
    found = energy(run())
    assert found.idle_j == found.total_j == 10.0 * END_S


def test_one_request_alone_has_the_whole_difference_to_busy() -> None:
    found = energy(run([on_gpu(5.0, 3.0)]))
    assert found.requests_j == (pytest.approx(300.0),)
    assert found.total_j == pytest.approx(300.0 + 10.0 * END_S)


def test_two_on_one_gpu_have_half_of_it_each_and_the_gpu_draws_no_more() -> None:
    both = energy(run([on_gpu(0.0, 4.0, "a"), on_gpu(2.0, 4.0, "b")]))
    assert both.requests_j == (pytest.approx(200.0 + 100.0), pytest.approx(100.0 + 200.0))


def test_a_static_slice_has_its_part_whoever_else_is_there() -> None:
    found = energy(run([on_gpu(0.0, 4.0)]), bed(gpu=GpuSpec(slices=4, sharing="static")))
    assert found.requests_j == (pytest.approx(100.0),)


def test_cores_are_split_over_the_executors_that_hold_a_place_busy_or_not() -> None:
    up = [
        state(0.0, "n/a", "ready", "cpu"),
        state(0.0, "n/b", "ready", "cpu"),
        state(12.0, "n/b", "off", "off"),
    ]
    found = energy(run([on_cpu(10.0, 4.0)], executors=up))
    assert found.requests_j == (pytest.approx(2 * 15.0 + 2 * 30.0),)


def test_a_batch_shares_what_its_executor_has() -> None:
    found = energy(run([on_gpu(0.0, 4.0), on_gpu(0.0, 2.0)]))
    assert found.requests_j == (pytest.approx(100.0 + 200.0), pytest.approx(100.0))


def test_a_request_that_expired_in_service_drew_what_it_drew() -> None:
    vain = on_gpu(0.0, 5.0, outcome="expired")
    figures = energy_figures(run([vain, on_gpu(10.0, 5.0)]), bed())
    assert figures is not None
    assert figures.energy_request_j == pytest.approx(1000.0)  # of the one that was served


def test_one_that_never_came_into_service_drew_nothing() -> None:
    lost = request(0.0, 5.0, outcome="expired", started_s=None, service_s=None, executor="n/a", mode=None)
    assert energy(run([lost])).requests_j == (0.0,)


def test_of_several_attempts_the_last_counts_where_the_record_tells_how_long_it_was() -> None:
    moved = on_gpu(0.0, 9.0, attempt=2, turn_s=2.0)
    unknown = on_gpu(20.0, 9.0, attempt=2, outcome="expired", turn_s=None)
    assert energy(run([moved, unknown])).requests_j == (pytest.approx(200.0), 0.0)


# -- work that stands still


def paused(since_s: float, until_s: float, target: str = "n", index: int = 0) -> list[Any]:
    """A pause begins and is undone."""
    return [event(since_s, "onset", index, "pause", target), event(until_s, "undo", index, "pause", target)]


@pytest.mark.parametrize("target", ["n", "n/a"])
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_request_caught_by_a_pause_draws_for_the_time_it_was_at_work(target: str, attempt: int) -> None:
    caught = on_gpu(19.0, 42.0, attempt=attempt, turn_s=2.0)
    assert energy(run([caught], events=paused(20.0, 60.0, target))).requests_j == (pytest.approx(200.0),)


def test_what_a_pause_does_not_hit_draws_on() -> None:
    others = [*paused(20.0, 60.0, "n/b"), *paused(20.0, 60.0, "m", 1)]
    assert energy(run([on_gpu(19.0, 42.0)], events=others)).requests_j == (pytest.approx(4200.0),)


@pytest.mark.parametrize("attempt", [1, 2])
def test_pauses_that_overlap_stop_it_once(attempt: int) -> None:
    several = [*paused(20.0, 40.0), *paused(30.0, 50.0, "n/a", 1), *paused(55.0, 56.0, index=2)]
    caught = on_gpu(19.0, 42.0, attempt=attempt, turn_s=11.0)
    assert energy(run([caught], events=several)).requests_j == (pytest.approx(1100.0),)


@pytest.mark.parametrize(
    ("outcome", "service_s"), [("expired", 12.0), ("aborted", 12.0), ("unfinished", None)]
)
def test_what_ends_unserved_in_a_pause_drew_until_that_began(outcome: Any, service_s: float | None) -> None:
    vain = replace(on_gpu(18.0, 12.0), outcome=outcome, service_s=service_s)
    assert energy(run([vain], events=paused(20.0, 60.0)[:1])).requests_j == (pytest.approx(200.0),)


def test_a_pause_that_never_landed_stops_nothing_though_its_undo_did() -> None:
    """Live, a missed onset leaves no line; the undo is played all the same."""
    missed = energy(run([on_gpu(19.0, 42.0)], events=paused(20.0, 60.0)[1:]))
    assert missed.requests_j == energy(run([on_gpu(19.0, 42.0)])).requests_j
    assert missed.requests_j != (0.0,)


def test_a_pause_that_began_in_an_earlier_segment_lasts_until_it_is_undone() -> None:
    own = energy(run([on_gpu(19.0, 42.0)], events=paused(20.0, 60.0)[1:], side={0: {"begin_s": 30.0}}))
    assert own.requests_j == (pytest.approx(100.0),)


def test_what_stands_still_leaves_the_gpu_to_the_others() -> None:
    both = energy(run([on_gpu(0.0, 4.0, "a"), on_gpu(0.0, 4.0, "b")], events=paused(1.0, 3.0, "n/a")))
    assert both.requests_j == (pytest.approx(100.0), pytest.approx(300.0))


def test_a_node_that_drains_is_there_while_its_work_stands_still() -> None:
    away = [event(20.0, "onset", 1, "drain", "n"), event(50.0, "undo", 1, "drain", "n")]
    found = energy(run([on_gpu(15.0, 10.0)], events=[*paused(18.0, 23.0), *away]))
    assert found.nodes["n"].present_s == pytest.approx(END_S - 25.0)
    assert found.requests_j == (pytest.approx(500.0),)


# -- nodes that leave


@pytest.mark.parametrize("kind", ["leave", "drain", "node_kill"])
def test_a_node_that_has_left_draws_nothing(kind: str) -> None:
    away = [event(20.0, "onset", 0, kind, "n"), event(50.0, "undo", 0, kind, "n")]
    assert energy(run(events=away)).nodes["n"].present_s == pytest.approx(END_S - 30.0)


def test_a_node_is_back_when_no_event_keeps_it_away() -> None:
    away = [
        event(20.0, "onset", 0, "leave", "n"), event(30.0, "onset", 1, "leave", "n"),
        event(50.0, "undo", 0, "leave", "n"), event(60.0, "undo", 1, "leave", "n"),
    ]  # fmt: skip
    assert energy(run(events=away)).nodes["n"].present_s == pytest.approx(END_S - 40.0)


def test_a_node_that_drains_is_there_until_its_work_is_done() -> None:
    away = [event(20.0, "onset", 0, "drain", "n"), event(50.0, "undo", 0, "drain", "n")]
    assert energy(run([on_gpu(15.0, 10.0)], events=away)).nodes["n"].present_s == pytest.approx(END_S - 25.0)


def test_a_segment_counts_from_its_begin() -> None:
    assert energy(run(side={0: {"begin_s": 150.0}})).idle_j == pytest.approx(500.0)


# -- what is not given


def test_a_testbed_without_watts_has_no_energy_rather_than_none() -> None:
    summary = summarise(run([on_gpu(0.0, 1.0)]), pod_testbed())
    assert summary.energy is None
    assert summary.energy_wh is summary.energy_request_j is summary.cost is None


def test_a_mode_in_use_without_watts_is_named_and_no_energy_given() -> None:
    figures = energy_figures(run([on_cpu(0.0, 1.0)]), bed(watts("idle", 10.0), watts("gpu", 50.0)))
    assert figures is not None
    assert figures.missing == ("cpu of n",)
    assert figures.energy_wh is figures.energy_request_j is None


def test_a_mode_that_is_not_in_use_need_not_be_given() -> None:
    figures = energy_figures(run([on_gpu(0.0, 1.0)]), bed(watts("idle", 10.0), watts("gpu", 50.0)))
    assert figures is not None
    assert figures.missing == ()
    assert figures.energy_request_j == pytest.approx(40.0)


# -- cost


def prices(per_hour: float | None, per_kwh: float | None, includes_energy: bool = True) -> Prices:
    """Of node `n`."""
    stated: dict[str, Any] = {"tier": "vendor", "source": "a price list"}
    node = (
        None if per_hour is None else NodePrice(per_hour=per_hour, includes_energy=includes_energy, **stated)
    )
    return Prices(
        currency="EUR",
        nodes=() if node is None else (node,),
        electricity=None if per_kwh is None else Electricity(per_kwh=per_kwh, **stated),
    )


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        (prices(3.6, None), 0.2),
        (prices(3.6, 9.0), 0.2),
        (prices(None, 3600.0), 2.0),
        (prices(3.6, 3600.0, includes_energy=False), 2.2),
        (prices(None, None), None),
        (prices(3.6, None, includes_energy=False), None),
    ],
)
def test_cost_is_price_times_hours_and_electricity_where_it_is_paid_besides(
    given: Prices, cost: float | None
) -> None:
    """200 s idle at 10 W: 2 kJ."""
    figures = energy_figures(run(), bed(prices=given))
    assert figures is not None
    assert figures.cost == (None if cost is None else pytest.approx(cost))
    assert figures.currency == "EUR"


def test_a_rented_node_has_a_cost_without_watts() -> None:
    fields = pod_testbed().model_dump() | {"prices": prices(3.6, None).model_dump()}
    figures = energy_figures(run([on_gpu(0.0, 1.0)]), TestbedConfig.model_validate(fields))
    assert figures is not None
    assert figures.cost == pytest.approx(0.2)
    assert figures.energy_wh is None


# -- what a testbed may state


def test_an_entry_of_a_node_counts_before_the_one_for_all() -> None:
    assert bed(watts("idle", 10.0), watts("idle", 7.0, "n")).watts()["n"].idle == 7.0


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((watts("idle", 10.0), watts("idle", 11.0)), "watts of 'idle of every node' is there twice"),
        ((watts("idle", 10.0, "x"),), "power names unknown node 'x'"),
        ((watts("idle", 50.0), watts("gpu", 20.0)), "at least its idle 50 W, not 20 W"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(entries: tuple[PowerEntry, ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        bed(*entries)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_watts_are_finite_and_not_negative(value: float) -> None:
    with pytest.raises(ValidationError, match="must be a number from 0"):
        watts("idle", value)
