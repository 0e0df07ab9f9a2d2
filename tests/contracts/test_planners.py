"""Every planner returns a valid policy for any counts, on every packaged testbed."""

from __future__ import annotations

import copy
import pickle

import orjson
import pytest

from controller.objective import Objective
from controller.planners import PLANNERS
from emulation.domain.actions import MacroPolicy
from emulation.domain.feasibility import given_plan_violations, policy_violations
from emulation.domain.plain import command_data
from emulation.domain.ports import GlobalPlanner
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot, TypeStats, Window
from emulation.files import list_scenarios, list_testbeds, load_scenario, load_testbed
from tests.build.views import random_snapshot

TESTBEDS = {name: load_testbed(name) for name in list_testbeds()}
PLAN = load_scenario("bristol-A").plan
SEEDS = range(3)

every_planner = pytest.mark.parametrize(
    ("name", "bed"), [(name, bed) for name in sorted(PLANNERS) for bed in sorted(TESTBEDS)]
)


def build(name: str, bed: str, seed: int = 1, **config: object) -> GlobalPlanner:
    kind = PLANNERS[name]
    if name == "given" and "plan" not in config:
        config["plan"] = build("search", bed).decide(ClusterSnapshot(0.0, 0, ())).command.roles
    return kind(TESTBEDS[bed], kind.Config(**config), seed, Objective())


def answers(planner: GlobalPlanner, bed: str) -> list[MacroPolicy]:
    return [planner.decide(random_snapshot(TESTBEDS[bed], seed, slot=50 * seed)).command for seed in SEEDS]


@pytest.mark.slow
@every_planner
def test_policies_are_valid_and_deterministic(name: str, bed: str) -> None:
    policies = answers(build(name, bed), bed)
    for policy in policies:
        assert policy_violations(TESTBEDS[bed], policy) == []
    assert policies == answers(build(name, bed), bed)


@every_planner
def test_what_is_recorded_of_a_policy_passes_the_check_that_it_passed(name: str, bed: str) -> None:
    nodes = [n.id for n in TESTBEDS[bed].nodes]
    odd = {m.id: {n: 1 / len(nodes) for n in nodes} for m in TESTBEDS[bed].models}
    for policy in (*answers(build(name, bed), bed), MacroPolicy(p=odd, roles={})):
        said = orjson.loads(orjson.dumps(command_data(policy)))
        kept = MacroPolicy(said["p"], said["roles"], said["admission_limit_s"])
        assert sorted(policy_violations(TESTBEDS[bed], kept)) == sorted(
            policy_violations(TESTBEDS[bed], policy)
        )
        assert kept.p == {m: {n: w for n, w in p.items() if w > 0} for m, p in policy.p.items()}


@every_planner
def test_survives_pickling_and_leaves_its_input_unchanged(name: str, bed: str) -> None:
    planner = build(name, bed)
    snapshot = random_snapshot(TESTBEDS[bed], 5)
    before = copy.deepcopy(snapshot)
    planner.decide(snapshot)
    assert snapshot == before
    twin = pickle.loads(pickle.dumps(planner))
    assert twin.decide(snapshot).command == planner.decide(snapshot).command


@pytest.mark.parametrize("bed", sorted(TESTBEDS))
def test_search_hosts_every_model_somewhere_it_may_be_routed(bed: str) -> None:
    policy = build("search", bed).decide(ClusterSnapshot(0.0, 0, ())).command
    for model, shares in policy.p.items():
        assert any(policy.roles[node].get(model, "off") != "off" for node in shares), model


def test_search_sends_no_traffic_to_nodes_whose_role_lacks_the_model() -> None:
    policy = build("search", "bristol-a").decide(ClusterSnapshot(0.0, 0, ())).command
    for model, shares in policy.p.items():
        assert all(policy.roles[node].get(model, "off") != "off" for node in shares), model


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
