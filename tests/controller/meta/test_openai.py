"""The `openai` reasoner against a stand-in server: the wire, every failure, the budgets, and a run end to end."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from controller.agents.client import OpenAiLlm
from controller.agents.llm import Message, Query
from controller.agents.openai_config import OpenAiConfig
from controller.agents.prompts import render
from controller.meta.audit import counts
from controller.meta.config import MetaConfig
from controller.meta.tools import TOOLS
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.scenario import Scenario
from tests.build.meta import SEMANTIC, meta_records, pool, run, stutter_rate
from tests.build.stand_in_llm import StandIn, serving

IMPATIENT = {"timeout_s": 0.2, "attempts": 2, "backoff_s": 0.0}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    with serving(StandIn()) as found:
        monkeypatch.setenv("EDGEBED_LLM_BASE_URL", found.url)
        monkeypatch.setenv("EDGEBED_LLM_MODEL", "tiny")
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        yield found


def _query() -> Query:
    messages = (
        Message("system", render("meta_system", max_rounds=2, drift_threshold=1.3, must_call=True)),
        Message("user", "Virtual time 0\n\nWhat happened: onset:d0\n"),
    )
    return Query("meta", 1, 0, messages, tuple(t.schema() for t in TOOLS.values()))


def _openai(scenario: Scenario) -> Scenario:
    chosen = with_reasoner(scenario, "openai")
    meta = {**chosen.controllers["meta"], "openai": IMPATIENT}
    return chosen.model_copy(update={"controllers": {**chosen.controllers, "meta": meta}})


def test_a_question_and_its_answer_cross_the_wire(server: StandIn) -> None:
    reply = OpenAiLlm().ask(_query())
    assert reply.failure is None
    assert [(c.id, c.name, c.arguments) for c in reply.calls] == [
        ("call_get_system_status", "get_system_status", "{}")
    ]
    assert reply.tokens == 110
    assert reply.thinking_s > 0
    (body,) = server.seen
    assert body["model"] == "tiny"
    assert len(body["tools"]) == 9
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("failure", "said", "requests"),
    [
        ("timeout", "timeout", 2), ("http_429", "http_429", 2), ("http_500", "http_500", 2),
        ("refusal", "refusal", 1), ("garbage", "malformed_response", 1),
    ],
)  # fmt: skip
def test_a_failing_model_is_a_reply_that_says_how(
    server: StandIn, failure: str, said: str, requests: int
) -> None:
    server.failure = failure
    reply = OpenAiLlm(OpenAiConfig.model_validate(IMPATIENT)).ask(_query())
    assert (reply.failure, reply.calls) == (said, ())
    assert len(server.seen) == requests


def test_what_passes_is_tried_again(server: StandIn) -> None:
    server.failure, server.fails = "http_429", 1
    reply = OpenAiLlm(OpenAiConfig.model_validate(IMPATIENT)).ask(_query())
    assert reply.failure is None
    assert len(server.seen) == 2


def test_nobody_there_is_a_failure_too(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBED_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    assert OpenAiLlm(OpenAiConfig.model_validate(IMPATIENT)).ask(_query()).failure == "connection"


@pytest.mark.parametrize("budget", [{"max_calls": 2}, {"max_tokens": 200}])
def test_budgets_end_the_asking(server: StandIn, budget: dict[str, int]) -> None:
    llm = OpenAiLlm(OpenAiConfig.model_validate(budget))
    assert [llm.ask(_query()).failure for _ in range(3)] == [None, None, "budget"]
    assert len(server.seen) == 2


def test_a_client_in_use_pickles(server: StandIn) -> None:
    llm = OpenAiLlm()
    llm.ask(_query())
    other = pickle.loads(pickle.dumps(llm))
    assert other.account.spent.calls == 1
    assert other.ask(_query()).failure is None
    assert llm.account.spent.calls == 2, "the two spend from one account"


def test_the_semantic_scenario_runs_with_a_model_end_to_end(server: StandIn) -> None:
    found = run(_openai(pool(SEMANTIC)))
    assert found.header.reasoner == "openai"
    assert stutter_rate(found) == 0.0
    assert counts(found.decisions) == (3, 6)
    confirmed = [
        d
        for d in meta_records(found)
        if d.reasoner == "openai" and d.choice.get("tool") == "set_device_risky"
    ]
    assert [d.choice["new"] for d in confirmed] == [40, 40, 40]
    assert all(d.inputs_age_s > 0 for d in confirmed)
    exchanges = [d for d in meta_records(found) if "exchange" in d.choice]
    assert all(d.thinking_s > 0 for d in exchanges), "real thinking is charged"
    tool_messages = [m for body in server.seen for m in body["messages"] if m["role"] == "tool"]
    assert {m["tool_call_id"] for m in tool_messages} == {"call_get_system_status"}


@pytest.mark.parametrize(
    "failure",
    [
        "timeout",
        "http_429",
        "http_500",
        "refusal",
        "malformed_json",
        "unknown_tool",
        "out_of_range",
        "endless_tools",
        "garbage",
    ],
)
def test_requests_do_not_feel_a_failing_model(server: StandIn, failure: str) -> None:
    server.failure = failure
    found = run(_openai(pool(SEMANTIC[:2], tasks=60)))
    assert {r.outcome for r in found.requests} == {"done"}
    assert stutter_rate(found) == 0.0
    by_model = [
        d
        for d in meta_records(found)
        if d.reasoner == "openai" and d.choice.get("tool", "") != "get_system_status"
    ]
    if failure != "endless_tools":
        assert any(d.violations for d in by_model)
    assert all(d.choice.get("new") is None for d in by_model)


def test_what_a_config_says_of_a_server_is_not_copied_for_each() -> None:
    assert MetaConfig().openai is MetaConfig().openai
    assert hash(OpenAiConfig(extra_body={"a": 1})) != hash(OpenAiConfig())
