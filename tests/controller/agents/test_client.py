"""The client against a server that behaves badly on purpose: a valid reply or one that says what failed, every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.agents.client import OpenAiLlm
from controller.agents.llm import ReasonerError
from tests.build.clients import GOOD, SCHEMA, TOOL, client, once, query
from tests.build.server_script import Answered, refused, said


def test_a_question_carries_its_schema_and_a_bound_that_new_models_take() -> None:
    with client(lambda body, before: said(GOOD)) as (llm, server):
        reply = llm.ask(query())
    (body,) = server.seen
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
    assert body["max_completion_tokens"] == 1024
    assert "max_tokens" not in body
    assert (reply.text, reply.failure, reply.tokens) == (GOOD, None, 110)


REFUSALS = {
    "max_tokens only": (
        "max_completion_tokens",
        "Unknown field max_completion_tokens",
        "max_completion_tokens",
    ),
    "temperature": ("temperature", "Unsupported value: 'temperature' does not support 0", "temperature"),
    "no schema": ("response_format", "json_schema is not supported by this model", None),
    "no effort": ("reasoning_effort", "Unrecognized request argument: reasoning_effort", None),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_a_server_refuses_is_left_out_and_stays_out(kind: str) -> None:
    refuses, message, param = REFUSALS[kind]

    def behave(body: dict[str, Any], before: int) -> Answered:
        return refused(400, message, param) if refuses in body else said(GOOD)

    with client(behave, reasoning_effort="low") as (llm, server):
        replies = [llm.ask(query()) for _ in range(3)]
    assert [r.failure for r in replies] == [None] * 3
    assert len(server.seen) == 4, "refused once"
    assert replies[0].served is not None
    assert replies[0].served.retries == 0, "what it took to learn how it wants to be asked is no retry"
    assert ("max_tokens" in server.seen[-1]) == (kind == "max_tokens only")


@pytest.mark.parametrize(
    ("tools", "may_call", "schema"), [(True, True, False), (True, False, True), (False, True, True)]
)
def test_an_answer_is_held_to_its_schema_where_no_tool_may_be_called_instead(
    tools: bool, may_call: bool, schema: bool
) -> None:
    asked = replace(query(tools=(TOOL,)), may_call=may_call)
    with client(lambda body, before: said(GOOD)) as (llm, server):
        if not tools:
            llm.server.left_out.add("tools")
        served = llm.ask(asked).served
    (body,) = server.seen
    assert ("response_format" in body, "tools" in body) == (schema, tools)
    assert body.get("tool_choice") == (None if may_call else "none")
    assert served is not None
    assert served.schema is schema


def test_tools_that_are_refused_are_left_out() -> None:
    def behave(body: dict[str, Any], before: int) -> Answered:
        return refused(400, "m does not support tools") if "tools" in body else said("fine")

    with client(behave) as (llm, _):
        assert llm.ask(query(tools=(TOOL,))).text == "fine"
        assert llm.form("meta") == "choice", "a model that is shown no tools is given a choice"


@pytest.mark.parametrize(
    ("status", "message", "learnt"),
    [
        (500, "Failed to parse tool call arguments as JSON", False),
        (400, "could not parse the model's tool call", False),
        (500, "the tool server is restarting", False),
        (500, "tools param requires --jinja flag", True),
        (501, "tools are off here", True),
        (400, "Failed to parse grammar: this schema has tools", True),
    ],
)
def test_one_bad_generation_takes_nothing_from_a_server(status: int, message: str, learnt: bool) -> None:
    def behave(body: dict[str, Any], before: int) -> Answered:
        return said(GOOD) if before == 0 or "tools" not in body else refused(status, message)

    with client(behave, attempts=1) as (llm, server):
        llm.ask(query())
        failure = llm.ask(query(tools=(TOOL,))).failure
    assert ("tools" in llm.server.left_out) is learnt
    assert failure == (None if learnt else f"http_{status}")


@pytest.mark.parametrize(
    ("answer", "failure", "requests"),
    [
        (Answered(200, b"<html>"), "malformed_response", 1),
        (Answered(200, {"choices": []}), "malformed_response", 1),
        (said("I ramble", finish="length"), "length", 1),
        (said("no", finish="content_filter"), "refusal", 1),
        (refused(500, "try later"), "http_500", 3),
        (refused(503, "overloaded", retry_after="0.001"), "http_503", 3),
        (refused(429, "slow down"), "http_429", 3),
        (refused(400, "maximum context length is 512 tokens"), "context", 1),
        (Answered(never=True), "timeout", 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_failure_is_a_reply_that_says_how(answer: Answered, failure: str, requests: int) -> None:
    with client(lambda body, before: answer, timeout_s=0.3 if answer.never else 5.0) as (llm, server):
        reply = llm.ask(query())
    assert (reply.failure, reply.calls) == (failure, ())
    assert reply.served is not None
    assert reply.served.retries == requests - 1
    if not answer.never:  # of what is given up the server may have read nothing yet
        assert len(server.seen) == requests
    if failure in ("timeout", "malformed_response"):
        assert reply.served.lost_tokens > 0, "what was read in vain was paid for"
        assert reply.tokens == reply.served.lost_tokens


@pytest.mark.parametrize(
    "answer", [refused(500, "x"), refused(429, "x", retry_after="0.001"), refused(502, "x")]
)
def test_what_passes_is_tried_again(answer: Answered) -> None:
    with client(once(answer)) as (llm, _):
        reply = llm.ask(query())
    assert reply.failure is None
    assert reply.served is not None
    assert reply.served.retries == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refused(401, "Incorrect API key provided"), "401 (Incorrect API key provided); set OPENAI_API_KEY"),
        (refused(403, "not yours"), "403 (not yours)"),
        (refused(404, "The model `m` does not exist"), "404"),
        (refused(400, "metadata is malformed"), "400 (metadata is malformed)"),
    ],
)
def test_what_never_gets_better_ends_the_run(answer: Answered, told: str) -> None:
    with client(lambda body, before: answer) as (llm, server), pytest.raises(ReasonerError) as caught:
        llm.ask(query())
    assert told in str(caught.value)
    assert len(server.seen) == 1


def test_a_refusal_of_one_question_is_no_refusal_of_all() -> None:
    def behave(body: dict[str, Any], before: int) -> Answered:
        return refused(400, "this one is malformed") if before == 1 else said(GOOD)

    with client(behave) as (llm, _):
        replies = [llm.ask(query()) for _ in range(3)]
    assert [r.failure for r in replies] == [None, "http_400", None]
    assert replies[1].served is not None
    assert replies[1].served.detail == "this one is malformed"


def test_a_question_that_does_not_fit_is_not_sent_and_one_that_nearly_does_gets_a_shorter_answer() -> None:
    listed = [{"id": "m", "object": "model", "created": 0, "owned_by": "x", "max_model_len": 512}]
    with client(lambda body, before: said(GOOD), listed) as (llm, server):
        assert llm.form("planner") == "free"
        assert llm.ask(query("word " * 800)).failure == "context"
        assert server.seen == []
        assert llm.ask(query("word " * 200)).failure is None
    assert 16 <= server.seen[0]["max_completion_tokens"] < 400


def test_no_secret_of_an_address_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with client(lambda body, before: refused(500, "no")) as (llm, server):
        secret = llm.config.model_copy(
            update={"base_url": server.url.replace("//", "//user:pass@") + "?key=abc"}
        )
        served = OpenAiLlm(secret).ask(query()).served
    assert served is not None
    assert served.url == server.url
    assert not any(word in repr(served) for word in ("pass", "abc", "secret"))


def test_a_server_that_says_its_key_again_is_recorded_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    message = f"{'x' * 290} sk-very-secret is no key"
    with client(lambda body, before: refused(500, message)) as (llm, _):
        served = llm.ask(query()).served
        assert served is not None
        assert (len(served.detail), "sk-" in served.detail) == (300, False)
        assert "sk-" not in llm.server.detail
    with client(lambda body, before: refused(401, "sk-very-secret is no key")) as (llm, _):
        with pytest.raises(ReasonerError, match=r"\*\*\* is no key") as caught:
            llm.ask(query())
        assert "sk-very" not in str(caught.value)


@pytest.mark.parametrize("part", ["blanks", "lines"])
def test_a_server_that_sends_a_little_for_longer_than_a_request_may_take_is_given_up(part: str) -> None:
    """Were it not, a good answer would follow; and the next question is answered as ever."""
    slow = replace(said(GOOD), **{part: 90})

    def behave(body: dict[str, Any], before: int) -> Answered:
        return said(GOOD) if before in (0, 2) else slow

    with client(behave, timeout_s=0.5, attempts=1) as (llm, server):
        failures = [llm.ask(query()).failure for _ in range(3)]
        dripped = server.dripped
    assert (failures, len(server.seen)) == ([None, "timeout", None], 3)
    assert dripped < 90  # it was not waited for
    few = replace(said(GOOD), **{part: 2})
    with client(lambda body, before: few, timeout_s=30.0, attempts=1) as (llm, _):
        assert llm.ask(query()).failure is None


def test_further_fields_and_effort_are_sent_as_they_are_configured() -> None:
    config = {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}, "reasoning_effort": "low"}
    with client(lambda body, before: said(GOOD), **config) as (llm, server):
        llm.ask(query())
    (body,) = server.seen
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["reasoning_effort"] == "low"
