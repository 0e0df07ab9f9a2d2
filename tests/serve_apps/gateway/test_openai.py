"""Each endpoint of the OpenAI API: its answer, its stream, its refusals."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from serve_apps.gateway.flight import Refused
from serve_apps.wire.ask import TOO_LONG, Fault
from serve_apps.wire.messages import Answer, Delta
from tests.build.asgi import CHAT, DELTAS, DONE, PICTURE, SAID, MadeUpRun, asked


def test_chats() -> None:
    run = MadeUpRun()
    reply = asked("/v1/chat/completions", {**CHAT, "max_tokens": 2, "stop": "x", "unknown": 1}, run)
    body = reply.json()
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert body["object"] == "chat.completion"
    assert body["id"] == f"chatcmpl-{run.asked[0][0].id}"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "two words", "refusal": None},
            "logprobs": None,
            "finish_reason": "length",
        }
    ]
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert run.asked[0][1].sampling.stop == ("x",)


def test_captions_many_pictures_in_one_message() -> None:
    run = MadeUpRun(Answer(served=DONE, texts=("a dog", "a cat"), completion_tokens=4))
    parts = [{"type": "text", "text": "what?"}, *[{"type": "image_url", "image_url": {"url": PICTURE}}] * 2]
    reply = asked(
        "/v1/chat/completions", {"model": "blip", "messages": [{"role": "user", "content": parts}]}, run
    )
    assert [c["message"]["content"] for c in reply.json()["choices"]] == ["a dog\na cat"]
    request, ask = run.asked[0]
    assert (request.prompts, ask.images, ask.pictures) == (2, 2, (PICTURE, PICTURE))


def test_completes_each_prompt_n_times() -> None:
    run = MadeUpRun(Answer(served=DONE, texts=("a", "b", "c", "d"), completion_tokens=4))
    reply = asked("/v1/completions", {"model": "gpt2", "prompt": ["one", "two"], "n": 2}, run)
    assert [(c["index"], c["text"], c["finish_reason"]) for c in reply.json()["choices"]] == [
        (0, "a", "stop"), (1, "b", "stop"), (2, "c", "stop"), (3, "d", "stop"),
    ]  # fmt: skip
    assert run.asked[0][1].inputs == ("one", "one", "two", "two")


def test_draws_pictures_as_base64_or_as_data_uris() -> None:
    answer = Answer(served=DONE, images=(b"png",))
    coded = base64.b64encode(b"png").decode()
    body = {"model": "sd", "prompt": "a tower", "size": "64x32", "steps": 4}
    run = MadeUpRun(answer)
    assert asked("/v1/images/generations", body, run).json()["data"] == [{"b64_json": coded}]
    assert (run.asked[0][1].size, run.asked[0][1].sampling.steps) == ((64, 32), 4)
    reply = asked("/v1/images/generations", {**body, "response_format": "url"}, MadeUpRun(answer))
    assert reply.json()["data"] == [{"url": f"data:image/png;base64,{coded}"}]


def test_responds_to_text_with_instructions() -> None:
    run = MadeUpRun()
    reply = asked("/v1/responses", {"model": "gpt2", "input": "hi", "instructions": "be short"}, run)
    body = reply.json()
    assert (body["object"], body["status"]) == ("response", "completed")
    assert body["output"][0]["content"][0]["text"] == "two words"
    assert body["usage"]["input_tokens"] == 3
    assert run.asked[0][1].turns == (("system", "be short"), ("user", "hi"))


def test_lists_models_and_shows_one() -> None:
    listed = asked("/v1/models", run=MadeUpRun()).json()
    assert [m["id"] for m in listed["data"]] == ["gpt2", "blip", "sd"]
    assert asked("/v1/models/blip", run=MadeUpRun()).json() == listed["data"][1]
    missing = asked("/v1/models/org/other", run=MadeUpRun())
    assert (missing.status, missing.error()["code"]) == (404, "model_not_found")


def test_says_how_the_run_goes_and_describes_itself() -> None:
    assert asked("/health").json()["status"] == "idle"
    health = asked("/health", run=MadeUpRun()).json()
    assert (health["status"], health["run"], health["t_s"], health["in_flight"]) == ("ok", "r", 100.0, 1)
    assert "/v1/chat/completions" in asked("/openapi.json").json()["paths"]
    metrics = asked("/metrics", run=MadeUpRun())
    assert metrics.headers["content-type"].startswith("text/plain")
    assert b'edgebed_requests_total{model_name="gpt2",outcome="done",scheme="sect"} 3.0' in metrics.body


def test_streams_a_chat_with_its_token_counts_last() -> None:
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    reply = asked("/v1/chat/completions", body, MadeUpRun(*DELTAS, SAID))
    assert (reply.status, reply.headers["content-type"], reply.ended) == (200, "text/event-stream", True)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    *chunks, last = reply.events()
    assert [c["choices"][0]["delta"] for c in chunks] == [
        {"role": "assistant", "content": ""}, {"content": "two "}, {"content": "words"}, {},
    ]  # fmt: skip
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, None, None, "stop"]
    assert all(c["usage"] is None for c in chunks)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 4)


def test_streams_completions_without_counts_nobody_asked_for() -> None:
    deltas = (Delta(choice=1, text="b", tokens=1), Delta(choice=0, text="a", tokens=1))
    answer = Answer(served=DONE, texts=("a", "b"), completion_tokens=2)
    body = {"model": "gpt2", "prompt": ["x", "y"], "stream": True}
    chunks = asked("/v1/completions", body, MadeUpRun(*deltas, answer)).events()
    choices = [c["choices"][0] for c in chunks]
    assert [(c["index"], c["text"], c["finish_reason"]) for c in choices] == [
        (1, "b", None), (0, "a", None), (0, "", "stop"), (1, "", "stop"),
    ]  # fmt: skip
    assert not any("usage" in c for c in chunks)


def test_streams_a_response_as_typed_events_in_order() -> None:
    reply = asked("/v1/responses", {"model": "gpt2", "input": "hi", "stream": True}, MadeUpRun(*DELTAS, SAID))
    events = reply.events()
    assert [e["type"].removeprefix("response.") for e in events] == [
        "created", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [e["sequence_number"] for e in events] == list(range(9))
    assert [line for line in reply.body.split(b"\n") if line.startswith(b"event: ")] == [
        b"event: " + e["type"].encode() for e in events
    ]
    assert (events[0]["response"]["status"], events[0]["response"]["usage"]) == ("in_progress", None)
    assert (events[5]["text"], events[8]["response"]["status"]) == ("two words", "completed")


def test_a_stream_that_fails_before_its_first_chunk_has_a_status_of_its_own() -> None:
    reply = asked("/v1/chat/completions", {**CHAT, "stream": True}, MadeUpRun(Refused("expired", "too late")))
    assert (reply.status, reply.error()["code"]) == (422, "expired")
    assert reply.headers["content-type"] == "application/json"


def test_a_stream_that_fails_later_ends_with_an_error_event() -> None:
    run = MadeUpRun(DELTAS[0], Refused("node_lost", "gone"))
    reply = asked("/v1/chat/completions", {**CHAT, "stream": True}, run)
    assert (reply.status, reply.ended) == (200, True)
    assert reply.events()[-1]["error"]["code"] == "node_lost"
    assert b"[DONE]" not in reply.body


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {**CHAT, "messages": "hi"}, "messages"),
        ("/v1/chat/completions", {**CHAT, "model": "sd"}, "model"),
        ("/v1/chat/completions", {**CHAT, "model": "blip"}, "messages"),
        ("/v1/completions", {"model": "gpt2", "prompt": ["a"] * 100, "n": 100}, "n"),
        ("/v1/images/generations", {"model": "sd", "prompt": "x", "size": "0x0"}, "size"),
        ("/v1/images/generations", {"model": "gpt2", "prompt": "x"}, "model"),
        ("/v1/responses", {"model": "gpt2", "input": "hi", "top_p": 2}, "top_p"),
    ],
)
def test_names_the_field_that_is_wrong(path: str, body: Any, param: str) -> None:
    run = MadeUpRun()
    reply = asked(path, body, run)
    assert (reply.status, reply.error()["param"]) == (400, param)
    assert not run.asked


def test_a_response_describes_no_more_pictures_than_a_chat_would() -> None:
    parts = [{"type": "input_image", "image_url": PICTURE}] * 129
    body = {"model": "blip", "input": [{"role": "user", "content": parts}]}
    assert asked("/v1/responses", body, MadeUpRun()).status == 400


def test_a_body_that_is_no_json_says_so() -> None:
    reply = asked("/v1/chat/completions", b"{", MadeUpRun())
    assert (reply.status, reply.error()["code"], reply.error()["param"]) == (400, "invalid_json", None)


@pytest.mark.parametrize(
    ("refused", "status", "code", "retry"),
    [
        (Refused("expired", "late"), 422, "expired", None),
        (Refused("no_host", "nowhere", retry_after_s=7.4), 503, "no_host", "8"),
        (Refused("error", "broke", retry_after_s=0.0), 503, "error", "1"),
        (Refused("error", "13 is too many", fault=Fault("max_tokens")), 400, None, None),
        (Refused("rejected", "too long", fault=Fault("messages", TOO_LONG)), 400, TOO_LONG, None),
    ],
)
def test_each_bad_end_has_its_status(
    refused: Refused, status: int, code: str | None, retry: str | None
) -> None:
    reply = asked("/v1/chat/completions", CHAT, MadeUpRun(refused))
    assert (reply.status, reply.error()["code"], reply.headers.get("retry-after")) == (status, code, retry)
    assert reply.error()["param"] == (refused.fault and refused.fault.param)
