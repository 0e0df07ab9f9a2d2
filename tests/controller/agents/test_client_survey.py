"""What is learnt of a server before it is asked: models, their size, whether it shows tools or holds to a schema."""

from __future__ import annotations

from typing import Any

import pytest

from controller.agents.client import OpenAiLlm
from controller.agents.openai_config import OpenAiConfig
from controller.agents.server import size_told
from controller.agents.survey import doubts
from tests.build.clients import GOOD, QUICK, client, query, uncounted
from tests.build.server_script import said


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


def test_a_template_that_shows_no_tools_is_found_where_nothing_is_counted() -> None:
    with client(lambda body, before: uncounted(said("Hello!"))) as (llm, _):
        assert llm.form("meta") == "choice"
