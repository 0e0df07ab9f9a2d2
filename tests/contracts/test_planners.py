"""Every planner returns a valid policy for any counts, on every packaged testbed."""

from __future__ import annotations

from functools import cache

import pytest

from controller.objective import Objective
from controller.planners import PLANNERS
from edgebed.check.law import Law
from edgebed.check.planners import LAWS, PlannerSubject, recorded_as_it_is
from emulation.domain.actions import MacroPolicy
from emulation.domain.feasibility import given_plan_violations
from emulation.domain.ports import GlobalPlanner
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot, TypeStats, Window
from emulation.files import list_scenarios, list_testbeds, load_scenario, load_testbed

TESTBEDS = {name: load_testbed(name) for name in list_testbeds()}
PLAN = load_scenario("bristol-A").plan

every_planner = pytest.mark.parametrize(
    ("name", "bed"), [(name, bed) for name in sorted(PLANNERS) for bed in sorted(TESTBEDS)]
)


def build(name: str, bed: str, seed: int = 1, **config: object) -> GlobalPlanner:
    kind = PLANNERS[name]
    if name == "given" and "plan" not in config:
        config["plan"] = searched(bed).roles
    return kind(TESTBEDS[bed], kind.Config(**config), seed, Objective())


# What a search does on large testbeds takes seconds; a short one has the same laws to keep, and the whole search, as
# scenarios have it, keeps them on the demo's.
SHORT_SEARCH = {"starts": 1, "moves": {"pair_width": 0}}


@cache
def searched(bed: str) -> MacroPolicy:
    """The first policy of a search."""
    return build("search", bed).decide(ClusterSnapshot(0.0, 0, ())).command


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=repr)
@every_planner
def test_keeps_every_law_on_every_testbed(law: Law[PlannerSubject], name: str, bed: str) -> None:
    config = SHORT_SEARCH if name == "search" and bed != "demo" else {}
    law.look(
        PlannerSubject(make=lambda testbed, seed: build(name, bed, seed, **config), testbed=TESTBEDS[bed])
    )


@pytest.mark.parametrize("bed", sorted(TESTBEDS))
def test_a_policy_of_shares_that_are_no_round_numbers_is_recorded_as_it_is(bed: str) -> None:
    nodes = [n.id for n in TESTBEDS[bed].nodes]
    odd = {m.id: {n: 1 / len(nodes) for n in nodes} for m in TESTBEDS[bed].models}
    recorded_as_it_is(TESTBEDS[bed], MacroPolicy(p=odd, roles={}))


@pytest.mark.parametrize("bed", sorted(TESTBEDS))
def test_search_hosts_every_model_somewhere_it_may_be_routed(bed: str) -> None:
    policy = searched(bed)
    for model, shares in policy.p.items():
        assert any(policy.roles[node].get(model, "off") != "off" for node in shares), model


def test_search_sends_no_traffic_to_nodes_whose_role_lacks_the_model() -> None:
    policy = searched("bristol-a")
    for model, shares in policy.p.items():
        assert all(policy.roles[node].get(model, "off") != "off" for node in shares), model


@pytest.mark.slow
def test_search_gives_more_gpus_to_a_model_that_is_asked_more() -> None:
    def image_share(captions: int, images: int) -> float:
        asked = {"gpt2": 40, "gpt2-large": 40, "blip": captions, "sd": images}
        stats = {m: TypeStats(n, 4 * n, n, 0, 0.0) for m, n in asked.items()}
        roles = (
            build("search", "bristol-a")
            .decide(ClusterSnapshot(1500.0, 50, (), Window(stats=stats)))
            .command.roles
        )
        on_gpu = [m for modes in roles.values() for m, mode in modes.items() if mode == "gpu"]
        return on_gpu.count("sd") / len(on_gpu)

    assert image_share(captions=40, images=200) > image_share(captions=2000, images=2)


@pytest.mark.slow
def test_search_keeps_its_plan_while_demand_stays_the_same() -> None:
    planner, snapshot = build("search", "bristol-a"), ClusterSnapshot(0.0, 0, ())
    first = planner.decide(snapshot).command
    assert [planner.decide(snapshot).command for _ in range(3)] == [first] * 3


def test_given_plan_becomes_roles_with_traffic_by_capacity() -> None:
    plan = load_scenario("bristol-A").plan
    policy = build("given", "bristol-a", plan=plan).decide(ClusterSnapshot(0.0, 0, ())).command
    assert policy.roles == plan
    shares = policy.p["gpt2"]
    assert shares["VM6"] > shares["VM3"] > shares["VM2"], "half a GPU beats 16 cores, which beat 12"


@pytest.mark.parametrize(
    ("bed", "node", "change", "message"),
    [
        ("bristol-a", "VM2", {"sd": "gpu"}, "sd cannot run on gpu of VM2"),
        ("bristol-a", "VM2", {"blip": "cpu"}, "roles put blip on VM2, to which it may not be routed"),
        ("w-star", "VM2", {"sd": "cpu"}, "roles put sd on VM2, to which it may not be routed"),
        ("bristol-a", "VM9", {"sd": "gpu"}, "names unknown node 'VM9'"),
    ],
)
def test_given_plan_that_breaks_a_rule_of_planned_ones_is_refused_wherever_it_is_given(
    bed: str, node: str, change: dict[str, str], message: str
) -> None:
    scenario = load_scenario("bristol-A" if bed == "bristol-a" else "w-star")
    plan = {**(scenario.plan or {}), node: change}
    with pytest.raises(ValueError, match=message):
        build("given", bed, plan=plan)
    with pytest.raises(ValueError, match=message):
        Scenario.model_validate({**dict(scenario), "plan": plan})


def test_given_plan_without_a_host_of_some_model_is_refused() -> None:
    plan = {node: {m: mode for m, mode in role.items() if m != "sd"} for node, role in (PLAN or {}).items()}
    with pytest.raises(ValueError, match="no role hosts sd"):
        build("given", "bristol-a", plan=plan)


@pytest.mark.parametrize("name", list_scenarios())
def test_packaged_plans_obey_the_rules_of_planned_ones(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.plan is None or given_plan_violations(scenario.testbed, scenario.plan) == []
