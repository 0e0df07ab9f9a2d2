"""Predictive admission: what is refused would have been late, what is held is told a moment that suits it."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt

import pytest

from controller.admission import LEAST_LOOK_S, latency_sd_s
from controller.fast_path import FastPath
from edgebed.check.worlds import WORLDS, Driver, completion, pods, ready, request
from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.request import Request
from emulation.rng import stream
from tests.build.fast_path import build_fast_path

ROUTERS = ("sect", "explore_risk")


def path(
    router: str = "sect",
    limits: dict[str, float] | None = None,
    router_params: dict[str, object] | None = None,
    **params: object,
) -> FastPath:
    made = ready(build_fast_path(pods(), router, router_params, params={"in_time": 0.9, **params}))
    made.policy(MacroPolicy(p={}, roles={}, admission_limit_s=limits or {}))
    return made


def filled(made: FastPath, seed: int, count: int, at_s: float = 0.0) -> FastPath:
    """Random work on random executors."""
    draws = stream(seed, "admission")
    for i in range(count):
        model = ("gpt2", "sd")[int(draws.integers(2))]
        where = f"gpu{int(draws.integers(3))}/{model}"
        sent = request(model, 1000 + i, at_s=at_s, prompts=int(draws.integers(1, 9)))
        made.dispatched(sent, RoutingDecision(where, "route", "test"), at_s)
    return made


def again(wanted: Request, at_s: float) -> Request:
    """The same, of somebody who asks at another time."""
    return replace(wanted, id=f"{wanted.id}+", arrival_s=at_s, deadline_s=at_s + 900.0)


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("world", sorted(WORLDS))
def test_nothing_is_refused_or_moved_where_everything_ends_in_time(router: str, world: str) -> None:
    testbed = WORLDS[world]()
    plain = ready(build_fast_path(testbed, router))
    guarded = ready(build_fast_path(testbed, router, params={"in_time": 0.99, "defer_s": 100.0}))
    guarded.policy(MacroPolicy(p={}, roles={}, admission_limit_s={m.id: 1e7 for m in testbed.models}))

    def decided(made: FastPath) -> list[RoutingDecision]:
        found = []
        for wanted, _ in Driver(made, testbed, seed=3).steps(60):
            endless = replace(wanted, deadline_s=inf)
            found.append(made.route(endless, wanted.arrival_s))
        return found

    assert decided(guarded) == decided(plain)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("in_time", [0.9, None])
def test_who_comes_again_when_he_was_told_to_is_taken(seed: int, router: str, in_time: float | None) -> None:
    limits = {"gpt2": 40.0, "sd": 120.0}
    made = filled(path(router, limits, in_time=in_time), seed, 60)
    told = 0
    for i, model in enumerate(("gpt2", "sd") * 4):
        wanted = request(model, i, prompts=1 + i % 3)
        decision = made.route(wanted, 0.0)
        if decision.action == "route":
            continue
        told += 1
        assert decision.action == "reject"
        assert decision.executor is None
        assert decision.again_s is not None
        assert decision.again_s >= LEAST_LOOK_S
        soon = made.route(again(wanted, decision.again_s - 1.0), decision.again_s - 1.0)
        there = made.route(again(wanted, decision.again_s), decision.again_s)
        if not _overrun(made, model, decision.again_s):
            assert there.action == "route", there.reason
            assert decision.again_s <= LEAST_LOOK_S or soon.action == "reject"
    assert told, "these queues are too short to refuse anybody"


def _overrun(made: FastPath, model: str, at_s: float) -> bool:
    """Whether a head of the model would have been served longer than predicted by then, which moves no prediction."""
    return any(
        b.backlog.entries and b.backlog.free_at_s - at_s < b.backlog.floor_s
        for b in made.view.beliefs.values()
        if b.name.endswith(f"/{model}")
    )


@pytest.mark.parametrize("in_time", [0.9, None])
def test_what_no_idle_executor_could_do_in_time_is_refused_without_a_time_to_come_again(
    in_time: float | None,
) -> None:
    wanted = request("sd", prompts=8)
    refused = path(limits={"sd": 20.0}, defer_s=500.0, in_time=in_time).route(wanted, 0.0)
    assert (refused.action, refused.again_s) == ("reject", None)


def test_a_request_that_its_deadline_leaves_too_little_time_is_refused_without_any_limit() -> None:
    made = filled(path(), 1, 20)
    wanted = request("sd", prompts=4)
    assert made.route(wanted, 0.0).action == "route"
    late = made.route(wanted, 880.0)
    assert late.action == "reject"
    assert "to its deadline" in late.reason


def test_nothing_is_refused_or_held_of_a_model_for_which_the_policy_says_so() -> None:
    made = filled(path("sect", {"gpt2": 0.001}, defer_s=100.0), 1, 60)
    wanted = [request(m, i, prompts=4) for i, m in enumerate(("gpt2", "sd"))]
    late = [replace(w, deadline_s=10.0) for w in wanted]
    assert [made.route(w, 0.0).action for w in late] == ["reject", "reject"]
    made.policy(MacroPolicy(p={}, roles={}, unrefused=frozenset({"sd"})))
    gpt2, sd = (made.route(w, 0.0) for w in late)
    assert (gpt2.action, sd.action) == ("reject", "route")
    assert sd == filled(path(in_time=None), 1, 60).route(late[1], 0.0), "as if there were no admission"
    made.policy(MacroPolicy(p={}, roles={}))
    assert made.route(late[1], 0.0).action == "reject", "until the next policy"


@pytest.mark.parametrize("seed", range(5))
def test_a_higher_quantile_never_takes_what_a_lower_one_refuses(seed: int) -> None:
    taken = []
    for in_time in (0.5, 0.8, 0.95):
        made = filled(path(limits={"gpt2": 30.0, "sd": 200.0}, in_time=in_time), seed, 40)
        asked = [request(m, i, prompts=1 + i % 8) for i, m in enumerate(("gpt2", "sd") * 10)]
        taken.append({r.id for r in asked if made.route(r, 0.0).action == "route"})
    assert taken[0] >= taken[1] >= taken[2]
    assert taken[0] > taken[2]


def test_it_goes_where_it_is_in_time_if_the_router_would_send_it_elsewhere() -> None:
    made = path("explore_risk", {"sd": 60.0}, {"courtesy": 10.0, "explore": 0.0})
    for i in (1, 2):
        made.dispatched(request("sd", i, prompts=2), RoutingDecision(f"gpu{i}/sd", "route", "test"), 0.0)
    for _ in range(12):  # gpu0 has become six times as slow
        done = request("sd", 500)
        made.dispatched(done, RoutingDecision("gpu0/sd", "route", "test"), 0.0)
        made.completed(completion(done, "gpu0/sd", 0.0, 66.0))
    decision = made.route(request("sd", 9), 0.0)
    assert decision.executor in ("gpu1/sd", "gpu2/sd")
    assert decision.reason == "in time there, but not at gpu0/sd"


@pytest.mark.parametrize(("defer_s", "ends"), [(0.0, "reject"), (5.0, "reject"), (1000.0, "route")])
def test_it_is_held_until_the_moment_that_suits_it_unless_that_is_too_long(defer_s: float, ends: str) -> None:
    made = path(limits={"sd": 60.0}, defer_s=defer_s)
    for i in range(3):
        sent = request("sd", 100 + i, prompts=8)
        made.dispatched(sent, RoutingDecision(f"gpu{i}/sd", "route", "test"), 0.0)
    wanted, now_s = request("sd", prompts=2), 0.0
    decision = made.route(wanted, now_s)
    assert decision.action == ("hold" if ends == "route" else "reject")
    while decision.action == "hold":
        assert decision.again_s is not None
        now_s += decision.again_s
        assert now_s - wanted.arrival_s <= defer_s
        decision = made.route(wanted, now_s)
    assert decision.action == ends


def test_who_is_held_where_nothing_ever_ends_is_refused_when_he_may_wait_no_longer() -> None:
    made = filled(path(limits={"sd": 90.0}, defer_s=300.0), 4, 60)
    wanted, now_s = request("sd", prompts=2), 0.0
    decision = made.route(wanted, now_s)
    while decision.action == "hold":
        assert decision.again_s is not None
        now_s += decision.again_s
        decision = made.route(wanted, now_s)
    assert decision.action == "reject"
    assert now_s <= 300.0


@pytest.mark.parametrize("queued", [1, 4])
def test_the_deviation_of_a_wait_is_that_of_its_parts(queued: int) -> None:
    made = path(in_time=0.9)
    for i in range(queued):
        made.dispatched(request("sd", i, prompts=2), RoutingDecision("gpu0/sd", "route", "test"), 0.0)
    made.route(request("sd", 99, prompts=2), 0.0)
    pool = made.view.pools["sd"]
    column = pool.names.index("gpu0/sd")
    common = pool.epistemic_s(column)
    own = sqrt(pool.sigma_s(column) ** 2 - common**2)
    expected = sqrt(own**2 * (1 + queued) + (common * (1 + queued)) ** 2)
    assert latency_sd_s(pool, column, queued) == pytest.approx(expected)
    assert common > 0


def test_a_guide_puts_another_limit_or_none_in_the_place_of_the_policys_whichever_is_heard_first() -> None:
    made = path(limits={"sd": 0.001, "gpt2": 5.0})
    made.guide(RouteGuide(admission_limit_s={"sd": None, "gpt2": 9.0}))
    assert made.limits_s() == {"gpt2": 9.0}
    assert made.route(request("sd"), 0.0).action == "route"
    made.policy(MacroPolicy(p={}, roles={}, admission_limit_s={"sd": 0.002}))
    assert made.limits_s() == {}, "nor of another policy, until a guide says otherwise"
    made.guide(RouteGuide())
    assert made.limits_s() == {"sd": 0.002}
    assert made.route(request("sd"), 0.0).action == "reject"
