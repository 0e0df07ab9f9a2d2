"""One control decision: whatever a decider does, the run goes on with a valid command and a record of why."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import pytest

from controller.agents.answers import NoAnswer
from controller.deployers import DEPLOYERS
from controller.layer_loops import DeploymentLoop, PlannerLoop, SchedulerLoop
from controller.loop import LoopConfig
from controller.objective import Objective
from controller.planners import PLANNERS
from controller.schedulers import SCHEDULERS
from controller.schemes import SCHEMES
from edgebed.check.views import random_snapshot, random_view
from emulation.domain.actions import Choice, Exchange, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.feasibility import guide_violations, node_violations, policy_violations
from emulation.domain.ports import Decider, DeploymentAgent
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from emulation.files import load_scenario, load_testbed

BED = load_testbed("bristol-a")
GOOD = NodeConfig("VM3", {"sd": "gpu"})
CRAZY = NodeConfig("VM3", {"sd": "gpu", "blip": "gpu", "gpt2": "gpu"})
POLICY = MacroPolicy(p={m.id: {"VM3": 1.0} for m in BED.models}, roles={"VM3": {"sd": "gpu", "gpt2": "cpu"}})


@dataclass
class Scripted(Decider[Any]):
    """Answers what it is told, or raises it; remembers what it saw and was told."""

    answers: list[Any]
    seen: tuple[Any, ...] = ()
    told: tuple[Any, ...] = ()

    def begin(self, cause: str) -> None:
        self.told += (cause,)

    def adopted(self, command: Any) -> None:
        self.told += (command,)

    def outage(self, failure: str | None) -> None:
        self.told += (failure,)

    def decide(self, *seen: Any) -> Any:
        self.seen = seen
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Choice) else Choice(answer, "scripted")


def deployment(*answers: Any, config: LoopConfig | None = None, node_id: str = "VM3") -> DeploymentLoop:
    return DeploymentLoop(BED, node_id, Scripted(list(answers)), 1, config)


def a_view(t_s: float = 30.0) -> NodeView:
    return replace(random_view(BED, "VM3", 0, t_s), role=None)


def test_a_valid_answer_becomes_a_decision_that_explains_itself() -> None:
    config = LoopConfig(reasoner="rules", thinking_s=2.5)
    decision = deployment(GOOD, config=config).observe(a_view(30.0), "slot 1", now_s=33.0)
    assert decision.command == GOOD
    assert (decision.actor, decision.cause, decision.reason) == ("deployer:VM3", "slot 1", "scripted")
    assert (decision.reasoner, decision.thinking_s) == ("rules", 2.5)
    assert (decision.decided_at_s, decision.inputs_age_s) == (33.0, 3.0)
    assert decision.violations == ()


ASKED = (Exchange({"asked": "?"}, "scripted"),)


def test_a_choice_that_took_time_is_charged_that_and_not_what_its_loop_charges() -> None:
    config = LoopConfig(thinking_s=2.5)
    timed = deployment(Choice(GOOD, "slow", 7.0, ASKED), config=config).observe(a_view(), "slot 1")
    assert (timed.thinking_s, timed.exchanges) == (7.0, ASKED)
    assert deployment(Choice(GOOD), config=config).observe(a_view(), "slot 1").thinking_s == 2.5
    assert deployment(Choice(GOOD, "", 0.0), config=config).observe(a_view(), "slot 1").thinking_s == 0.0


def test_rules_that_stand_in_think_on_top_of_the_answer_they_replace() -> None:
    for wrong in (Choice(CRAZY, "", 3.0, ASKED), NoAnswer(["no idea"], 3.0, ASKED)):
        config = LoopConfig("openai", fallback="rules")
        loop = DeploymentLoop(BED, "VM3", Scripted([wrong]), 1, config, Scripted([Choice(GOOD, "r", 1.5)]))
        decision = loop.observe(a_view(), "slot 0")
        assert (decision.command, decision.reasoner) == (GOOD, "rules")
        assert (decision.thinking_s, decision.exchanges) == (4.5, ASKED)
        assert decision.reason == "invalid answer: the rules decide instead: r"


def test_a_decider_is_told_of_its_cause_of_outages_and_of_what_is_in_force_instead() -> None:
    decider = Scripted([GOOD, CRAZY])
    loop = DeploymentLoop(BED, "VM3", decider, 1)
    loop.observe(a_view(), "slot 0")
    loop.outage("timeout")
    loop.observe(a_view(), "slot 1")
    assert decider.told == ("slot 0", "timeout", "slot 1", GOOD)


def test_rules_that_stand_in_are_told_of_their_cause_and_of_all_that_is_put_in_force() -> None:
    rules, off = Scripted([GOOD]), NodeConfig("VM3", {})
    config = LoopConfig("openai", fallback="rules")
    loop = DeploymentLoop(BED, "VM3", Scripted([off, CRAZY, off]), 1, config, rules)
    commands = [loop.observe(a_view(), f"slot {i}").command for i in range(3)]
    assert rules.told == (off, "slot 1", GOOD, off)
    assert commands == [off, GOOD, off]


def test_without_a_clock_the_telemetry_says_what_time_it_is() -> None:
    decision = deployment(GOOD).observe(a_view(60.0), "slot 2")
    assert (decision.decided_at_s, decision.inputs_age_s) == (60.0, 0.0)


def test_age_of_a_snapshot_is_that_of_its_oldest_view() -> None:
    snapshot = random_snapshot(BED, 1, slot=4)
    stale = replace(snapshot, nodes=(replace(snapshot.nodes[0], taken_at_s=50.0), *snapshot.nodes[1:]))
    loop = PlannerLoop(BED, Scripted([POLICY]), 1)
    assert loop.observe(stale, "epoch 1", now_s=125.0).inputs_age_s == 75.0


def test_an_invalid_answer_is_replaced_by_the_last_valid_one_and_says_so() -> None:
    loop = deployment(GOOD, CRAZY)
    loop.observe(a_view(), "slot 0")
    decision = loop.observe(a_view(), "slot 1")
    assert decision.command == GOOD
    assert decision.violations == ("GPU models do not fit the slices or vRAM of VM3",)
    assert "last valid" in decision.reason


@pytest.mark.parametrize("answer", [CRAZY, ValueError("no idea"), None, NodeConfig("VM4", {})])
def test_before_any_valid_answer_a_bad_one_becomes_a_random_feasible_pattern(answer: Any) -> None:
    decision = deployment(answer).observe(a_view(), "slot 0")
    assert isinstance(decision.command, NodeConfig)
    assert decision.command.node == "VM3"
    assert node_violations(BED, "VM3", decision.command.modes) == []
    assert decision.violations
    assert "random policy" in decision.reason


def test_a_decider_that_raises_is_recorded_by_type_and_message() -> None:
    decision = deployment(KeyError("VM9")).observe(a_view(), "slot 0")
    assert decision.violations == ("deployer:VM3 raised KeyError: 'VM9'",)


def test_an_interrupt_that_a_decider_raises_is_recorded_as_its_own_doing() -> None:
    """Somebody's Ctrl-C raises nothing in a run: see `stopped_by_ctrl_c`."""

    class Interrupted(DeploymentAgent):
        def decide(self, view: NodeView) -> Choice[NodeConfig]:
            raise KeyboardInterrupt

    decision = DeploymentLoop(BED, "VM3", Interrupted(), 1).observe(a_view(), "slot 0")
    assert decision.violations == ("deployer:VM3 raised KeyboardInterrupt",)


