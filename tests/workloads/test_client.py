"""A request as an HTTP call, and what its answer says."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from tests.build.workloads import POISSON, SLOTTED, TRACE, scenario
from workloads.client import Answer, HttpCall, build_call, is_streamed, words
from workloads.generate import generate

MODELS = {m.id: m for m in scenario(POISSON).testbed.models}
SECRET = 987_654


def request(model: str, prompts: int = 1, prompt_tokens: int = 0) -> Request:
    return Request("r000007", model, "n2", 1.5, math.inf, prompts, prompt_tokens)


def body(call: HttpCall) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call.body)
    return found


def test_text_goes_to_chat_with_one_word_per_token() -> None:
    call = build_call(request("gpt2", prompt_tokens=37), MODELS["gpt2"], 64)
    sent = body(call)
    assert call.path == "/v1/chat/completions"
    assert len(sent["messages"][0]["content"].split()) == 37
    assert sent["max_tokens"] == 64
    assert call.headers["X-Request-ID"] == "r000007"
    assert call.headers["X-Edge-Origin"] == "n2"
    assert "Authorization" not in call.headers
    assert "X-Edge-Intended-S" not in call.headers


def test_a_stream_asks_for_its_usage() -> None:
    call = build_call(request("gpt2", prompt_tokens=3), MODELS["gpt2"], 64, stream_share=1.0, api_key="k")
    assert call.stream
    assert body(call)["stream_options"] == {"include_usage": True}
    assert call.headers["Authorization"] == "Bearer k"


def test_a_text_batch_goes_to_completions() -> None:
    call = build_call(request("batch", prompts=3), MODELS["batch"], None, stream_share=1.0)
    assert (call.path, len(body(call)["prompt"]), call.answers, call.stream) == (
        "/v1/completions",
        3,
        3,
        False,
    )


def test_captions_carry_one_real_image_per_prompt() -> None:
    call = build_call(request("blip", prompts=2), MODELS["blip"], None, stream_share=1.0)
    parts = body(call)["messages"][0]["content"]
    images = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
    assert (call.path, len(images), call.stream) == ("/v1/chat/completions", 2, False)
    with Image.open(io.BytesIO(base64.b64decode(images[0].split(",", 1)[1]))) as image:
        image.load()
        assert image.format == "PNG"


def test_images_ask_for_k_of_a_size() -> None:
    call = build_call(request("sd", prompts=2), MODELS["sd"], None)
    asked = {k: body(call)[k] for k in ("n", "size", "response_format")}
    assert call.path == "/v1/images/generations"
    assert asked == {"n": 2, "size": "256x256", "response_format": "b64_json"}


def test_the_share_of_streams_is_met_and_fixed_per_request() -> None:
    ids = [f"r{i:06d}" for i in range(4000)]
    streamed = [i for i in ids if is_streamed(i, 0.25)]
    assert abs(len(streamed) - 1000) < 4 * math.sqrt(750)
    assert streamed == [i for i in ids if is_streamed(i, 0.25)]
    assert not any(is_streamed(i, 0.0) for i in ids)
    assert all(is_streamed(i, 1.0) for i in ids)


@pytest.mark.slow
def test_no_call_depends_on_the_true_length_even_where_routers_know_it() -> None:
    blind = generate(scenario(TRACE, POISSON, SLOTTED, length_knowledge="predicted"), 1)
    exact = generate(scenario(TRACE, POISSON, SLOTTED, length_knowledge="exact"), 1)
    for (unknown, _), (known, truth) in zip(blind.items, exact.items, strict=True):
        limit = exact.max_tokens.get(known.id)
        call = build_call(known, MODELS[known.model], limit, 0.5)
        assert call == build_call(unknown, MODELS[unknown.model], limit, 0.5)
        numbers = [n for k, n in _numbers(body(call)) if k != "max_tokens"]
        assert limit is None or truth.output_tokens == limit or truth.output_tokens not in numbers


@settings(deadline=None)
@given(
    st.sampled_from(sorted(MODELS)), st.integers(1, 8), st.integers(0, 300), st.sampled_from([None, 64, 900])
)
def test_what_a_router_knows_of_the_output_is_in_no_header_or_body(
    model: str, prompts: int, prompt_tokens: int, limit: int | None
) -> None:
    asked = replace(request(model, prompts, prompt_tokens), known_output_tokens=float(SECRET))
    call = build_call(asked, MODELS[model], limit, 0.5, "key")
    assert str(SECRET) not in call.body.decode() + json.dumps(dict(call.headers))


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for k, v in value.items():
            yield from _numbers(v, k)
    elif isinstance(value, list):
        for v in value:
            yield from _numbers(v, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


@settings(deadline=None)
@given(st.integers(0, 500))
def test_words_are_exactly_as_many_as_asked(count: int) -> None:
    assert len(words(count).split()) == count


def answer(model: ModelSpec = MODELS["gpt2"], status: int = 200, prompts: int = 1) -> Answer:
    return Answer(build_call(request(model.id, prompts, 3), model, 64, 1.0), status)


def test_first_token_is_the_first_line_with_text() -> None:
    reply = answer()
    lines = [
        b": keep-alive\n",
        b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n',
        b"\n",
        b'data: {"choices": [{"delta": {"content": "near"}}]}\n',
        b'data: {"choices": [], "usage": {"completion_tokens": 1}}\n',
        b"data: [DONE]\n",
    ]
    assert [reply.line(line) for line in lines] == [False, False, False, True, False, False]
    assert (reply.outcome(), reply.output_tokens, reply.error) == ("done", 1, None)


def test_a_stream_without_its_end_is_an_error() -> None:
    reply = answer()
    reply.line(b'data: {"choices": [{"delta": {"content": "near"}}]}')
    assert reply.outcome() == "error"
    assert reply.error is not None
    assert "[DONE]" in reply.error


def test_an_error_inside_a_stream_keeps_the_servers_word() -> None:
    reply = answer()
    reply.line(b'data: {"error": {"message": "too late", "code": "expired"}}')
    reply.line(b"data: [DONE]")
    assert (reply.outcome(), reply.error) == ("expired", "too late")


@pytest.mark.parametrize(
    ("status", "raw", "outcome"),
    [
        (429, b'{"error": {"message": "full", "code": "rejected"}}', "rejected"),
        (429, b'{"error": {"message": "full", "code": null}}', "rejected"),
        (503, b'{"error": {"message": "gone", "code": "node_lost"}}', "node_lost"),
        (503, b'{"error": {"message": "none", "code": "no_host"}}', "no_host"),
        (503, b'{"error": {"message": "no run is in progress", "code": "not_ready"}}', "error"),
        (504, b"upstream timed out", "expired"),
        (500, b'{"error": "broken"}', "error"),
        (404, b'{"detail": "Not Found"}', "error"),
        (200, b"<html>", "error"),
        (200, b"[]", "error"),
        (200, b'{"choices": [{}], "usage": {"completion_tokens": 9}}', "done"),
    ],
)
def test_outcome_is_the_servers_word_or_follows_the_status(status: int, raw: bytes, outcome: str) -> None:
    reply = answer(status=status)
    reply.body(raw)
    assert reply.outcome() == outcome
    assert (reply.error is None) == (outcome == "done")


def test_a_batch_with_answers_missing_is_an_error() -> None:
    reply = answer(MODELS["sd"], prompts=3)
    reply.body(b'{"data": [{}, {}]}')
    assert (reply.outcome(), reply.error) == ("error", "2 answers of 3")
