"""Who may ask, what a request is made of, and what its headers say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from serve_apps.gateway.openai import bodies
from serve_apps.wire.secret import Keys, Secret
from tests.build.asgi import CHAT, MadeUpRun, app_of, ask_app, asked
from tests.build.waiting import in_a_loop, turns


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer open", 200),
        ("bearer open", 200),
        ("BeArEr   open", 200),
        ("Bearer shut", 401),
        ("Bearer Open", 401),
        ("open", 401),
        ("Basic open", 401),
        ("Bearer", 401),
        ("", 401),
    ],
)
def test_clients_need_the_key_if_there_is_one(given: str, status: int) -> None:
    keys, headers = Keys(api=Secret("open")), {"Authorization": given}
    reply = asked("/v1/models", run=MadeUpRun(), headers=headers, keys=keys)
    assert reply.status == status
    assert reply.headers.get("www-authenticate", "").startswith("Bearer") == (status == 401)
    assert asked("/v1/chat/completions", CHAT, MadeUpRun(), headers=headers, keys=keys).status == status


def test_between_runs_a_client_is_told_to_come_back() -> None:
    reply = asked("/v1/chat/completions", CHAT)
    assert (reply.status, reply.error()["code"], reply.headers["retry-after"]) == (503, "not_ready", "1")


def test_a_model_the_testbed_does_not_have_is_not_found() -> None:
    reply = asked("/v1/chat/completions", {**CHAT, "model": "gpt5"}, MadeUpRun())
    assert (reply.status, reply.error()["code"]) == (404, "model_not_found")


def test_the_headers_of_a_request_say_where_when_and_under_which_id() -> None:
    run = MadeUpRun()
    headers = {"X-Request-ID": "a/b:1", "X-Edge-Origin": "d1", "X-Edge-Intended-S": "90.5"}
    headers["X-Edge-Tenant"] = "lab-7"
    reply = asked("/v1/chat/completions", {**CHAT, "max_tokens": 5}, run, headers=headers)
    request = run.asked[0][0]
    assert (request.id, request.origin, request.arrival_s, request.deadline_s) == ("a/b:1", "d1", 90.5, 120.5)
    assert request.known_output_tokens == 5.0
    assert request.tenant == "lab-7"
    assert reply.headers["x-request-id"] == "a/b:1"


def test_without_headers_a_request_enters_now_at_the_first_node() -> None:
    run = MadeUpRun()
    reply = asked("/v1/chat/completions", CHAT, run)
    request = run.asked[0][0]
    assert (request.origin, request.arrival_s, request.tenant) == ("d0", 100.0, None)
    assert reply.headers["x-request-id"] == request.id


def test_nobody_means_to_send_later_than_now() -> None:
    run = MadeUpRun()
    asked("/v1/chat/completions", CHAT, run, headers={"X-Edge-Intended-S": "101"})
    assert run.asked[0][0].arrival_s == 100.0


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-Edge-Origin", "mars", 400),
        ("X-Edge-Tenant", "two words", 400),
        ("X-Edge-Tenant", "x" * 65, 400),
        ("X-Edge-Tenant", "-lab", 400),
        ("X-Request-ID", "a b", 400),
        ("X-Request-ID", "x" * 129, 400),
        ("X-Request-ID", "taken", 409),
        ("X-Edge-Intended-S", "nan", 400),
        ("X-Edge-Intended-S", "-1", 400),
        ("X-Edge-Intended-S", "soon", 400),
    ],
)
def test_refuses_bad_headers_by_name(header: str, value: str, status: int) -> None:
    reply = asked("/v1/chat/completions", CHAT, MadeUpRun(), headers={header: value})
    assert (reply.status, reply.error()["param"]) == (status, header)


def with_context(tokens: int) -> MadeUpRun:
    run = MadeUpRun()
    models = tuple(m.model_copy(update={"context_tokens": tokens}) for m in run.run.testbed.models)
    run.run = replace(run.run, testbed=run.run.testbed.model_copy(update={"models": models}))
    return run


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "w " * 10}]}, "messages"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "w"}], "max_tokens": 10},
            "max_tokens",
        ),
        ("/v1/completions", {"prompt": ["w", "w " * 10]}, "prompt"),
        ("/v1/completions", {"prompt": [1] * 10}, "prompt"),
        ("/v1/completions", {"prompt": "w", "min_tokens": 10, "max_tokens": 10}, "max_tokens"),
        ("/v1/responses", {"input": "w " * 10}, "input"),
    ],
)
def test_what_does_not_fit_into_the_models_context_is_refused_before_anybody_works(
    path: str, fields: dict[str, Any], param: str
) -> None:
    for tokens, status in ((10, 400), (11, 200)):
        run = with_context(tokens)
        reply = asked(path, {"model": "gpt2"} | fields, run)
        assert (reply.status, len(run.asked)) == (status, status == 200)
        if status == 400:
            assert (reply.error()["code"], reply.error()["param"]) == ("context_length_exceeded", param)


def test_prompts_that_each_fit_are_taken_however_many_they_are() -> None:
    assert asked("/v1/completions", {"model": "gpt2", "prompt": ["w w w"] * 5}, with_context(4)).status == 200


def test_a_prompt_beyond_any_context_is_counted_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_PROMPT", 50)
    monkeypatch.setattr(bodies, "_PIECE", 20)
    assert bodies.words(["a " * 10_000, "b"]) <= 50 + 20
    assert bodies.words(["a " * 20, "b c"]) == 22


@in_a_loop
async def test_the_loop_turns_while_a_large_prompt_is_read() -> None:
    run = MadeUpRun()
    raw = orjson.dumps({**CHAT, "messages": [{"role": "user", "content": "a " * 4_000_000}]})
    serving = asyncio.ensure_future(ask_app(app_of(run), "POST", "/v1/chat/completions", [raw], {}))
    turned = 0
    while not serving.done():
        turned += 1
        await turns(1)
    reply = await serving
    assert (reply.status, reply.error()["code"], run.asked) == (400, "context_length_exceeded", [])
    assert turned > 10  # read on the loop itself it would be a handful
