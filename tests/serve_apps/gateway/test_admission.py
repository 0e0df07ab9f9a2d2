"""Who may ask, what a request is made of, and what its headers say."""

from __future__ import annotations

import pytest

from serve_apps.wire.secret import Keys, Secret
from tests.build.asgi import CHAT, MadeUpRun, asked


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
    reply = asked("/v1/chat/completions", {**CHAT, "max_tokens": 5}, run, headers=headers)
    request = run.asked[0][0]
    assert (request.id, request.origin, request.arrival_s, request.deadline_s) == ("a/b:1", "d1", 90.5, 120.5)
    assert request.known_output_tokens == 5.0
    assert reply.headers["x-request-id"] == "a/b:1"


def test_without_headers_a_request_enters_now_at_the_first_node() -> None:
    run = MadeUpRun()
    reply = asked("/v1/chat/completions", CHAT, run)
    request = run.asked[0][0]
    assert (request.origin, request.arrival_s) == ("d0", 100.0)
    assert reply.headers["x-request-id"] == request.id


def test_nobody_means_to_send_later_than_now() -> None:
    run = MadeUpRun()
    asked("/v1/chat/completions", CHAT, run, headers={"X-Edge-Intended-S": "101"})
    assert run.asked[0][0].arrival_s == 100.0


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-Edge-Origin", "mars", 400),
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
