"""Prompts are filled, dialogues are bounded, and what a reasoner writes wrongly becomes a message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jinja2 import UndefinedError

from controller.agents.llm import Message, Query, Reply, ToolCall
from controller.agents.loop import MAX_CALLS, Dialogue, Turn
from controller.agents.outage import failing
from controller.agents.prompts import names, render
from controller.agents.reasoner import split_choice
from controller.agents.rules import RulesLlm
from controller.agents.tools import Arguments, Called, Result, Tool, ToolError
from controller.meta.tool_types import RiskResult
from emulation.domain.events import LlmFailure

DEVICE = {
    "id": "d0", "models": ["m"], "state": "ready", "queued": 2, "hints": ["game"], "risky_for_tasks": 3,
}  # fmt: skip
MODEL = {
    "id": "sd", "modality": "image", "ram_gb": 3.5, "vram_gb": 3.5, "init_s": 15.0, "unload_s": 2.0,
    "gpu_nodes_only": True, "unit": "prompt", "speeds": "on CPU 180 (VM3)",
}  # fmt: skip
BASELINE = {
    "policies": 64, "objective": 0.2, "latency_s": 100.0, "fairness": 0.8, "success": "sd 0.4",
}  # fmt: skip
VARIABLES: dict[str, dict[str, Any]] = {
    "planner_system": {
        "weight": "0.5", "other_weight": "0.5", "scale_s": "900", "tools": True, "max_rounds": 2,
    },
    "planner_epoch": {
        "epoch": 3, "t_s": 4500.0, "slot_s": 30.0, "epoch_slots": 50, "deadline": "requests never expire",
        "nodes": [{"id": "VM2", "cores": 24, "ram_gb": 32.0, "gpus": "no GPU"}], "away": ["VM2"],
        "cpu_law": "Cores are shared.", "models": [MODEL], "demand": "sd 0.8 prompts/s", "baseline": BASELINE,
        "good": ["in epoch 1 all went well"], "bad": ["in epoch 2 nothing did"],
        "telemetry": "In the epoch that ended ...", "backlog": "nothing",
    },
    "scheduler_system": {"mode": "table", "origins": ["VM2"], "models": ["sd"]},
    "scheduler_slot": {
        "slot": 7, "t_s": 210.0, "slot_s": 30.0,
        "models": [{
            "id": "sd", "shares": "VM3 100%", "allowed": ["VM3"], "free": True, "prompts_per_slot": 24.0,
            "prompts_per_request": 4.5,
        }],
        "nodes": [{
            "id": "VM3", "available": True, "cores_free": 8.0, "ram_free_gb": 12.0, "slices_free": 1,
            "models": ["sd ready on gpu, 3 prompts waiting"],
        }],
    },
    "deployer_system": {
        "node": "VM3", "hardware": "one GPU", "memory": "sd 3.5 GB", "gpu_rule": "One vGPU each.", "models": ["sd"],
    },
    "deployer_slot": {
        "t_s": 210.0, "role": "sd on gpu", "cores": 16, "ram_gb": 24.0, "slices": 2, "cores_free": 8.0,
        "ram_free_gb": 12.0, "slices_free": 1, "pending": "Nothing is pending or starting.",
        "models": [{"id": "sd", "modes": ["gpu", "cpu"], "state": "off", "queued": 1, "prompts": 3.0}],
    },
    "agent_repair": {"violations": ["p[sd] sums to 0.9, must be 1"]},
    "meta_system": {"max_rounds": 2, "drift_threshold": 1.3, "must_call": True},
    "choice_system": {"role": "You are the prompt scheduler."},
    "choice_options": {"situation": "Much waits here.", "options": ["1. J 0.1: this", "2. J 0.2: that"]},
    "choice_deployer": {"t_s": 210.0, "models": [{"id": "sd", "state": "off", "prompts": 3.0}]},
    "choice_scheduler": {"slot": 7, "models": [{"id": "sd", "hosts": ["VM3 12 s", "VM4 40 s"]}]},
    "choice_planner": {
        "epoch": 3, "telemetry": "No request has ended yet.", "demand": "sd 0.8 prompts/s", "backlog": "nothing",
    },
    "choice_meta_system": {"role": "You are the meta-controller."},
    "choice_meta": {"situation": "A hint.", "options": ["1. do nothing", "2. keep off"]},
    "meta_event": {
        "t_s": 12.5, "tasks": 7, "cause": "onset:d0", "facts": {"hints": ["game"]}, "router": "sect",
        "explore_weight_ms": 0.0, "risk_penalty_ms": 60_000.0, "devices": [DEVICE],
    },
}  # fmt: skip


def words_of(value: Any) -> Iterator[str]:
    """Every text among a template's variables that is more than one word, at any depth."""
    if isinstance(value, str):
        yield from [value] if " " in value else []
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from words_of(one)


