"""Every field that the OpenAI SDK can send is honoured, ignored because no answer depends on it, or refused by name."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from openai.types import completion_create_params, image_generate_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from serve_apps.gateway.openai.fields import Ignored, Only
from serve_apps.gateway.openai.form import Form
from serve_apps.gateway.openapi import FORMS
from tests.build.asgi import CHAT, PICTURE, MadeUpRun, Reply, asked

PARAMS: dict[str, Any] = {
    "/v1/chat/completions": chat_create_params.CompletionCreateParams,
    "/v1/completions": completion_create_params.CompletionCreateParams,
    "/v1/images/generations": image_generate_params.ImageGenerateParams,
    "/v1/responses": response_create_params.ResponseCreateParams,
}
LEAST: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "gpt2", "prompt": "hi"},
    "/v1/images/generations": {"model": "sd", "prompt": "a cat"},
    "/v1/responses": {"model": "gpt2", "input": "hi"},
}
CHATS, COMPLETIONS, IMAGES, RESPONSES = LEAST


def fields_of_sdk(path: str) -> set[str]:
    """Every field of the parameters' types."""
    return {name for kind in get_args(PARAMS[path]) for name in kind.__annotations__}


def marked(form: Form[Any], mark: type) -> dict[str, Any]:
    """Fields of a body with such a mark, and the mark."""
    found = ((n, m) for n, f in form.body.model_fields.items() for m in f.metadata if isinstance(m, mark))
    return dict(found)


