"""Every deployer, on every node of every packaged testbed, keeps the contract of `DeploymentAgent`."""

from __future__ import annotations

import copy
import pickle

import pytest

from controller.deployers import DEPLOYERS
from emulation.domain.actions import NodeConfig
from emulation.domain.feasibility import node_violations
from emulation.domain.ports import DeploymentAgent
from emulation.files import list_testbeds, load_testbed
from tests.build.views import random_view

TESTBEDS = {name: load_testbed(name) for name in list_testbeds()}
PLACES = [
    (name, bed, node.id)
    for name in sorted(DEPLOYERS)
    for bed in sorted(TESTBEDS)
    for node in TESTBEDS[bed].nodes
]
SEEDS = range(12)

every_place = pytest.mark.parametrize(("name", "bed", "node_id"), PLACES)


def build(name: str, bed: str, node_id: str, seed: int = 1) -> DeploymentAgent:
    kind = DEPLOYERS[name]
    return kind(TESTBEDS[bed], node_id, kind.Config(), seed)


def answers(deployer: DeploymentAgent, bed: str, node_id: str) -> list[NodeConfig]:
    return [deployer.decide(random_view(TESTBEDS[bed], node_id, seed)).command for seed in SEEDS]


@every_place
def test_answers_are_feasible_for_this_node(name: str, bed: str, node_id: str) -> None:
    for command in answers(build(name, bed, node_id), bed, node_id):
        assert command.node == node_id
        assert node_violations(TESTBEDS[bed], node_id, command.modes) == []


@every_place
def test_same_seed_and_views_give_the_same_answers(name: str, bed: str, node_id: str) -> None:
    assert answers(build(name, bed, node_id), bed, node_id) == answers(
        build(name, bed, node_id), bed, node_id
    )


@every_place
def test_survives_pickling_and_goes_on_alike(name: str, bed: str, node_id: str) -> None:
    deployer = build(name, bed, node_id)
    answers(deployer, bed, node_id)
    twin = pickle.loads(pickle.dumps(deployer))
    assert answers(twin, bed, node_id) == answers(deployer, bed, node_id)


@every_place
def test_leaves_its_input_unchanged(name: str, bed: str, node_id: str) -> None:
    deployer = build(name, bed, node_id)
    for seed in SEEDS:
        view = random_view(TESTBEDS[bed], node_id, seed)
        before = copy.deepcopy(view)
        deployer.decide(view)
        assert view == before


@pytest.mark.parametrize("name", sorted(DEPLOYERS))
def test_unknown_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        DEPLOYERS[name].Config(no_such_parameter=1)


@pytest.mark.parametrize("name", ["full", "static"])
@pytest.mark.parametrize("bed", sorted(TESTBEDS))
def test_full_activation_never_reconfigures(name: str, bed: str) -> None:
    for node in TESTBEDS[bed].nodes:
        commands = answers(build(name, bed, node.id), bed, node.id)
        assert all(command == commands[0] for command in commands)


def test_full_activation_gives_vgpus_to_the_models_that_gain_most() -> None:
    def codes(node_id: str) -> str:
        modes = answers(build("full", "bristol-a", node_id), "bristol-a", node_id)[0].modes
        return "".join(modes[m.id][0] for m in TESTBEDS["bristol-a"].models)

    assert {node_id: codes(node_id) for node_id in ("VM2", "VM3", "VM7")} == {
        "VM2": "cccc",
        "VM3": "ccgg",
        "VM7": "gggg",
    }


def test_full_activation_at_random_runs_as_many_models_and_depends_on_the_seed() -> None:
    kind, bed = DEPLOYERS["full"], TESTBEDS["bristol-a"]
    drawn = []
    for seed in range(20):
        deployer = kind(bed, "VM3", kind.Config(choice="random"), seed)
        drawn.append(tuple(deployer.decide(random_view(bed, "VM3", 0)).command.modes.items()))
    assert len(set(drawn)) > 1
    assert all("off" not in dict(modes).values() for modes in drawn)


def test_random_deployment_visits_every_feasible_pattern() -> None:
    deployer, view = build("random", "bristol-a", "VM2"), random_view(TESTBEDS["bristol-a"], "VM2", 0)
    assert len({tuple(deployer.decide(view).command.modes.items()) for _ in range(400)}) == 16


def test_static_refuses_a_plan_that_cannot_run() -> None:
    kind = DEPLOYERS["static"]
    with pytest.raises(ValueError, match="gpt2 cannot run on gpu of VM2"):
        kind(TESTBEDS["bristol-a"], "VM2", kind.Config(plan={"VM2": {"gpt2": "gpu"}}), 0)


def test_static_runs_its_plan_and_nothing_on_nodes_without_one() -> None:
    kind, bed = DEPLOYERS["static"], TESTBEDS["bristol-a"]
    config = kind.Config(plan={"VM3": {"sd": "gpu"}})
    assert kind(bed, "VM3", config, 0).decide(random_view(bed, "VM3", 0)).command.modes == {"sd": "gpu"}
    assert kind(bed, "VM4", config, 0).decide(random_view(bed, "VM4", 0)).command.modes == {}
