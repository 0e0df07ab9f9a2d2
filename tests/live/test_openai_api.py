"""The gateway speaks what the OpenAI SDK expects, and answers what is wrong with a 4xx in its error shape."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from tests.build.live import TOKEN
from workloads.client import tiny_png_uri

Begin = Callable[..., Any]


@pytest.fixture(scope="module")
def live(begin: Begin) -> Any:
    return begin("sect")


@pytest.fixture(scope="module")
def sdk(live: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{live.cluster.url}/v1", api_key="none", max_retries=0, timeout=60
    ) as client:
        yield client


def test_lists_the_models_of_the_testbed(sdk: openai.OpenAI) -> None:
    assert [m.id for m in sdk.models.list()] == ["gpt2", "blip", "sd", "big"]
    assert sdk.models.retrieve("gpt2").id == "gpt2"


def test_chats_with_as_many_tokens_as_it_counts(sdk: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "three short words"}]
    answer = sdk.chat.completions.create(
        model="gpt2",
        messages=messages,
        max_completion_tokens=12,
        extra_body={"ignore_eos": True, "unknown": 1},
    )
    text = answer.choices[0].message.content
    assert text is not None
    assert answer.usage is not None
    assert len(text.split()) == answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens == 3
    assert answer.choices[0].finish_reason == "length"


def test_streams_the_same_tokens_and_their_usage(sdk: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    chunks = list(
        sdk.chat.completions.create(
            model="gpt2", messages=messages, max_tokens=40, stream=True, stream_options={"include_usage":
            True}, extra_body={"ignore_eos": True},
        )
    )  # fmt: skip
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert len(text.split()) == chunks[-1].usage.completion_tokens == 40
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"


def test_completes_a_batch_with_one_choice_per_prompt(sdk: openai.OpenAI) -> None:
    answer = sdk.completions.create(model="big", prompt=["one", "two", "three"], max_tokens=5)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert all(len(c.text.split()) == 5 for c in answer.choices)
    streamed = list(sdk.completions.create(model="big", prompt=["one", "two"], max_tokens=5, stream=True))
    assert {c.choices[0].index for c in streamed} == {0, 1}
    assert sum(len(c.choices[0].text.split()) for c in streamed) == 10


def test_draws_images_of_the_asked_size(sdk: openai.OpenAI) -> None:
    answer = sdk.images.generate(
        model="sd", prompt="a lighthouse", n=2, size="256x256", response_format="b64_json"
    )
    assert answer.data is not None
    assert len(answer.data) == 2
    for item in answer.data:
        image = Image.open(BytesIO(base64.b64decode(item.b64_json or "")))
        image.load()
        assert image.size == (256, 256)


def test_captions_a_picture_in_a_data_uri(sdk: openai.OpenAI) -> None:
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": tiny_png_uri()}},
    ]
    messages: Any = [{"role": "user", "content": content}]
    answer = sdk.chat.completions.create(model="blip", messages=messages)
    assert (answer.choices[0].message.content or "").startswith("a photo of")


def test_answers_and_streams_responses(sdk: openai.OpenAI) -> None:
    asked: Any = {"model": "gpt2", "input": "hello there", "max_output_tokens": 8}
    answer = sdk.responses.create(**asked)
    assert answer.usage is not None
    assert len(answer.output_text.split()) == answer.usage.output_tokens
    events = list(sdk.responses.create(**asked, stream=True, extra_body={"ignore_eos": True}))
    assert [events[0].type, events[-1].type] == ["response.created", "response.incomplete"]
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta").split()


CHAT = {"model": "gpt2", "messages": [{"role": "user", "content": "hi"}]}
BAD = [
    ("/v1/chat/completions", b"", 400),
    ("/v1/chat/completions", b"{", 400),
    ("/v1/chat/completions", b"[]", 400),
    ("/v1/chat/completions", b"null", 400),
    ("/v1/chat/completions", b"\xff\xfe\x00", 400),
    ("/v1/chat/completions", b'{"model": "gpt2", "messages": NaN}', 400),
    ("/v1/chat/completions", b"[" * 100_000, 400),
    ("/v1/chat/completions", {}, 400),
    ("/v1/chat/completions", {**CHAT, "model": 5}, 400),
    ("/v1/chat/completions", {**CHAT, "model": "gpt5"}, 404),
    ("/v1/chat/completions", {**CHAT, "model": "gp\0t2"}, 400),
    ("/v1/chat/completions", {**CHAT, "messages": "hi"}, 400),
    ("/v1/chat/completions", {**CHAT, "messages": []}, 400),
    ("/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": "a\0b"}]}, 400),
    ("/v1/chat/completions", {**CHAT, "messages": [{"role": "nobody", "content": "a"}]}, 400),
    ("/v1/chat/completions", {**CHAT, "max_tokens": -1}, 400),
    ("/v1/chat/completions", {**CHAT, "max_tokens": 0}, 400),
    ("/v1/chat/completions", {**CHAT, "max_tokens": "12"}, 400),
    ("/v1/chat/completions", {**CHAT, "max_tokens": 1e99}, 400),
    ("/v1/chat/completions", {**CHAT, "n": 10**9}, 400),
    ("/v1/chat/completions", {**CHAT, "stream": "yes"}, 400),
    ("/v1/chat/completions", {**CHAT, "model": "sd"}, 400),
    ("/v1/chat/completions", {**CHAT, "model": "blip"}, 400),
    ("/v1/completions", {"model": "big", "prompt": []}, 400),
    ("/v1/completions", {"model": "big", "prompt": ["a"] * 100, "n": 100}, 400),
    ("/v1/completions", {"model": "big", "prompt": {"a": 1}}, 400),
    ("/v1/images/generations", {"model": "sd", "prompt": "x", "size": "big"}, 400),
    ("/v1/images/generations", {"model": "sd", "prompt": "x", "size": "0x0"}, 400),
    ("/v1/images/generations", {"model": "sd", "prompt": "x", "size": "99999x99999"}, 400),
    ("/v1/images/generations", {"model": "sd", "prompt": "x", "n": 1000}, 400),
    ("/v1/images/generations", {"model": "gpt2", "prompt": "x"}, 400),
    ("/v1/responses", {"model": "gpt2", "input": 5}, 400),
    ("/v1/nothing", {}, 404),
    ("/v1/models", {}, 405),
    ("/control/inject", {"kind": "meteor"}, 400),
    ("/control/inject", {"kind": "leave", "node": "nowhere", "at_s": 0, "until_s": 1e9}, 400),
    ("/control/block", {"seconds": -1}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status"), BAD)
def test_refuses_bad_input_in_the_openai_error_shape(live: Any, path: str, body: Any, status: int) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    answer = live.http.post(path, content=raw, headers=headers)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Edge-Origin", "mars"),
        ("X-Request-ID", "a b"),
        ("X-Request-ID", "x" * 500),
        ("X-Edge-Intended-S", "nan"),
    ],
)
def test_refuses_bad_headers(live: Any, header: str, value: str) -> None:
    answer = live.chat(headers={header: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == header


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_says_which_methods_a_path_has(live: Any, method: str) -> None:
    answer = live.http.request(method, "/v1/chat/completions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_survives_requests_that_are_not_http(live: Any) -> None:
    url = httpx2.URL(live.cluster.url)
    for raw in (b"\0\1\2\3\r\n\r\n", b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n"):
        with socket.create_connection((url.host, url.port or 80), timeout=10) as link:
            link.sendall(raw)
            assert not link.recv(100).startswith(b"HTTP/1.1 5")
    assert live.http.get("/health").json()["status"] == "ok"


def test_describes_itself(live: Any) -> None:
    paths = live.http.get("/openapi.json").json()["paths"]
    assert "/v1/chat/completions" in paths
    assert b"edgebed_requests_total" in live.http.get("/metrics").content