@pytest.mark.parametrize("name", names())
def test_every_template_is_filled(name: str) -> None:
    text = render(name, **VARIABLES[name])
    assert "{{" not in text
    assert "{%" not in text
    assert text.strip()
    for said in words_of(VARIABLES[name]):
        assert said in text, "what is given is told"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_an_error(name: str) -> None:
    for missing in VARIABLES[name]:
        with pytest.raises(UndefinedError):
            render(name, **{k: v for k, v in VARIABLES[name].items() if k != missing})


class Number(Arguments):
    value: int


class Twice(Result):
    value: int


TOOLS = {"twice": Tool("twice", "Doubles.", Number)}


def _run(name: str, arguments: Any) -> Result:
    if arguments.value > 100:
        raise ToolError("too large")
    return Twice(value=2 * arguments.value)


class Says:
    """Answers the same calls for ever, and remembers what it was asked."""

    label = "scripted"

    def __init__(self, *calls: tuple[str, str]) -> None:
        self.calls = calls
        self.asked: list[Query] = []

    def ask(self, query: Query) -> Reply:
        self.asked.append(query)
        made = tuple(ToolCall(f"{query.round}-{i}", *call) for i, call in enumerate(self.calls))
        return Reply(made, thinking_s=1.5)


def _dialogue(rounds: int = 2) -> Dialogue:
    return Dialogue("test", 1, [Message("system", "s"), Message("user", "u")], TOOLS, {}, rounds)


def _held(llm: Says, dialogue: Dialogue) -> list[Called]:
    """Every call made in a dialogue that is held to its end."""
    called: list[Called] = []
    while not dialogue.over:
        called += dialogue.take(llm.ask(dialogue.query()), _run).called
    return called


def test_a_dialogue_ends_after_its_rounds_however_long_the_reasoner_would_go_on() -> None:
    llm = Says(("twice", '{"value": 4}'))
    assert [c.content() for c in _held(llm, _dialogue(3))] == ['{"value":8}'] * 3
    assert [m.role for m in llm.asked[2].messages] == ["system", "user", *["assistant", "tool"] * 2]


def test_wrong_calls_become_messages() -> None:
    llm = Says(("thrice", "{}"), ("twice", '{"value": "x"}'), ("twice", "{"), ("twice", '{"value": 101}'))
    assert all(c.result is None for c in _held(llm, _dialogue()))
    said = [json.loads(m.content)["error"] for m in llm.asked[1].messages if m.role == "tool"]
    assert said[0].startswith("unknown tool 'thrice'")
    assert said[1].startswith("value:")
    assert "JSON" in said[2]
    assert said[3] == "too large"


def test_a_flood_of_calls_is_cut() -> None:
    assert len(_held(Says(*[("twice", '{"value": 1}')] * 50), _dialogue(1))) == MAX_CALLS