def test_random_fallbacks_follow_the_seed_not_the_process() -> None:
    def commands() -> list[Any]:
        loop = deployment(*[CRAZY] * 5)
        return [loop.observe(a_view(), "slot").command for _ in range(5)]

    assert commands() == commands()


def test_a_bad_planner_falls_back_to_a_valid_random_policy() -> None:
    unnormalised = MacroPolicy(p={m.id: {"VM3": 0.7} for m in BED.models}, roles={})
    decision = PlannerLoop(BED, Scripted([unnormalised]), 3).observe(random_snapshot(BED, 1), "epoch 0")
    assert isinstance(decision.command, MacroPolicy)
    assert policy_violations(BED, decision.command) == []
    assert "p[gpt2] sums to 0.7, must be 1" in decision.violations


def test_a_policy_whose_refusals_name_nobody_or_contradict_each_other_is_told_so() -> None:
    limits = {"sd": 5.0, "nobody": 1.0}
    wrong = replace(POLICY, admission_limit_s=limits, unrefused=frozenset({"sd", "somebody"}))
    said = set(policy_violations(BED, wrong)) - set(policy_violations(BED, POLICY))
    assert said == {
        "admission_limit_s names unknown model 'nobody'",
        "unrefused names unknown model 'somebody'",
        "unrefused names 'sd', which has an admission_limit_s; remove one of them",
    }