def post(path: str, **more: Any) -> tuple[Reply, MadeUpRun]:
    run = MadeUpRun()
    return asked(path, {**LEAST[path], **more}, run), run


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_every_field_of_the_sdk_is_in_the_table(form: Form[Any]) -> None:
    sdk = fields_of_sdk(form.path)
    assert len(sdk) > 10
    assert sdk - set(form.body.model_fields) == set()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_every_field_is_in_the_documentation(form: Form[Any]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text()
    assert [name for name in form.body.model_fields if f"`{name}`" not in page] == []


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_no_field_is_in_two_classes(form: Form[Any]) -> None:
    assert not set(marked(form, Only)) & set(marked(form, Ignored))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_a_field_that_is_refused_names_itself_whatever_is_in_it(form: Form[Any]) -> None:
    for name, value in product(marked(form, Only), ({"type": "meteor"}, "meteor", 17, [1], True)):
        if value is True and name in ("add_generation_prompt", "skip_special_tokens"):
            continue  # what is done anyway
        reply, run = post(form.path, **{name: value})
        assert (reply.status, reply.error()["param"], run.asked) == (400, name, []), (name, value)
        assert reply.error()["type"] == "invalid_request_error"
        assert name in reply.error()["message"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_a_refused_field_may_be_null_or_ask_for_nothing(form: Form[Any]) -> None:
    for name, mark in marked(form, Only).items():
        for value in (None, *mark._harmless):
            assert post(form.path, **{name: value})[0].status == 200, (name, value)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_an_ignored_field_of_a_wrong_type_is_refused_all_the_same(form: Form[Any]) -> None:
    for name in marked(form, Ignored):
        reply, _ = post(form.path, **{name: [[17]]})
        assert reply.status == 400, name
        assert reply.error()["param"].split(".")[0] == name
        assert post(form.path, **{name: None})[0].status == 200, name


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (CHATS, {"response_format": "json"}, "response_format"),
    (CHATS, {"response_format": {}}, "response_format.type"),
    (CHATS, {"response_format": {"type": "json_object"}}, "response_format.type"),
    (CHATS, {"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.type"),
    (RESPONSES, {"text": {"format": {"type": "json_schema"}}}, "text.format.type"),
    (RESPONSES, {"text": {"format": "json_object"}}, "text.format"),
    (CHATS, {"tools": {}}, "tools"),
    (CHATS, {"tools": [{}]}, "tools.0.type"),
    (CHATS, {"tools": [{"type": "function"}], "tool_choice": "required"}, "tool_choice"),
    (CHATS, {"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
    (CHATS, {"n": "3"}, "n"),
    (CHATS, {"n": 0}, "n"),
    (CHATS, {"n": 1_000_000_000}, "n"),
    (CHATS, {"n": 1e9}, "n"),
    (CHATS, {"n": True}, "n"),
    (CHATS, {"logprobs": "yes"}, "logprobs"),
    (CHATS, {"logprobs": 0}, "logprobs"),
    (CHATS, {"stop": 5}, "stop"),
    (CHATS, {"stop": [5]}, "stop"),
    (CHATS, {"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    (CHATS, {"min_tokens": 9, "max_tokens": 8}, "min_tokens"),
    (CHATS, {"n": 128, "max_tokens": 131_072}, "max_tokens"),
    (CHATS, {"n": 128, "max_completion_tokens": 131_072}, "max_completion_tokens"),
    (CHATS, {"max_output_tokens": 5}, "max_output_tokens"),
    (CHATS, {"metadata": {"a": 1}}, "metadata.a"),
    (CHATS, {"stream_options": True}, "stream_options"),
    (CHATS, {"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
    (CHATS, {"messages": [{"role": "user"}]}, "messages.0.content"),
    (CHATS, {"messages": [{"role": "user", "content": []}]}, "messages.0.content"),
    (CHATS, {"messages": [{"role": "assistant", "content": None}]}, "messages.0.content"),
    (CHATS, {"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    (CHATS, {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    (COMPLETIONS, {"prompt": [1, "a"]}, "prompt.1"),
    (COMPLETIONS, {"prompt": [-1]}, "prompt.0"),
    (COMPLETIONS, {"prompt": []}, "prompt"),
    (COMPLETIONS, {"prompt": None}, "prompt"),
    (COMPLETIONS, {"prompt": {"a": 1}}, "prompt"),
    (COMPLETIONS, {"best_of": 3}, "best_of"),
    (COMPLETIONS, {"echo": True}, "echo"),
    (COMPLETIONS, {"logprobs": 0}, "logprobs"),
    (COMPLETIONS, {"tool_choice": "auto"}, "tool_choice"),
    (COMPLETIONS, {"messages": []}, "messages"),
    (IMAGES, {"stream": True}, "stream"),
    (IMAGES, {"output_format": "webp"}, "output_format"),
    (IMAGES, {"n": 17}, "n"),
    (IMAGES, {"size": "512x512\n"}, "size"),
    (IMAGES, {"size": " 512x512"}, "size"),
    (IMAGES, {"size": "\uff15\uff11\uff12x512"}, "size"),
    (RESPONSES, {"background": True}, "background"),
    (RESPONSES, {"previous_response_id": "resp-unknown"}, "previous_response_id"),
    (RESPONSES, {"conversation": "conv_1"}, "conversation"),
    (RESPONSES, {"include": ["message.output_text.logprobs"]}, "include.0"),
    (RESPONSES, {"n": 2}, "n"),
    (RESPONSES, {"stop": "x"}, "stop"),
    (RESPONSES, {"input": 5}, "input"),
    (RESPONSES, {"input": []}, "input"),
    (RESPONSES, {"input": [{"type": "item_reference", "id": "msg-1"}]}, "input.0"),
    (RESPONSES, {"input": [{"id": "msg-1"}]}, "input.0"),
    (RESPONSES, {"input": [{"type": "computer_call"}]}, "input.0"),
    (RESPONSES, {"input": ["hi"]}, "input.0"),
    (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input.0.content.0"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "wrong", "param"), WRONG)
def test_what_is_wrong_is_named_as_the_client_wrote_it(path: str, wrong: dict[str, Any], param: str) -> None:
    plain, run = post(path, **wrong)
    streams = path != IMAGES and "stream_options" not in wrong
    for reply in (plain, post(path, **wrong, stream=True)[0]) if streams else (plain,):
        assert (reply.status, reply.error()["param"]) == (400, param)
        assert reply.headers["content-type"] == "application/json"
    assert run.asked == []


@pytest.mark.parametrize(
    ("path", "given"),
    [
        (CHATS, {"unknown_to_everybody": {"a": 1}}),
        (CHATS, {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"}),
        (CHATS, {"response_format": {"type": "text"}}),
        (CHATS, {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]}),
        (CHATS, {"user": "me", "store": True, "service_tier": "flex", "metadata": {"a": "b"}}),
        (COMPLETIONS, {"metadata": {"a": "b"}, "store": True}),
        (COMPLETIONS, {"prompt": [[1, 2], [3]]}),
        (RESPONSES, {"include": ["reasoning.encrypted_content"], "store": False}),
        (IMAGES, {"quality": "standard", "size": "auto"}),
    ],
)
def test_what_asks_for_nothing_we_do_not_do_is_served(path: str, given: dict[str, Any]) -> None:
    assert post(path, **given)[0].status == 200


def test_prompts_given_as_tokens_are_counted_and_passed_on() -> None:
    _, run = post(COMPLETIONS, prompt=[[5, 6, 7], [8]], n=2)
    request, ask = run.asked[0]
    assert (request.prompts, request.prompt_tokens, ask.prompt_tokens) == (4, 8, 4)
    assert ask.inputs == ((5, 6, 7), (5, 6, 7), (8,), (8,))
    assert post(COMPLETIONS, prompt=[1, 2, 3])[1].asked[0][1].inputs == ((1, 2, 3),)


@pytest.mark.parametrize(
    "url",
    ["cat.png", "", "ftp://host/cat.png", "http://", "https:///x", "data:text/plain,hi", "data:image/png;base64,",
     "data:image/png;base64,@@", "http://host/a b", "javascript:alert(1)", "file:///etc/passwd", "http://[::1"],
)  # fmt: skip
def test_a_picture_has_a_url_or_is_one(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    body = {"model": "blip", "messages": [{"role": "user", "content": [part]}]}
    reply = asked(CHATS, body, MadeUpRun())
    assert (reply.status, reply.error()["param"]) == (400, "messages.0.content.0.image_url.url")


@pytest.mark.parametrize("url", ["https://host/cat.png?x=1", "http://10.0.0.1:80/c", PICTURE])
def test_pictures_by_url_are_taken(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    body = {"model": "blip", "messages": [{"role": "user", "content": [part]}]}
    assert asked(CHATS, body, MadeUpRun()).status == 200


def test_pictures_have_one_answer() -> None:
    part = {"type": "image_url", "image_url": {"url": PICTURE}}
    body = {"model": "blip", "n": 2, "messages": [{"role": "user", "content": [part]}]}
    assert asked(CHATS, body, MadeUpRun()).error()["param"] == "n"


def test_a_body_nested_beyond_all_measure_is_no_json() -> None:
    raw = b'{"model": "gpt2", "tools": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert asked(CHATS, raw, MadeUpRun()).status == 400
    assert asked(CHATS, orjson.dumps([1]), MadeUpRun()).error()["param"] is None
