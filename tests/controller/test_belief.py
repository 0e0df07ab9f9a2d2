"""What deciders learn of speeds: from finished work only, each request once, nothing where nothing was seen."""

from __future__ import annotations

import pickle
from math import exp, log

import pytest

from controller.belief import BeliefConfig, ServiceBelief
from edgebed.check.worlds import batched
from emulation.domain.cluster import Mode
from emulation.domain.sharing import Batching
from emulation.domain.snapshot import Window, WorkStats
from emulation.files import load_testbed

BED = load_testbed("bristol-a")
LAW: tuple[str, str, Mode] = ("VM3", "sd", "gpu")
OTHER: tuple[str, str, Mode] = ("VM4", "sd", "gpu")


def window(requests: int, prompts: float, work_s: float, since_s: float = 0.0) -> Window:
    return Window(since_s=since_s, work={LAW: WorkStats(requests, (prompts,), work_s)})


def test_much_work_at_twice_the_profile_is_believed_and_says_nothing_of_other_places() -> None:
    belief = ServiceBelief(BED)
    assert belief.learn(window(200, 1000.0, 2 * 11.0 * 1000.0))
    assert belief.factor(LAW) == pytest.approx(2.0, rel=0.01)
    assert belief.factor(OTHER) == 1.0
    spread = {law: log(belief.factor(law) / belief.factor(law, optimism=1.0)) for law in (LAW, OTHER)}
    assert spread[LAW] < 0.05 < spread[OTHER]
    learned = belief.testbed()
    assert learned.theta("VM3", "sd", "gpu") == pytest.approx((22.0,), rel=0.01)
    assert learned.theta("VM4", "sd", "gpu") == BED.theta("VM4", "sd", "gpu")


def test_what_is_learned_of_speeds_changes_nothing_of_batches() -> None:
    assert ServiceBelief(batched()).testbed().batching("gpu0", "gpt2", "gpu") == Batching(width=4, cost=0.25)


def test_one_slow_request_moves_a_belief_less_than_all_the_way() -> None:
    belief = ServiceBelief(BED)
    belief.learn(window(1, 4.0, 3 * 44.0))
    assert 1.2 < belief.factor(LAW) < 2.9


def test_telling_the_same_twice_counts_once_and_a_new_window_counts_anew() -> None:
    once, twice = ServiceBelief(BED), ServiceBelief(BED)
    once.learn(window(3, 12.0, 264.0))
    for _ in range(5):
        twice.learn(window(3, 12.0, 264.0))
    assert twice.factor(LAW) == once.factor(LAW)
    twice.learn(window(3, 12.0, 264.0, since_s=1500.0))
    assert twice.factor(LAW) > once.factor(LAW)


def test_a_growing_window_teaches_as_much_as_its_parts() -> None:
    whole, parts = ServiceBelief(BED), ServiceBelief(BED)
    whole.learn(window(10, 40.0, 800.0))
    for share in (0.2, 0.5, 1.0):
        parts.learn(window(round(10 * share), 40.0 * share, 800.0 * share))
    assert parts.factor(LAW) == pytest.approx(whole.factor(LAW))


def test_a_speed_that_changes_is_followed() -> None:
    belief = ServiceBelief(BED)
    for epoch in range(4):
        belief.learn(window(500, 2000.0, 22_000.0, since_s=epoch * 1500.0))
    for epoch in range(4, 14):
        belief.learn(window(500, 2000.0, 66_000.0, since_s=epoch * 1500.0))
    assert belief.factor(LAW) == pytest.approx(3.0, rel=0.05)


def test_optimism_takes_the_unknown_for_fast_and_the_known_for_known() -> None:
    belief = ServiceBelief(BED, BeliefConfig(prior_sigma=0.5))
    belief.learn(window(500, 2000.0, 22_000.0))
    assert belief.factor(OTHER, optimism=1.0) == pytest.approx(exp(-0.5))
    assert belief.factor(LAW, optimism=1.0) > 0.95


def test_a_belief_travels_with_what_it_knows() -> None:
    belief = ServiceBelief(BED)
    belief.learn(window(50, 200.0, 4400.0))
    twin = pickle.loads(pickle.dumps(belief))
    assert twin.factor(LAW) == belief.factor(LAW)
    assert not twin.learn(window(50, 200.0, 4400.0))
