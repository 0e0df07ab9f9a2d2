"""The client against a server that behaves badly on purpose: a valid reply or one that says what failed, every time."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.agents.account import Account, Accounts
from controller.agents.client import OpenAiLlm
from controller.agents.config import AgentsConfig
from controller.agents.llm import Message, Query, ReasonerError, Reply, Wanted
from controller.agents.openai_config import OpenAiConfig
from controller.agents.server import size_told
from controller.agents.survey import doubts
from emulation.domain.complaints import complaint
from tests.build.server_script import Answered, Behaviour, ScriptedServer, refused, said, serving

SCHEMA = {
    "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False,
}  # fmt: skip
GOOD = '{"n": 1}'
TOOL = {"type": "function", "function": {"name": "act", "description": "Act.", "parameters": SCHEMA}}
QUICK = {"model": "m", "attempts": 3, "backoff_s": 0.0, "timeout_s": 5.0}


def query(text: str = "What now?", tools: tuple[dict[str, Any], ...] = (), **wanted: Any) -> Query:
    messages = (Message("system", "You decide."), Message("user", text))
    return Query("planner", 1, 0, messages, tools, wanted=Wanted("free", SCHEMA, **wanted))


@contextmanager
def client(
    behave: Behaviour, models: Any = None, **config: Any
) -> Iterator[tuple[OpenAiLlm, ScriptedServer]]:
    with serving(ScriptedServer(behave, models)) as server:
        settings = OpenAiConfig.model_validate({**QUICK, "base_url": server.url, **config})
        yield OpenAiLlm(settings), server


def _once(answer: Answered) -> Behaviour:
    """This first; a good answer to all that follows."""
    return lambda body, before: said(GOOD) if before else answer


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
    assert (reply.failure, reply.calls, len(server.seen)) == (failure, (), requests)
    assert reply.served is not None
    assert reply.served.retries == requests - 1
    if failure in ("timeout", "malformed_response"):
        assert reply.served.lost_tokens > 0, "what was read in vain was paid for"
        assert reply.tokens == reply.served.lost_tokens


@pytest.mark.parametrize(
    "answer", [refused(500, "x"), refused(429, "x", retry_after="0.001"), refused(502, "x")]
)
def test_what_passes_is_tried_again(answer: Answered) -> None:
    with client(_once(answer)) as (llm, _):
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


def test_a_server_that_is_busy_for_long_holds_back_every_agent_of_the_run() -> None:
    with client(lambda body, before: refused(429, "quota", retry_after="60")) as (llm, server):
        other = OpenAiLlm(llm.config, llm.account)
        stranger = OpenAiLlm(llm.config, Account())
        assert [one.ask(query()).failure for one in (llm, other)] == ["http_429"] * 2
        assert len(server.seen) == 1, "the other agent does not ask before the time is over"
        stranger.ask(query())
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "budget",
    [{"max_calls": 2}, {"max_tokens": 200}, {"max_price": 0.00015, "input_price": 1.0, "output_price": 0.0}],
)
def test_a_budget_is_of_all_agents_together(budget: dict[str, Any]) -> None:
    with client(lambda body, before: said(GOOD), **budget) as (llm, server):
        other: OpenAiLlm = pickle.loads(pickle.dumps(OpenAiLlm(llm.config, llm.account)))
        replies = [llm.ask(query()), other.ask(query()), llm.ask(query()), other.ask(query())]
    assert [r.failure for r in replies] == [None, None, "budget", "budget"]
    assert len(server.seen) == 2


def test_a_question_that_does_not_fit_is_not_sent_and_one_that_nearly_does_gets_a_shorter_answer() -> None:
    listed = [{"id": "m", "object": "model", "created": 0, "owned_by": "x", "max_model_len": 512}]
    with client(lambda body, before: said(GOOD), listed) as (llm, server):
        assert llm.form("planner") == "free"
        assert llm.ask(query("word " * 800)).failure == "context"
        assert server.seen == []
        assert llm.ask(query("word " * 200)).failure is None
    assert 16 <= server.seen[0]["max_completion_tokens"] < 400


@pytest.mark.parametrize(
    ("entry", "form"),
    [
        ({"meta": {"n_params": 135_000_000}}, "choice"),
        ({"meta": {"n_params": 7e10}}, "free"),
        ({}, "free"),
        ({"root": "/hub/models--Qwen--Qwen2.5-7B-Instruct/snapshots/0a1b2c"}, "choice"),
        ({"root": "Qwen/Qwen2.5-14B-Instruct-1M"}, "free"),
    ],
)
def test_a_small_model_is_given_a_choice(entry: dict[str, Any], form: str) -> None:
    listed = [{"id": "m", "object": "model", "created": 0, "owned_by": "x", **entry}]
    with client(lambda body, before: said(GOOD), listed) as (llm, _):
        assert llm.form("scheduler") == form


def test_of_a_list_without_the_model_that_is_asked_nothing_is_learnt_of_it() -> None:
    other = {
        "object": "model",
        "created": 0,
        "owned_by": "x",
        "context_length": 64,
        "meta": {"n_params": 1e8},
    }
    listed = [{"id": "one", **other}, {"id": "two", **other}]
    with client(lambda body, before: said(GOOD), listed) as (llm, _):
        assert llm.form("planner") == "free"
        assert llm.ask(query("word " * 200)).failure is None
    with client(lambda body, before: said(GOOD), listed[:1]) as (llm, _):
        assert llm.form("planner") == "choice", "a server of one model gives it whatever name it is called by"


def test_a_models_name_tells_its_size() -> None:
    told: dict[str, float | None] = {"Qwen2.5-14B-Instruct-1M": 14e9, "Qwen2.5-1M-7B": 7e9}
    told |= {"Qwen2.5-7B-Instruct": 7e9, "smollm2-135m": 135e6, "gpt-5": None, "llama-3.2-1b": 1e9, "m": None}
    assert {name: size_told(name) for name in told} == told


def test_a_template_that_shows_no_tools_is_found() -> None:
    with client(lambda body, before: said("Hello!")) as (llm, _):
        assert llm.form("meta") == "choice"
    with client(lambda body, before: said(calls=(("say_ready", "{}"),) if "tools" in body else ())) as (
        llm,
        _,
    ):
        assert llm.form("meta") == "free"


def test_the_survey_says_what_a_server_does_not_hold_to() -> None:
    with client(lambda body, before: said('{"answer": "ready"}')) as (llm, _):
        assert doubts(llm) == []
    with client(lambda body, before: said("Ready!")) as (llm, _):
        (told,) = doubts(llm)
        assert "does not hold its model to a schema" in told


def test_nobody_there_is_told_apart_from_a_list_that_is_not_there() -> None:
    config = OpenAiConfig.model_validate({**QUICK, "base_url": "http://127.0.0.1:9/v1", "attempts": 1})
    with pytest.raises(ConnectionError):
        doubts(OpenAiLlm(config))
    assert OpenAiLlm(config).ask(query()).failure == "connection"


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


def test_an_answer_is_kept_and_found_again_by_its_question(tmp_path: Path) -> None:
    with client(lambda body, before: said(GOOD), cache=str(tmp_path / "answers")) as (llm, server):
        first, again, other = llm.ask(query()), llm.ask(query()), llm.ask(query("And now?"))
        warmer = OpenAiLlm(llm.config.model_copy(update={"temperature": 1.0})).ask(query())
    assert len(server.seen) == 3
    assert (again.text, again.thinking_s, again.tokens) == (first.text, first.thinking_s, 0)
    assert again.served is not None
    assert again.served.cached
    assert not any(r.served.cached for r in (first, other, warmer) if r.served is not None)


def test_a_broken_file_of_the_cache_counts_as_none(tmp_path: Path) -> None:
    with client(lambda body, before: said(GOOD), cache=str(tmp_path)) as (llm, server):
        llm.ask(query())
        (kept,) = tmp_path.iterdir()
        kept.write_text("{")
        reply: Reply = llm.ask(query())
    assert (reply.text, len(server.seen)) == (GOOD, 2)


@pytest.mark.parametrize("folder", ["file/answers", "file"])
def test_an_answer_that_cannot_be_kept_is_an_answer(
    folder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with client(lambda body, before: said(GOOD), cache=str(tmp_path / folder)) as (llm, server):
        replies = [llm.ask(query()) for _ in range(2)]
    assert [r.text for r in replies] == [GOOD] * 2
    assert llm.account.spent.calls == len(server.seen) == 2
    assert [r.message.split(" in ")[0] for r in caplog.records] == ["answers are not kept"]


def test_a_look_at_a_server_is_never_answered_from_the_cache(tmp_path: Path) -> None:
    """A key that was taken back since, or a schema that is not held to any more, is seen."""

    def behave(body: dict[str, Any], before: int) -> Answered:
        return refused(401, "no such key") if before else said('{"answer": "ready"}')

    with client(behave, cache=str(tmp_path)) as (llm, _):
        assert doubts(llm) == []
        with pytest.raises(ReasonerError, match="401"):
            doubts(llm)


def test_further_fields_and_effort_are_sent_as_they_are_configured() -> None:
    config = {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}, "reasoning_effort": "low"}
    with client(lambda body, before: said(GOOD), **config) as (llm, server):
        llm.ask(query())
    (body,) = server.seen
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["reasoning_effort"] == "low"


def test_the_price_of_a_question_counts_what_was_lost() -> None:
    prices = {"input_price": 2.0, "output_price": 10.0}
    with client(lambda body, before: said(GOOD), **prices) as (llm, _):
        served = llm.ask(query()).served
    assert served is not None
    assert served.price == pytest.approx((100 * 2.0 + 10 * 10.0) / 1e6)


# -- budgets of a run -----------------------------------------------------------------------------------------


def uncounted(answer: Answered) -> Answered:
    """The same of a server that counts no tokens."""
    return Answered(body={name: value for name, value in answer.body.items() if name != "usage"})


@pytest.mark.parametrize("given", [{}, {"input_price": 1.0}, {"output_price": 1.0}])
def test_a_price_that_can_never_be_spent_is_refused(given: dict[str, float]) -> None:
    for config in (OpenAiConfig, AgentsConfig):
        openai = {"max_price": 2.0, **given}
        with pytest.raises(ValidationError) as caught:
            config.model_validate(openai if config is OpenAiConfig else {"openai": openai})
        told = complaint(config, caught.value)
        assert "max_price = 2 is never spent without" in told
        assert all((name in told) == (name not in given) for name in ("input_price", "output_price"))
    assert (
        OpenAiConfig.model_validate({"max_price": 2.0, "input_price": 0.0, "output_price": 1.0}).max_price
        == 2.0
    )


def test_tokens_that_a_server_does_not_count_are_estimated_and_spent() -> None:
    prices = {"input_price": 1e6, "output_price": 1e6}
    with client(lambda body, before: uncounted(said(GOOD * 30)), max_tokens=200, **prices) as (llm, server):
        reply = llm.ask(query("word " * 90))
        assert llm.ask(query()).failure == "budget"
    assert len(server.seen) == 1
    served = reply.served
    assert served is not None
    assert served.estimated
    assert (100 < served.prompt_tokens < 300, 50 < served.answer_tokens < 150) == (True, True)
    assert reply.tokens == served.prompt_tokens + served.answer_tokens == served.price


def test_what_a_server_counts_is_not_estimated() -> None:
    with client(lambda body, before: said(GOOD)) as (llm, _):
        served = llm.ask(query()).served
    assert served is not None
    assert (served.prompt_tokens, served.answer_tokens, served.estimated) == (100, 10, False)


def test_a_template_that_shows_no_tools_is_found_where_nothing_is_counted() -> None:
    with client(lambda body, before: uncounted(said("Hello!"))) as (llm, _):
        assert llm.form("meta") == "choice"


def test_what_closes_to_one_agent_closes_to_those_with_a_budget_of_their_own() -> None:
    with client(lambda body, before: refused(429, "quota", retry_after="60"), max_calls=1) as (llm, server):
        accounts: Accounts = pickle.loads(pickle.dumps(Accounts()))
        meta, agent = OpenAiLlm(llm.config, accounts.meta), OpenAiLlm(llm.config, accounts.agents)
        assert [one.ask(query()).failure for one in (meta, agent)] == ["http_429"] * 2
        assert len(server.seen) == 1
        assert [one.ask(query()).failure for one in (meta, agent)] == ["budget"] * 2, "each has its own"


@pytest.mark.parametrize("year", [2000, 2100])
def test_a_date_to_try_again_at_is_understood(year: int) -> None:
    date = format_datetime(datetime(year, 1, 1, tzinfo=UTC), usegmt=True)
    with client(_once(refused(429, "quota", retry_after=date))) as (llm, server):
        replies = [llm.ask(query()) for _ in range(2)]
    assert [r.failure for r in replies] == (["http_429"] * 2 if year > 2000 else [None] * 2)
    assert len(server.seen) == (1 if year > 2000 else 3)


NO_YEAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
NO_ZONE = "Mon, 01 Jan 2001 00:00:00 +99999999999999999"


@pytest.mark.parametrize("said_so", ["soon", "nan", "", "Wed, 99 Foo", NO_YEAR, NO_ZONE])
def test_a_time_to_try_again_that_says_nothing_closes_nothing(said_so: str) -> None:
    with client(_once(refused(429, "quota", retry_after=said_so))) as (llm, server):
        assert [llm.ask(query()).failure for _ in range(2)] == [None] * 2
    assert len(server.seen) == 3


# -- models that reason before they answer ------------------------------------------------------------------------


def thinking(needs: int, **told: Any) -> Behaviour:
    """A model that is cut short where it has less room than it needs to think and answer."""

    def behave(body: dict[str, Any], before: int) -> Answered:
        cut = body["max_completion_tokens"] < needs
        answer = said("" if cut else f"so it is one.</think>\n{GOOD}", finish="length" if cut else "stop")
        answer.body["choices"][0]["message"] |= told
        return answer

    return behave


def test_a_model_that_reasons_has_the_room_that_is_configured() -> None:
    with client(thinking(200)) as (llm, server):
        replies = [llm.ask(query(answer_tokens=64)) for _ in range(3)]
    assert [r.failure for r in replies] == [None] * 3
    assert {body["max_completion_tokens"] for body in server.seen} == {1024}


def test_a_model_that_answers_at_once_is_bound_to_its_answer() -> None:
    with client(lambda body, before: said(GOOD)) as (llm, server):
        for _ in range(2):
            llm.ask(query(answer_tokens=64))
    assert [body["max_completion_tokens"] for body in server.seen] == [1024, 64]


@pytest.mark.parametrize("told", [{"reasoning_content": "hm"}, {"reasoning": "hm"}])
def test_reasoning_told_apart_from_the_answer_is_seen(told: dict[str, str]) -> None:
    def behave(body: dict[str, Any], before: int) -> Answered:
        answer = said(GOOD)
        answer.body["choices"][0]["message"] |= told
        return answer

    with client(behave) as (llm, server):
        for _ in range(2):
            llm.ask(query(answer_tokens=64))
    assert [body["max_completion_tokens"] for body in server.seen] == [1024, 1024]


def test_reasoning_that_is_only_counted_is_seen_and_a_bound_that_cut_an_answer_is_lifted() -> None:
    def counts(body: dict[str, Any], before: int) -> Answered:
        answer = said(GOOD)
        answer.body["usage"] = {**answer.body["usage"], "completion_tokens_details": {"reasoning_tokens": 9}}
        return answer

    def later(body: dict[str, Any], before: int) -> Answered:
        return thinking(200)(body, before) if before else said(GOOD)

    bounds = []
    for behave in (counts, later):
        with client(behave) as (llm, server):
            for _ in range(3):
                llm.ask(query(answer_tokens=64))
        bounds.append([body["max_completion_tokens"] for body in server.seen])
    assert bounds == [[1024, 1024, 1024], [1024, 64, 1024]]
