"""The pacer: real work takes `factor` times as long, whenever the factor changes, and can be stopped at any piece."""

from __future__ import annotations

import threading
from math import inf

import pytest

from serve_apps.engines.pacer import Pacer, Stopped
from serve_apps.wire.messages import Pace

pytestmark = pytest.mark.models


class Ticks:
    """A clock that only moves when told to, or when a pacer waits on `condition`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.late_s = 0.0
        """By how much every wait overshoots."""
        self.during: list[tuple[float, Pacer, Pace]] = []
        """(time, whom, what): news that arrives while somebody waits."""

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        due = inf if timeout is None else self.now + timeout
        if self.during and self.during[0][0] < due:
            at, pacer, pace = self.during.pop(0)
            self.now = at
            pacer._factors = pace.factors
            return True
        assert due < inf, "would wait for ever"
        self.now = due + self.late_s
        return False


def paced(ticks: Ticks) -> Pacer:
    pacer = Pacer(clock=ticks)
    pacer._changed.wait = ticks.wait  # type: ignore[method-assign]
    return pacer


def compute(pacer: Pacer, ticks: Ticks, pieces: list[float], coefficient: int = 0) -> float:
    began = ticks.now
    pacer.begin()
    for seconds in pieces:
        ticks.now += seconds
        pacer.lap(coefficient)
    pacer.settle()
    return ticks.now - began


@pytest.mark.parametrize("factor", [1.0, 1.25, 2.0, 5.0])
def test_service_takes_factor_times_the_computing(factor: float) -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(factor,)))
    assert compute(pacer, ticks, [0.5, 0.1, 0.2]) == pytest.approx(0.8 * factor)
    assert pacer.timing().service_s == pytest.approx(0.8 * factor)
    assert pacer.timing().prefill_s == pytest.approx(0.8)


def test_waits_that_overshoot_do_not_add_up() -> None:
    ticks = Ticks()
    ticks.late_s = 0.002
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(1.25,)))
    assert compute(pacer, ticks, [0.001] * 1000) == pytest.approx(1.25, abs=0.003)


def test_short_waits_are_saved_up_until_they_are_worth_a_sleep_and_none_is_forgotten() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    slept: list[float] = []
    pacer._changed.wait = lambda s: slept.append(s) or ticks.wait(s)  # type: ignore[method-assign,func-returns-value]
    pacer.set(Pace(mode="cpu", factors=(2.0,)))
    assert compute(pacer, ticks, [0.003] * 19) == pytest.approx(0.114)
    assert [round(s, 6) for s in slept] == [0.042, 0.015]
    pacer.begin()
    ticks.now += 0.003
    pacer.lap()
    pacer.set(
        Pace(mode="cpu", factors=(1.0,))
    )  # half of the last piece is left for the device, which is as fast as ever now
    pacer.settle()
    assert pacer.timing().service_s == pytest.approx(0.1185)


@pytest.mark.parametrize("factor", [1.25, 2.0, 5.0])
@pytest.mark.parametrize("piece_s", [0.001, 0.007, 0.03])
def test_what_a_piece_loses_to_the_wait_before_it_is_not_stretched(factor: float, piece_s: float) -> None:
    ticks, cold_s = Ticks(), 0.004
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(factor,)))
    pacer.begin()
    for _ in range(200):
        ticks.now += piece_s + (cold_s if pacer._ahead._slept else 0.0)
        pacer.lap()
    pacer.settle()
    assert ticks.now == pytest.approx(200 * piece_s * factor, abs=cold_s)


def test_a_wait_that_was_saved_up_ends_with_the_work() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(2.0,)))
    pacer.begin()
    ticks.now += 0.004
    pacer.lap()
    pacer.stop()
    with pytest.raises(Stopped):
        pacer.settle()


def test_input_and_output_have_factors_of_their_own() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(1.0, 3.0)))
    assert compute(pacer, ticks, [1.0], 0) == pytest.approx(1.0)
    assert compute(pacer, ticks, [1.0], 1) == pytest.approx(3.0)
    assert (pacer.timing().prefill_s, pacer.timing().decode_s) == pytest.approx((1.0, 1.0))


def test_a_factor_that_changes_during_a_wait_holds_for_the_rest_of_it() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(3.0,)))
    ticks.during = [(2.0, pacer, Pace(mode="cpu", factors=(2.0,)))]
    # computed for 1 s; by 2 s a third of it is left for the slower device, which does that at half speed
    assert compute(pacer, ticks, [1.0]) == pytest.approx(2.0 + 2 / 3)


def test_a_pause_holds_until_it_ends_and_then_owes_nothing() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(inf,)))
    ticks.during = [(9.0, pacer, Pace(mode="cpu", factors=(2.0,)))]
    assert compute(pacer, ticks, [1.0]) == pytest.approx(9.0)
    assert compute(pacer, ticks, [1.0]) == pytest.approx(2.0)


def test_a_factor_below_one_counts_as_one() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.set(Pace(mode="cpu", factors=(0.5,)))
    assert compute(pacer, ticks, [1.0, 1.0]) == pytest.approx(2.0)


def test_work_that_is_not_in_service_stops_at_its_next_piece_and_may_begin_again() -> None:
    ticks = Ticks()
    pacer = paced(ticks)
    pacer.begin()
    pacer.set(Pace(mode="cpu", factors=None))
    with pytest.raises(Stopped):
        pacer.lap()
    with pytest.raises(Stopped):
        pacer.begin()
    pacer.set(Pace(mode="cpu", factors=(1.0,)))
    pacer.begin()


def test_stopping_wakes_a_thread_that_waits() -> None:
    pacer = Pacer()
    pacer.set(Pace(mode="cpu", factors=(inf,)))
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        pacer.begin()
        begun.set()
        with pytest.raises(Stopped):
            pacer.lap()
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(20)
    pacer.stop()
    thread.join(20)
    assert ended.is_set()


def test_what_the_device_still_computes_is_waited_for_and_counted() -> None:
    ticks = Ticks()

    def finish() -> None:
        ticks.now += 0.4

    pacer = Pacer(clock=ticks, finish_queued=finish)
    pacer.begin()
    pacer.lap()
    assert pacer.timing().prefill_s == pytest.approx(0.4)
