"""Every prompt scheduler returns a valid guide, with or without a policy, on every packaged testbed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.objective import Objective
from controller.planners import PLANNERS
from controller.schedulers import SCHEDULERS
from edgebed.check.law import Law
from edgebed.check.schedulers import LAWS, SchedulerSubject
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView, NodeView
from emulation.files import list_testbeds, load_scenario, load_testbed

TESTBEDS = {name: load_testbed(name) for name in list_testbeds()}
BRISTOL = TESTBEDS["bristol-a"]

every_scheduler = pytest.mark.parametrize(
    ("name", "bed"), [(name, bed) for name in sorted(SCHEDULERS) for bed in sorted(TESTBEDS)]
)


def build(name: str, bed: str = "bristol-a") -> PromptScheduler:
    kind = SCHEDULERS[name]
    return kind(TESTBEDS[bed], kind.Config(), 1, Objective())


def given_policy() -> MacroPolicy:
    kind = PLANNERS["given"]
    config = kind.Config(plan=load_scenario("bristol-A").plan)
    return kind(BRISTOL, config, 1, Objective()).decide(ClusterSnapshot(0.0, 0, ())).command


def idle(slot: int = 0, away: str = "", backlog: tuple[str, str, float] = ("", "", 0.0)) -> ClusterSnapshot:
    """bristol-A with nothing queued but `backlog` = (node, model, prompts)."""

    def executor(node: str, model: str) -> ExecutorView:
        prompts = {model: backlog[2]} if backlog[:2] == (node, model) else {}
        return ExecutorView(f"{node}/{model}", node, (model,), "ready", "cpu", {}, prompts)

    views = tuple(
        NodeView(n.id, 0.0, n.id != away, tuple(executor(n.id, m.id) for m in BRISTOL.models), 0.0, 0.0, 0)
        for n in BRISTOL.nodes
    )
    return ClusterSnapshot(slot * 30.0, slot, views)


@pytest.mark.parametrize("law", LAWS, ids=repr)
@every_scheduler
def test_keeps_every_law_on_every_testbed(law: Law[SchedulerSubject], name: str, bed: str) -> None:
    kind = SCHEDULERS[name]

    def make(testbed: TestbedConfig, seed: int) -> PromptScheduler:
        return kind(testbed, kind.Config(), seed, Objective())

    law.look(SchedulerSubject(make=make, testbed=TESTBEDS[bed]))


def test_agent_stays_within_the_roles() -> None:
    policy = given_policy()
    for slot in range(12):
        table = build("agent").decide(idle(slot), policy).command.table
        assert set(table) == {(n.id, m.id) for n in BRISTOL.nodes for m in BRISTOL.models}
        assert all(policy.roles[node].get(model, "off") != "off" for (_, model), node in table.items())


def test_agent_leaves_a_host_whose_queue_is_long() -> None:
    policy = given_policy()
    free = build("agent").decide(idle(), policy).command.table
    full = build("agent").decide(idle(backlog=("VM6", "gpt2", 500.0)), policy).command.table
    assert "VM6" in {free[n.id, "gpt2"] for n in BRISTOL.nodes}
    assert "VM6" not in {full[n.id, "gpt2"] for n in BRISTOL.nodes}


def test_agent_sends_nothing_to_a_node_that_is_away() -> None:
    table = build("agent").decide(idle(away="VM5"), given_policy()).command.table
    assert "VM5" not in table.values()


def test_agent_spreads_a_slot_over_hosts_instead_of_piling_on_the_best() -> None:
    table = build("agent").decide(idle(), given_policy()).command.table
    assert len({table[n.id, "sd"] for n in BRISTOL.nodes}) >= 4


def test_agent_rotates_who_chooses_first() -> None:
    policy = given_policy()
    tables = [build("agent").decide(idle(slot), policy).command.table for slot in range(6)]
    assert len({table["VM2", "gpt2-large"] for table in tables}) > 1


def test_agent_finds_another_host_when_the_only_one_is_away() -> None:
    policy = replace(given_policy(), roles={"VM3": {"sd": "gpu"}})
    table = build("agent").decide(idle(away="VM3"), policy).command.table
    assert {table[n.id, "sd"] for n in BRISTOL.nodes} <= {"VM4", "VM5", "VM6", "VM7"}


def test_weights_mask_every_executor_outside_the_roles_and_pass_p_on() -> None:
    policy = given_policy()
    guide = build("weights").decide(idle(), policy).command
    assert "VM3/blip" in guide.masked
    assert "VM3/sd" not in guide.masked
    assert guide.weights["sd", "VM3"] == policy.p["sd"]["VM3"]
    assert guide.table == {}
