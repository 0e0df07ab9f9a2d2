"""Held decisions: a verdict makes of them the agent's command, somebody's own, or the rules' choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.approval import ApprovalConfig, Verdict
from controller.deployers.agent import AgentConfig, AgentDeployer
from controller.layer_loops import DeploymentLoop
from controller.loop import LoopConfig
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.reasoners import with_approval, with_reasoner
from emulation.domain.actions import Choice, Exchange, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.plain import command_data, command_of
from emulation.domain.ports import DeploymentAgent
from emulation.domain.records import PERSON
from emulation.domain.snapshot import NodeView
from emulation.files import load_scenario
from tests.build.hierarchy import BED

OFF = NodeConfig("VM3", {})
ON = NodeConfig("VM3", {"sd": "gpu"})
VIEW = NodeView("VM3", 0.0, True, (), 0.0, 0.0, 0, role={"gpt2": "cpu"})


class Proposes(DeploymentAgent):
    """Answers what it is told to, as a reasoner would."""

    def __init__(self, command: NodeConfig, asked: bool = True) -> None:
        self.command, self.asked = command, asked
        self.told: list[NodeConfig] = []

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        exchanges = (Exchange({}, "openai"),) if self.asked else ()
        return Choice(self.command, "I think so", 2.0, exchanges)

    def adopted(self, command: NodeConfig) -> None:
        self.told.append(command)


def _loop(agent: Proposes, **approval: Any) -> DeploymentLoop:
    rules = AgentDeployer(BED, "VM3", AgentConfig(), 0)
    config = LoopConfig("openai", approval=ApprovalConfig.model_validate(approval))
    return DeploymentLoop(BED, "VM3", agent, 0, config, rules)


def test_only_a_reasoners_own_change_is_held() -> None:
    loop = _loop(Proposes(ON))
    first = loop.observe(VIEW, "slot 1", ask=True)
    assert loop.held(first)
    done = loop.settled(first, Verdict("approved", 3.0, "person"), VIEW)
    assert not loop.held(loop.observe(VIEW, "slot 2", ask=True)), "what is in force already needs nobody"
    assert (done.command, done.reasoner, done.thinking_s) == (ON, "openai", 5.0)
    assert done.reason == "approved by person: I think so"
    unasked = _loop(Proposes(ON, asked=False))
    assert not unasked.held(unasked.observe(VIEW, "slot 1", ask=True))


@pytest.mark.parametrize("outcome", ["rejected", "timed_out"])
def test_without_approval_the_rules_decide(outcome: Any) -> None:
    agent = Proposes(ON)
    loop = _loop(agent)
    done = loop.settled(loop.observe(VIEW, "slot 1", ask=True), Verdict(outcome, 60.0), VIEW)
    assert (command_data(done.command)["modes"], done.reasoner) == ({"gpt2": "cpu"}, "rules")
    assert done.proposal is not None
    assert (done.proposal["proposed"], done.proposal["present"]) == (command_data(ON), None)
    assert agent.told == [done.command], "the agent knows what is in force"


@pytest.mark.parametrize(("verdict", "command"), [("approved", ON), ("edited", OFF)])
def test_the_rules_know_of_a_decision_once_it_is_settled(verdict: Any, command: NodeConfig) -> None:
    rules, config = Proposes(OFF), LoopConfig("openai", approval=ApprovalConfig())
    loop = DeploymentLoop(BED, "VM3", Proposes(ON), 0, config, rules)
    held = loop.observe(VIEW, "slot 1", ask=True)
    assert rules.told == []
    loop.settled(held, Verdict(verdict, 1.0, "person", command=OFF if verdict == "edited" else None), VIEW)
    assert rules.told == [command]


def test_an_edited_command_is_done_and_counts_as_nobodys() -> None:
    loop = _loop(Proposes(ON))
    held = loop.observe(VIEW, "slot 1", ask=True)
    done = loop.settled(held, Verdict("edited", 1.0, "person", "cheaper", OFF), VIEW)
    assert (done.command, done.reasoner) == (OFF, "none")
    assert "edited by person (cheaper)" in done.reason
    assert loop.in_force == OFF


@pytest.mark.parametrize(
    ("stand_in", "command", "outcome"),
    [("approves", ON, "approved"), ("rejects", None, "rejected"), ("nobody", None, "timed_out")],
)
def test_in_virtual_time_a_stand_in_answers_or_nobody_does(stand_in: str, command: Any, outcome: str) -> None:
    done = _loop(Proposes(ON), stand_in=stand_in).observe(replace(VIEW, taken_at_s=30.0), "slot 1")
    assert done.proposal is not None
    assert done.proposal["outcome"] == outcome
    assert (done.command == ON) == (command is ON)


@pytest.mark.parametrize("stand_in", ["approves", "rejects", "nobody"])
def test_what_is_to_be_in_force_when_a_run_begins_is_the_rules_in_virtual_time_as_it_is_live(
    stand_in: str,
) -> None:
    loop = _loop(Proposes(ON), stand_in=stand_in)
    first = loop.observe(VIEW, "slot 0")
    assert (first.reasoner, first.thinking_s) == ("rules", 2.0), "nobody is waited for"
    assert first.proposal is not None
    assert (first.proposal["outcome"], first.proposal["waited_s"], first.proposal["why"]) == (
        "timed_out", 0.0, "the run had not begun",
    )  # fmt: skip
    again = loop.observe(VIEW, "node back")
    assert again.proposal is not None
    assert again.proposal["waited_s"] > 0.0, "from then on it is"


def test_a_command_is_read_as_it_is_written() -> None:
    assert command_of("deployer:VM3", command_data(ON)) == ON
    policy = MacroPolicy(
        {"sd": {"VM3": 1.0}},
        {"VM3": {"sd": "gpu"}},
        {"gpt2": 30.0},
        {"gpt2": ((0.25, 60.0), (0.5, 30.0))},
        frozenset({"sd"}),
    )
    assert command_of("planner", command_data(policy)) == policy
    guide = RouteGuide(
        {("VM2", "sd"): "VM3"}, frozenset({"VM4/sd"}), {("sd", "VM3"): 0.5}, {"sd": None, "gpt2": 9.0}
    )
    assert command_of("scheduler", command_data(guide)) == guide
    assert "unrefused" not in command_data(replace(policy, unrefused=frozenset())), (
        "a record says it where it is so"
    )
    with pytest.raises(ValueError, match="command.modes"):
        command_of("deployer:VM3", {"node": "VM3", "modes": {"sd": "tpu"}})
    with pytest.raises(ValueError, match="two names"):
        command_of("scheduler", {"table": {"VM3": "VM4"}})


@pytest.mark.slow
def test_a_run_with_approval_records_each_proposal_and_its_verdict() -> None:
    scenario = load_scenario("demo").model_copy(update={"slots": 6, "tail_slots": 0})
    scenario = with_approval(with_reasoner(scenario, "random"), True)
    run = simulate_in_memory(scenario, "MA", 0)
    said = [d for d in run.decisions if d.actor == PERSON]
    assert said
    assert {d.choice["proposal"]["outcome"] for d in said} == {"timed_out"}
    assert run.footer is not None
    assert run.footer.conserved()
