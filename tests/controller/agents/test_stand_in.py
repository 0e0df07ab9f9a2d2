"""Rules that stand in for a planner's model: they plan on from what is in force, and lose nobody's cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.agents.account import Account
from controller.agents.answers import Asker
from controller.agents.config import AgentsConfig
from controller.agents.scripted import ScriptedLlm
from controller.layer_loops import PlannerLoop
from controller.loop import LoopConfig
from controller.objective import Objective
from controller.planners.llm import LlmPlanner
from controller.planners.memory import CaseMemory, MemoryConfig
from controller.planners.search import SearchConfig, SearchPlanner
from controller.schemes import SCHEMES
from edgebed.wiring import loops
from edgebed.wiring.loops import LoopBuilder
from emulation.domain.actions import Decision, MacroPolicy
from emulation.domain.snapshot import ClusterSnapshot, NodeView, TypeStats, Window
from tests.build.hierarchy import BED, PLAN, policy, short
from tests.build.limits import Answers

ANSWERS = ("no", json.dumps(policy()), "no", json.dumps(policy()))
"""Of a planner's model, epoch by epoch: only every other is a plan."""


def script(folder: Path) -> Path:
    file = folder / "script.jsonl"
    lines = [{"agent": "planner", "on": f"epoch {n}", "text": text} for n, text in enumerate(ANSWERS)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def epoch(number: int) -> ClusterSnapshot:
    """The end of an epoch in which four of five requests of every model were served."""
    stats = {m.id: TypeStats(300, 1200, 200, 50, 200 * 90.0) for m in BED.models}
    views = tuple(NodeView(n.id, 1500.0 * number, True, (), 0.0, 0.0, 0) for n in BED.nodes)
    return ClusterSnapshot(1500.0 * number, 50 * number, views, Window(stats=stats))


@pytest.mark.slow
def test_the_case_of_an_epoch_is_of_the_models_plan_when_rules_stand_in_after_it(tmp_path: Path) -> None:
    config = AgentsConfig(repairs=0)
    asker = Asker("planner", ScriptedLlm.read(script(tmp_path)), config.repairs)
    rules = SearchPlanner(BED, SearchConfig(shortlist=0), 0, Objective())
    planner = LlmPlanner(BED, config, 0, Objective(), asker)
    loop = PlannerLoop(BED, planner, 0, LoopConfig("scripted", fallback="rules"), rules)
    made = [loop.observe(epoch(n), f"epoch {n}") for n in range(3)]
    assert [d.reasoner for d in made] == ["rules", "scripted", "rules"]
    assert isinstance(made[0].command, MacroPolicy)
    assert made[0].command.roles != PLAN, "the rules' own plan is another one, or nothing is told apart here"
    assert [(c.epoch, c.roles) for c in rules.experience.memory.cases] == [(1, PLAN)]


@pytest.mark.slow
@pytest.mark.parametrize("named", ["cases.jsonl", "../{}/cases.jsonl"])
def test_two_planners_with_one_file_of_cases_keep_each_epoch_once(tmp_path: Path, named: str) -> None:
    file = tmp_path / "cases.jsonl"
    also = tmp_path / named.format(tmp_path.name)
    given: dict[str, Any] = {"planner": f"scripted:{script(tmp_path)}", "fallback": "rules", "repairs": 0}
    scenario = short(memory={"file": str(file)}, **given)
    search = {"shortlist": 0, "memory": {"file": str(also)}}
    scenario = scenario.model_copy(
        update={"plan": None, "controllers": {**scenario.controllers, "search": search}}
    )
    loop = LoopBuilder(SCHEMES["MA"], scenario, 0, Account()).planner()
    assert loop is not None
    for number in range(4):
        loop.observe(epoch(number), f"epoch {number}")
        kept = CaseMemory(MemoryConfig(file=str(file))).cases
        assert len(kept) == number, "one case for every epoch that ended, whoever decided then"
        assert len({c.epoch for c in kept}) <= number
    assert [c.roles == PLAN for c in kept] == [False, True, False]


def stood_in(monkeypatch: pytest.MonkeyPatch, folder: Path, **agents: Any) -> Decision:
    """What becomes of the planner's second decision, the first one being its model's."""
    file = folder / "script.jsonl"
    lines = [{"agent": "planner", "text": ANSWERS[1]}, agents.pop("second")]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scenario = short(planner=f"scripted:{file}", repairs=0, fallback="random", **agents)
    monkeypatch.setattr(loops, "WhatIfProcess", lambda _: Answers(None))
    loop = LoopBuilder(SCHEMES["MA"], scenario, 0, Account()).planner()
    assert loop is not None
    assert loop.observe(epoch(0), "epoch 0").violations == ()
    return loop.observe(epoch(1), "epoch 1")


def test_once_a_budget_is_spent_the_rules_decide_whatever_stands_in_for_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spent = stood_in(monkeypatch, tmp_path, second={"failure": "budget"})
    assert (spent.reasoner, spent.violations) == ("rules", ("budget",))
    wrong = stood_in(monkeypatch, tmp_path, second={"text": "no"})
    assert (wrong.reasoner, "random policy" in wrong.reason) == ("scripted", True)


def test_what_is_rejected_gives_way_to_the_rules_whatever_stands_in_for_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = {**policy(), "roles": {**PLAN, "VM2": {"gpt2": "cpu"}}}
    other["p"]["gpt2-large"] = {"VM3": 1.0}
    rejected = stood_in(
        monkeypatch, tmp_path, second={"text": json.dumps(other)}, approve={"stand_in": "rejects"}
    )
    assert rejected.proposal is not None
    assert (rejected.proposal["outcome"], rejected.reasoner) == ("rejected", "rules")
