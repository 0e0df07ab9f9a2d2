"""Every deployer, on every node of every packaged testbed, keeps the contract of `DeploymentAgent`."""

from __future__ import annotations

import pytest

from controller.deployers import DEPLOYERS
from edgebed.check.deployers import LAWS, DeployerSubject
from edgebed.check.law import Law
from edgebed.check.views import random_view
from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import DeploymentAgent
from emulation.files import list_testbeds, load_testbed

TESTBEDS = {name: load_testbed(name) for name in list_testbeds()}
SEEDS = range(12)


def build(name: str, bed: str, node_id: str, seed: int = 1) -> DeploymentAgent:
    kind = DEPLOYERS[name]
    return kind(TESTBEDS[bed], node_id, kind.Config(), seed)


def answers(deployer: DeploymentAgent, bed: str, node_id: str) -> list[NodeConfig]:
    return [deployer.decide(random_view(TESTBEDS[bed], node_id, seed)).command for seed in SEEDS]


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("name", sorted(DEPLOYERS))
def test_keeps_every_law_on_every_node(law: Law[DeployerSubject], name: str) -> None:
    kind = DEPLOYERS[name]

    def make(testbed: TestbedConfig, node: str, seed: int) -> DeploymentAgent:
        return kind(testbed, node, kind.Config(), seed)

    for bed in TESTBEDS.values():
        for node in bed.nodes:
            law.look(DeployerSubject(make=make, testbed=bed, node_id=node.id))


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
