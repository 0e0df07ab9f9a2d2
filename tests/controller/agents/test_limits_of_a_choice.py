"""Admission limits of a scheme are set by arithmetic, whoever chose its policy: the rules or a language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.agents.account import Account
from controller.schemes import SCHEMES
from edgebed.wiring import loops
from emulation.domain.actions import Decision, MacroPolicy
from emulation.domain.snapshot import ClusterSnapshot
from tests.build.hierarchy import BED, policy, short
from tests.build.limits import Answers, World
from tests.controller.agents.test_stand_in import epoch

LOAD = {m.id: 1.8 if m.id == "sd" else 0.5 for m in BED.models}
OVERLOADED = World(LOAD, {m: 1.0 if load < 1 else 0.4 for m, load in LOAD.items()})
STARVED = World(LOAD, {m: 1.0 if load < 1 else 0.53 for m, load in LOAD.items()}, caution={"sd": 0.3})
"""Deadline refusals alone leave sd below the yardstick."""
PICKERS = ("rules", "first", "scripted")
"""The rules themselves; a model that picks from a menu; one that writes its policy out."""
THINKING_S = 7.0
"""Of the one that is scripted."""


def decisions(
    picker: str, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, scheme: str = "fused"
) -> tuple[Decision, Decision]:
    """What the planner decides before a run and after its first epoch."""
    script = folder / "script.jsonl"
    line = {"agent": "planner", "text": json.dumps(policy()), "times": 2, "thinking_s": THINKING_S}
    script.write_text(json.dumps(line) + "\n")
    monkeypatch.setattr(loops, "WhatIfProcess", lambda _: Answers(world))
    scenario = short(planner=f"scripted:{script}" if picker == "scripted" else picker)
    loop = loops.LoopBuilder(SCHEMES[scheme], scenario, 0, Account()).planner()
    assert loop is not None
    first = loop.observe(ClusterSnapshot(0.0, 0, ()), "start")
    return first, loop.observe(epoch(1), "epoch 1")


def limits(decision: Decision) -> tuple[set[str], frozenset[str]]:
    """Models with a limit, and those of which nothing is refused."""
    assert isinstance(decision.command, MacroPolicy)
    return set(decision.command.admission_limit_s), decision.command.unrefused


@pytest.mark.slow
@pytest.mark.parametrize("picker", PICKERS)
def test_whoever_picks_the_plan_its_limits_are_set(
    picker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decisions(picker, OVERLOADED, tmp_path, monkeypatch)
    assert [d.reasoner for d in made] == [picker] * 2
    assert [limits(d) for d in made] == [({"sd"}, frozenset())] * 2
    assert all("; limits sd" in d.reason for d in made)


@pytest.mark.slow
@pytest.mark.parametrize("picker", PICKERS)
def test_whoever_picks_the_plan_a_model_that_loses_by_refusals_is_opened_again(
    picker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [limits(d) for d in decisions(picker, STARVED, tmp_path, monkeypatch)] == [(set(), {"sd"})] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("picker", "own_s"), [("rules", 0.0), ("first", 0.0), ("scripted", THINKING_S)])
def test_limits_take_a_slot_of_thinking_on_top_of_the_models_own(
    picker: str, own_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, later = decisions(picker, OVERLOADED, tmp_path, monkeypatch)
    assert before.thinking_s == own_s, "the first plan is made before the run begins"
    assert later.thinking_s == own_s + 30.0


@pytest.mark.slow
@pytest.mark.parametrize("picker", PICKERS)
def test_a_scheme_that_sets_no_limits_gets_none_from_a_model_either(
    picker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decisions(picker, OVERLOADED, tmp_path, monkeypatch, "MA+sect")
    assert [limits(d) for d in made] == [(set(), frozenset())] * 2
