"""Admission limits of the planner: they make J lower and cost nobody anything, or there are none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from controller.objective import Objective
from controller.planners.limits import YARDSTICK, Admission, LimitsConfig
from controller.planners.search import SearchConfig, SearchPlanner
from emulation.domain.actions import MacroPolicy
from emulation.domain.feasibility import policy_violations
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import load_scenario
from emulation.metrics.fairness import EpochResult
from emulation.rng import stream
from tests.build.limits import DEADLINE_S, Answers, World

POLICY = MacroPolicy(
    p={},
    roles={},
    admission_limit_s={"old": 3.0},
    limits_from={"old": ((1.0, 9.0),)},
    unrefused=frozenset({"older"}),
)
COMES = {"a": 1.0, "b": 4.0, "c": 8.0}
"""What is expected, prompts per second."""


def chosen(world: World, **config: object) -> tuple[Mapping[str, float], str]:
    policy, said = within(world, **config)
    return policy.admission_limit_s, said


def within(world: World, **config: object) -> tuple[MacroPolicy, str]:
    admission = Admission(LimitsConfig.model_validate(config), DEADLINE_S, keep_gain=0.03)
    return admission.within(POLICY, COMES, world.forecast)


def test_a_model_that_loses_nothing_gets_no_limit_and_a_light_load_none_at_all() -> None:
    light = World({"a": 0.5, "b": 0.9}, {"a": 1.0, "b": 1.0})
    assert chosen(light)[0] == {}
    assert len(light.asked) == 1, "what nobody needs is not looked for"
    mixed = World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.4})
    assert set(chosen(mixed)[0]) == {"b"}


@pytest.mark.parametrize("seed", range(30))
def test_no_limit_costs_a_model_success_or_goodput_against_the_yardstick(seed: int) -> None:
    draws = stream(seed, "limits")
    load = {m: float(draws.uniform(0.5, 3.0)) for m in ("a", "b", "c")}
    bar = {m: float(draws.uniform(0.1, 1.0)) / max(load[m], 1.0) for m in load}
    world = World(load, bar)
    limits, _ = chosen(world)
    if not limits:
        return
    under, free = world.of(limits), world.of({})
    assert under.objective < free.objective
    for m in limits:
        assert under.success[m] >= bar[m]
        assert under.prompts[m] >= 100.0 * bar[m]


def test_the_same_world_with_a_stricter_yardstick_has_looser_limits() -> None:
    found = [chosen(World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": bar}))[0]["b"] for bar in (0.2, 0.5, 0.58)]
    assert found == sorted(found)
    assert found[0] < found[-1]
    assert chosen(World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.7}))[0] == {}


def test_where_no_limit_passes_nothing_is_refused_of_a_model_that_its_deadlines_put_below_the_yardstick() -> (
    None
):
    load, bar = {"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.6}
    policy, said = within(World(load, bar, caution={"b": 0.3}))
    assert (policy.admission_limit_s, policy.unrefused) == ({}, {"b"})
    assert "nothing of b is refused" in said
    without, _ = within(World(load, bar))
    assert (without.admission_limit_s, without.unrefused) == ({}, frozenset())


def test_a_model_that_would_lack_as_much_without_refusals_keeps_its_deadlines() -> None:
    world = World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.9})
    policy, said = within(world)
    assert policy.unrefused == frozenset()
    assert "nothing of b would not help" in said
    assert world.asked[-1][0].unrefused == {"b"}


def test_what_opening_one_model_costs_another_is_looked_at_too() -> None:
    shares = {
        frozenset[str](): (0.9, 0.4),
        frozenset({"b"}): (0.5, 0.6),
        frozenset({"a", "b"}): (0.8, 0.55),
    }

    def forecast(policy: MacroPolicy, scheme: str | None, share: float, draw: int) -> EpochResult:
        a, b = (0.9, 0.6) if scheme or policy.admission_limit_s else shares[policy.unrefused]
        return EpochResult({"a": a, "b": b}, {}, 0.5, 1.0, 0.5, {"a": 100 * a, "b": 100 * b})

    policy, _ = Admission(LimitsConfig(), DEADLINE_S, keep_gain=0.03).within(POLICY, COMES, forecast)
    assert (policy.admission_limit_s, policy.unrefused) == ({}, {"a", "b"})


def test_it_is_the_yardstick_that_is_emulated_and_always_without_limits() -> None:
    world = World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.4})
    chosen(world)
    shares = [share for _, scheme, share in world.asked if scheme == YARDSTICK]
    assert shares[0] == 1.0, "first under what is expected, and once each under less"
    assert len(set(shares)) == len(shares)
    assert all(not p.admission_limit_s for p, scheme, _ in world.asked if scheme == YARDSTICK)
    assert world.asked[0][0].admission_limit_s == {}


def test_less_demand_has_looser_limits_and_none_where_the_yardstick_serves_all() -> None:
    """By the yardstick all of `b` is served up to 0.4 of what is expected: no limit may refuse any of it there."""
    world = World({"a": 0.5, "b": 2.0}, {"a": 1.0, "b": 0.4}, bursts=0.6)
    policy, _ = within(world, shares=20)
    assert policy.limits_from.keys() == policy.admission_limit_s.keys() == {"b"}
    steps = policy.limits_from["b"]
    assert steps[-1] == (COMES["b"], policy.admission_limit_s["b"])
    assert [at for at, _ in steps] == sorted({at for at, _ in steps})
    limits = [limit_s for _, limit_s in steps]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > limits[-1]
    assert 0.4 < steps[0][0] / COMES["b"] < 0.8
    for at, limit_s in steps:
        share = at / COMES["b"]
        ours, least = world.of({"b": limit_s}, share=share), world.of({}, YARDSTICK, share=share)
        assert all(ours.success[m] >= least.success[m] for m in least.success)


def test_demands_between_two_with_the_same_limits_are_not_looked_at() -> None:
    world = World({"a": 0.5, "b": 4.0}, {"a": 1.0, "b": 0.2})
    policy, _ = within(world, shares=16)
    steps = policy.limits_from["b"]
    assert steps[0][0] < 0.4 * steps[-1][0]
    assert len({share for *_, share in world.asked}) < 8, "of 16"


def test_where_the_loosest_limit_costs_somebody_something_no_tighter_one_is_looked_at() -> None:
    world = World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.61})
    assert chosen(world)[0] == {}
    assert [len(policy.admission_limit_s) for policy, *_ in world.asked].count(1) == 1


def test_where_nobody_can_have_more_than_by_the_yardstick_no_limit_is_looked_at() -> None:
    world = World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.98})
    assert chosen(world)[0] == {}
    assert not any(policy.admission_limit_s for policy, *_ in world.asked)


def drawn(world: World) -> list[tuple[bool, bool, int]]:
    """What is asked about, with two draws: by the yardstick, under limits, and which draw."""
    asked: list[tuple[bool, bool, int]] = []

    def forecast(policy: MacroPolicy, scheme: str | None, share: float, draw: int) -> EpochResult:
        asked.append((scheme == YARDSTICK, bool(policy.admission_limit_s), draw))
        return world.forecast(policy, scheme, share)

    Admission(LimitsConfig(shares=1), DEADLINE_S, keep_gain=0.03, draws=2).within(POLICY, COMES, forecast)
    return asked


def test_a_draw_that_loses_nothing_is_not_drawn_again() -> None:
    assert drawn(World({"a": 0.5}, {"a": 1.0})) == [(False, False, 0)]


@pytest.mark.parametrize(("bar", "draws"), [(0.7, {0}), (0.4, {0}), (0.5, {0, 1})])
def test_a_limit_that_clearly_costs_somebody_something_or_nobody_is_not_drawn_again(
    bar: float, draws: set[int]
) -> None:
    asked = drawn(World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": bar}))
    assert {draw for _, limited, draw in asked if limited} == draws
    assert [draw for yardstick, _, draw in asked if yardstick] == [0, 1]


def test_the_limit_found_last_is_looked_at_first() -> None:
    world = World({"a": 0.5, "b": 1.6}, {"a": 1.0, "b": 0.5})
    admission = Admission(LimitsConfig(shares=1), DEADLINE_S, keep_gain=0.03)
    found, before = admission.within(POLICY, COMES, world.forecast)[0].admission_limit_s, len(world.asked)
    assert admission.within(POLICY, COMES, world.forecast)[0].admission_limit_s == found
    tried = [policy.admission_limit_s for policy, *_ in world.asked[before:] if policy.admission_limit_s]
    assert tried[0] == found
    assert len(tried) < len([policy for policy, *_ in world.asked[:before] if policy.admission_limit_s])


def test_asked_for_one_demand_alone_limits_are_in_force_whatever_comes() -> None:
    world = World({"a": 0.5, "b": 2.0}, {"a": 1.0, "b": 0.4})
    policy, _ = within(world, shares=1)
    assert policy.admission_limit_s
    assert policy.limits_from == {}
    assert {share for _, _, share in world.asked} == {1.0}


BRISTOL = load_scenario("bristol-A")


def planned(world: World | None, **config: object) -> tuple[MacroPolicy, str]:
    config = {"shortlist": 0, "starts": 1, **config}
    planner = SearchPlanner(
        BRISTOL.testbed, SearchConfig.model_validate(config), 0, Objective.of(BRISTOL), Answers(world)
    )
    choice = planner.decide(ClusterSnapshot(0.0, 0, ()))
    return choice.command, choice.reason


def test_the_planner_puts_its_limits_into_the_policy_and_says_why() -> None:
    load = {"gpt2": 0.5, "gpt2-large": 0.5, "blip": 0.5, "sd": 1.8}
    world = World(load, {m: 1.0 if load[m] < 1 else 0.4 for m in load})
    policy, reason = planned(world, limits={})
    assert set(policy.admission_limit_s) == {"sd"}
    assert policy_violations(BRISTOL.testbed, policy) == []
    assert "limits sd" in reason
    prior = 4.0 * len(BRISTOL.testbed.nodes) / BRISTOL.slot_s
    assert policy.limits_from["sd"][-1] == (pytest.approx(prior, rel=0.1), policy.admission_limit_s["sd"])
    assert planned(world)[0].admission_limit_s == {}, "none unless they are asked for"


def test_of_a_model_that_loses_by_them_the_planner_takes_back_even_the_refusals_for_deadlines() -> None:
    load = {"gpt2": 0.5, "gpt2-large": 0.5, "blip": 0.5, "sd": 1.8}
    world = World(load, {m: 1.0 if load[m] < 1 else 0.53 for m in load}, caution={"sd": 0.3})
    policy, reason = planned(world, limits={})
    assert policy.unrefused == {"sd"}
    assert policy_violations(BRISTOL.testbed, policy) == []
    assert "nothing of sd is refused" in reason


def test_without_an_answer_there_are_no_limits() -> None:
    policy, reason = planned(None, limits={})
    assert policy.admission_limit_s == {}
    assert "nobody is there" in reason
