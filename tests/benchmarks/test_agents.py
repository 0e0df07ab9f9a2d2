"""The demonstration with a language model: who errs breaks its laws, and who is blind is seen to be in its tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.agents.accounts import (
    ASKED_COLUMNS,
    DID_COLUMNS,
    LEAST_ACCEPTED,
    OUTCOME_COLUMNS,
    ROLES,
    answers_of,
    asked_rows,
    broken_laws,
    did_rows,
    differing,
    outcome_row,
)
from benchmarks.agents.bed import HERE, folder_of, ran
from controller.agents.llm import Form, Query, Reply
from edgebed.wiring import reasoners
from emulation.files import load_scenario
from emulation.recording import Run

SCENARIO = load_scenario(HERE / "scenario.yaml").model_copy(update={"slots": 6, "epoch_slots": 3})


class Model:
    """Stands for the model behind the server: says `text` to every question."""

    label = "openai"
    text = json.dumps({"choice": 1})

    def __init__(self, *_: Any) -> None:
        pass

    def form(self, agent: str) -> Form:
        return "choice"

    def ask(self, query: Query) -> Reply:
        return Reply(text=self.text, thinking_s=2.0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> type[Model]:
    own = type("Own", (Model,), {})
    monkeypatch.setenv("EDGEBED_LLM_MODEL", "some-model")
    monkeypatch.setenv("EDGEBED_LLM_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setattr(reasoners, "OpenAiLlm", own)
    return own


@pytest.mark.parametrize("scheme", list(ROLES))
def test_a_model_that_always_says_one_breaks_no_law_and_is_seen_to_say_it(
    scheme: str, model: type[Model], tmp_path: Path
) -> None:
    run = ran(SCENARIO, scheme, "openai", tmp_path)
    assert broken_laws(run) == []
    assert {a.role for a in answers_of(run)} == set(ROLES[scheme])
    assert all(a.given == a.well_formed == a.accepted > 0 for a in answers_of(run))
    firsts = [row[ASKED_COLUMNS.index("first shown")] for row in asked_rows(run)]
    assert all(cell.startswith("100%") for cell in firsts)
    assert all(row[DID_COLUMNS.index("chose")].startswith("1 of ") for row in did_rows(run))
    assert len(outcome_row(run)) == len(OUTCOME_COLUMNS)


@pytest.mark.parametrize("scheme", list(ROLES))
def test_prose_is_not_well_formed(scheme: str, model: type[Model], tmp_path: Path) -> None:
    model.text = "The best option is the first one."
    wrong = broken_laws(ran(SCENARIO, scheme, "openai", tmp_path))
    for role in ROLES[scheme]:
        assert any(f"{role}: 0 of" in fault and "well formed" in fault for fault in wrong)
        assert any(f"{role}: 0 of" in fault and "accepted" in fault for fault in wrong)


def test_a_number_of_no_option_is_well_formed_and_not_accepted(model: type[Model], tmp_path: Path) -> None:
    model.text = json.dumps({"choice": 9})
    run = ran(SCENARIO, "MA", "openai", tmp_path)
    assert all(a.well_formed == a.given and a.accepted < LEAST_ACCEPTED * a.given for a in answers_of(run))
    assert all("accepted" in fault for fault in broken_laws(run))
    assert broken_laws(run) != []


def test_a_role_that_is_asked_nothing_is_told_of(model: type[Model], tmp_path: Path) -> None:
    run = ran(SCENARIO, "MA", "openai", tmp_path)
    mute = replace(run, decisions=tuple(d for d in run.decisions if d.actor != "planner"))
    assert broken_laws(mute) == ["MA: its planner was asked nothing"]


@pytest.mark.parametrize("scheme", list(ROLES))
def test_a_replay_without_the_model_is_the_same_and_a_changed_one_is_not(
    scheme: str, model: type[Model], tmp_path: Path
) -> None:
    run = ran(SCENARIO, scheme, "openai", tmp_path)
    model.text = "nobody is to be asked"
    again = ran(SCENARIO, scheme, f"replay:{folder_of(tmp_path, scheme, 'openai')}", tmp_path)
    assert again.header.reasoner == "replay"
    assert differing(run, again) == 0
    last = max(i for i, d in enumerate(run.decisions) if d.actor != "router")
    changed = [replace(d, thinking_s=99.0) if i == last else d for i, d in enumerate(run.decisions)]
    assert differing(replace(run, decisions=tuple(changed)), again) == 1
    shorter = tuple(d for i, d in enumerate(run.decisions) if i != last)
    assert differing(replace(run, decisions=shorter), again) == 1


@pytest.mark.slow
def test_a_run_that_stands_there_whole_is_not_run_again(model: type[Model], tmp_path: Path) -> None:
    first: Run = ran(SCENARIO, "MA", "openai", tmp_path)
    model.text = "nobody is to be asked"
    assert ran(SCENARIO, "MA", "openai", tmp_path) == first
    other = SCENARIO.model_copy(update={"slots": 7})
    assert ran(other, "MA", "openai", tmp_path).header.slots == 7
