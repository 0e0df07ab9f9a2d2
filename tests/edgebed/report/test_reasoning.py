"""What a reasoner was asked, counted: looking something up is no answer, and who decided in its place is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.agents.llm import UNANSWERED
from controller.approval import Verdict
from controller.loop import INVALID
from edgebed.report import compare_runs
from edgebed.report.reasoning import (
    REASONING_COLUMNS,
    RoleAccount,
    accounts_of,
    is_answer,
    reasoning_rows,
)
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.reasoners import with_approval, with_reasoner
from emulation.domain.records import PERSON, DecisionRecord
from emulation.files import load_scenario
from tests.build.records import decision, run

NOBODY = f"{Verdict('timed_out', 60.0).told()}: the rules decide instead: enough room"


def asked(t_s: float, *calls: str, actor: str = "planner", wrong: str = "", **said: Any) -> DecisionRecord:
    """A question to a language model and its reply, which may call tools, and may be wrong."""
    exchange = {
        "key": "k", "agent": actor, "round": 0, "asked": "what now?", "text": "{}", "thinking_s": 2.0, "failure": None,
        "tokens": 10, "calls": [[str(i), name, "{}"] for i, name in enumerate(calls)],
        "served": {"model": "m", "url": "u"}, **said,
    }  # fmt: skip
    choice = {"exchange": exchange, "number": 1, "invocation": 1, "results": []}
    violations = (wrong,) if wrong else ()
    return decision(t_s, actor, choice=choice, reasoner="openai", violations=violations)


def decided(t_s: float, reason: str = "I think so", reasoner: str = "openai") -> DecisionRecord:
    return decision(t_s, "planner", reason=reason, reasoner=reasoner)


def counted(*lines: DecisionRecord) -> RoleAccount:
    (account,) = accounts_of(compare_runs([run(decisions=lines)]).results)
    return account


def row(*lines: DecisionRecord) -> dict[str, str]:
    """What the table of the report shows of the one role that was asked."""
    (shown,) = reasoning_rows(compare_runs([run(decisions=lines)]))
    return dict(zip(REASONING_COLUMNS, (shown.scheme, shown.role, *shown.cells), strict=True))


def test_a_call_of_a_tool_on_the_way_is_no_answer_and_no_repair() -> None:
    found = counted(asked(0, "what_if"), asked(0), decided(0))
    assert (found.asked, found.answers, found.valid, found.repaired, found.fell_back) == (1, 1, 1, 0, 0)
    assert (found.questions, found.thinking_s, found.tokens) == (2, 4.0, 20)


@pytest.mark.parametrize(
    "lines",
    [
        (asked(0), decided(0)),
        (asked(0, "what_if"), asked(0, "what_if"), asked(0), decided(0)),
        (asked(0, wrong="p does not sum to 1"), asked(0), decided(0)),
        (asked(0, "what_if"), asked(0, "what_if")),
        (asked(0, "set_device_risky", actor="meta"),),
    ],
    ids=["one", "looked up", "repaired", "run ended before the answer", "meta"],
)
def test_figures_per_question_are_those_of_one_however_many_a_decision_takes(
    lines: tuple[DecisionRecord, ...],
) -> None:
    assert row(*lines)["thinking per question"] == "2.0 s"
    assert row(*lines)["tokens per question"] == "10"


def test_what_the_rules_answer_once_its_budget_is_spent_is_no_question_to_a_meta_controllers_model() -> None:
    lines = [
        asked(0, "pull_observations", actor="meta"),
        asked(9, actor="meta", wrong="budget", failure="budget"),
    ]
    lines += [replace(asked(9, "set_device_risky", actor="meta"), reasoner="rules")]
    for invocation, line in enumerate(lines):
        line.choice["invocation"] = invocation
    found = counted(*lines)
    assert (found.decisions, found.asked, found.answers, found.valid, found.fell_back) == (3, 2, 2, 1, 1)


def test_a_wrong_call_and_a_wrong_answer_are_repaired_by_the_next() -> None:
    for first in (asked(0, "what_iff", wrong="no tool what_iff"), asked(0, wrong="p does not sum to 1")):
        found = counted(first, asked(0), decided(0))
        assert (found.answers, found.valid, found.repaired) == (2, 1, 1)
    failed = counted(asked(0, wrong="timeout", failure="timeout"), decided(0, f"{INVALID}: random policy"))
    assert (failed.answers, failed.failed, failed.valid, failed.repaired, failed.fell_back) == (1, 1, 0, 0, 1)


def test_a_question_that_nobody_waited_for_any_more_says_nothing_of_answers() -> None:
    found = counted(asked(0), decided(0), asked(20, wrong=UNANSWERED, failure=UNANSWERED), decided(20))
    assert (found.decisions, found.asked, found.answers, found.failed) == (2, 1, 1, 0)


@pytest.mark.parametrize(
    ("reason", "reasoner", "fell_back"),
    [
        (NOBODY, "rules", 1),
        ("rejected by person (too dear): what was in force stays: as it was", "none", 1),
        ("edited by person: I think so", "none", 1),
        ("approved by person: I think so", "openai", 0),
        (f"{INVALID}: last valid decision kept", "openai", 1),
    ],
)
def test_what_something_else_decided_in_its_place_fell_back(
    reason: str, reasoner: str, fell_back: int
) -> None:
    found = counted(asked(0), decided(0, reason, reasoner))
    assert (found.decisions, found.asked, found.valid, found.fell_back) == (1, 1, 1, fell_back)


def test_a_meta_controller_answers_by_calls() -> None:
    assert is_answer(asked(0, "set_device_risky", actor="meta"))
    assert not is_answer(asked(0, "what_if"))


@pytest.mark.slow
def test_where_nobody_approves_every_held_decision_fell_back() -> None:
    scenario = load_scenario("demo").model_copy(update={"slots": 6, "tail_slots": 0})
    found = simulate_in_memory(with_approval(with_reasoner(scenario, "random"), True), "MA", 0)
    held = sum(d.actor == PERSON for d in found.decisions)
    assert held
    assert sum(account.fell_back for account in accounts_of(compare_runs([found]).results)) >= held