def test_a_failure_or_an_answer_without_calls_ends_it() -> None:
    quiet, broken = _dialogue(), _dialogue()
    assert quiet.take(Reply(text="fine"), _run) == Turn()
    assert quiet.over
    assert broken.take(Reply(failure="timeout"), _run) == Turn(violations=("timeout",))
    with pytest.raises(RuntimeError, match="is over"):
        broken.query()


def test_no_tool_may_be_called_once_its_rounds_are_over_or_an_answer_was_wrong() -> None:
    llm = Says(("twice", '{"value": 1}'))

    def dialogue(tools: Any = TOOLS) -> Dialogue:
        opening = [Message("system", "s"), Message("user", "u")]
        return Dialogue("test", 1, opening, tools, {}, 2, lambda reply: (None, ("wrong",)), 2)

    calling, answering = dialogue(), dialogue()
    asked = []
    for _ in range(3):
        asked.append(calling.query().may_call)
        calling.take(llm.ask(calling.query()), _run)
    assert asked == [True, True, False]
    answering.take(Reply(text="no"), _run)
    assert not answering.query().may_call
    assert answering.query().tools, (
        "what was offered stands in the question, so that its beginning is the same"
    )
    assert dialogue({}).query().may_call


def test_the_same_question_has_the_same_key_and_another_has_not() -> None:
    one, same, other = _dialogue(), _dialogue(), _dialogue()
    other.take(Says(("twice", '{"value": 1}')).ask(other.query()), _run)
    assert one.query().key() == same.query().key() != other.query().key()


@pytest.mark.parametrize("failure", LlmFailure.__args__)  # type: ignore[attr-defined]
def test_every_failure_of_the_plan_can_be_played(failure: str) -> None:
    reply = failing(failure, _dialogue().query())
    assert reply.failure is not None or reply.calls or reply.text
    assert reply.thinking_s > 0


def test_rules_have_nothing_to_say_of_what_they_do_not_know() -> None:
    dialogue = Dialogue("meta", 1, [Message("user", "?")], TOOLS, {"cause": "leave:d0", "kind": "leave"}, 2)
    rules = RulesLlm()
    first = rules.ask(dialogue.query())
    assert [c.name for c in first.calls] == ["get_system_status", "pull_observations"]
    dialogue.take(first, _run)
    assert rules.ask(dialogue.query()).calls == ()


@pytest.mark.parametrize("kind", ["onset", "expiry", "residual", "warmup"])
def test_rules_bear_results_of_tools_that_they_did_not_call(kind: str) -> None:
    """An outage that is over by the second round had others called in the first."""
    situation = {"kind": kind, "device": "d0", "model": "m", "facts": {}}
    query = Query(
        "meta",
        1,
        1,
        (),
        (),
        situation,
        results=(None, RiskResult(device="d0", old=1, new=None, alternative=True)),
    )
    reply = RulesLlm().ask(query)
    masks = kind in ("onset", "expiry")
    assert [call.name for call in reply.calls] == (["clear_device_risky"] if masks else [])


def test_where_nobody_reads_it_nothing_is_said_and_the_results_are_there() -> None:
    def after_a_call(told: bool) -> Query:
        opening = [Message("user", "u")] if told else []
        dialogue = Dialogue("test", 1, opening, TOOLS, {}, 2, told=told)
        dialogue.take(Says(("twice", '{"value": 2}')).ask(dialogue.query()), _run)
        return dialogue.query()

    said, silent = after_a_call(True), after_a_call(False)
    assert [m.role for m in said.messages] == ["user", "assistant", "tool"]
    assert silent.messages == ()
    assert silent.results == said.results
    assert json.loads(said.messages[-1].content) == said.results[0].model_dump()


@pytest.mark.parametrize("choice", ["", "gpt", "rules:x", "openai:y", "scripted", "replay:"])
def test_a_reasoner_that_is_none_is_refused(choice: str) -> None:
    with pytest.raises(ValueError, match="choose rules"):
        split_choice(choice)