def test_a_bad_scheduler_falls_back_to_a_valid_random_table() -> None:
    wrong = RouteGuide(table={("VM2", "sd"): "VM99"})
    decision = SchedulerLoop(BED, Scripted([wrong]), 3).observe(random_snapshot(BED, 1), "slot 0")
    assert isinstance(decision.command, RouteGuide)
    assert guide_violations(BED, decision.command) == []
    assert len(decision.command.table) == 24
    assert decision.violations == ("table sends sd from VM2 to VM99, which cannot host it",)


def test_the_scheduler_works_under_the_latest_policy() -> None:
    scheduler = Scripted([RouteGuide(), RouteGuide()])
    loop = SchedulerLoop(BED, scheduler, 1)
    loop.observe(random_snapshot(BED, 1), "slot 0")
    assert scheduler.seen[1] is None
    loop.accept(POLICY)
    loop.observe(random_snapshot(BED, 1), "slot 1")
    assert scheduler.seen[1] is POLICY


def test_a_deployer_sees_its_own_role_only() -> None:
    deployer = Scripted([GOOD, GOOD])
    loop = DeploymentLoop(BED, "VM3", deployer, 1)
    loop.observe(a_view(), "slot 0")
    assert deployer.seen[0].role is None
    loop.accept(POLICY)
    loop.observe(a_view(), "slot 1")
    assert deployer.seen[0].role == {"sd": "gpu", "gpt2": "cpu"}


def test_a_node_the_policy_does_not_name_is_to_run_nothing() -> None:
    kind = DEPLOYERS["agent"]
    loop = DeploymentLoop(BED, "VM4", kind(BED, "VM4", kind.Config(), 1), 1)
    loop.accept(POLICY)
    idle = replace(random_view(BED, "VM4", 0), executors=(), role=None)
    command = loop.observe(idle, "slot 0").command
    assert isinstance(command, NodeConfig)
    assert set(command.modes.values()) == {"off"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_the_loops_of_every_scheme_survive_pickling_and_go_on_alike(name: str) -> None:
    scheme, objective = SCHEMES[name], Objective()
    kind = DEPLOYERS[scheme.deployer]
    loops: list[Any] = [DeploymentLoop(BED, "VM3", kind(BED, "VM3", kind.Config(), 1), 1)]
    if scheme.scheduler is not None:
        s = SCHEDULERS[scheme.scheduler]
        loops.append(SchedulerLoop(BED, s(BED, s.Config(), 1, objective), 1))
    if scheme.planner is not None:
        p = PLANNERS[scheme.planner]
        loops.append(PlannerLoop(BED, p(BED, p.Config(), 1, objective), 1))
    for loop in loops:
        seen: Any = a_view() if isinstance(loop, DeploymentLoop) else ClusterSnapshot(0.0, 0, ())
        loop.observe(seen, "first")
        twin = pickle.loads(pickle.dumps(loop))
        assert twin.observe(seen, "second") == loop.observe(seen, "second")


def test_a_given_plan_replaces_the_planner_of_schemes_that_follow_one() -> None:
    scenario = load_scenario("bristol-A")
    without = scenario.model_copy(update={"plan": None})
    assert SCHEMES["MA"].planner_for(scenario) == "given"
    assert SCHEMES["MA"].planner_for(without) == "search"
    assert SCHEMES["AL"].planner_for(scenario) is None


def test_nothing_run_by_rules_is_called_agentic_without_saying_so() -> None:
    assert SCHEMES["MA"].label() == "MA (rules)"
    assert SCHEMES["AL"].label() == "AL"


def test_stranded_work_is_drained_where_the_role_leaves_room() -> None:
    kind = DEPLOYERS["agent"]
    agent = kind(BED, "VM3", kind.Config(), 1)
    seen = replace(random_view(BED, "VM3", 0), role={"sd": "gpu"}, executors=())
    executor = random_view(BED, "VM3", 0).executors[0]
    waiting = replace(executor, state="off", mode="off", models=("blip",), backlog_prompts={"blip": 3.0})
    assert agent.decide(seen).command.modes["blip"] == "off"
    assert agent.decide(replace(seen, executors=(waiting,))).command.modes["blip"] == "gpu"
    assert agent.decide(seen).command.modes["blip"] == "off"
