"""Bodies that are odd: no JSON, values of a wrong type deep inside, numbers nobody can write again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseErrorEvent

from serve_apps.gateway.flight import Refused
from serve_apps.gateway.http import has_more_values
from serve_apps.gateway.json_text import without_strings
from serve_apps.gateway.openai.fields import may_hold_no_number
from serve_apps.gateway.openapi import FORMS, describe
from tests.build.asgi import CHAT, DELTAS, MadeUpRun, asked

CHATS, COMPLETIONS, IMAGES, RESPONSES = (
    "/v1/chat/completions", "/v1/completions", "/v1/images/generations", "/v1/responses",
)  # fmt: skip
LEAST: dict[str, dict[str, Any]] = {
    CHATS: CHAT,
    COMPLETIONS: {"model": "gpt2", "prompt": "hi"},
    IMAGES: {"model": "sd", "prompt": "a cat"},
    RESPONSES: {"model": "gpt2", "input": "hi"},
}
HUGE = 2**70


def written(path: str, name: str, value: str) -> bytes:
    """A body with one more field, whose value is written just so."""
    return orjson.dumps(LEAST[path])[:-1] + f',"{name}":{value}}}'.encode()


@pytest.mark.parametrize("path", LEAST)
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", ["seed", "temperature", "user", "unheard_of"])
def test_what_is_no_number_of_json_makes_a_body_no_json(path: str, name: str, number: str) -> None:
    run = MadeUpRun()
    reply = asked(path, written(path, name, number), run)
    assert (reply.status, reply.error()["code"], reply.error()["param"]) == (400, "invalid_json", None)
    assert "JSON" in reply.error()["message"]
    assert not run.asked


def test_a_text_may_speak_of_what_is_no_number() -> None:
    assert asked(CHATS, {**CHAT, "user": "NaN, -Infinity"}, MadeUpRun()).status == 200


def called(value: str) -> str:
    return f'[{{"role":"assistant","tool_calls":[{{"function":{{"n":{value}}}}}]}}]'


@pytest.mark.parametrize(
    ("path", "name", "value", "param"),
    [
        (RESPONSES, "tools", f'[{{"type":"function","parameters":{{"maximum":{HUGE}}}}}]', "tools.0"),
        (RESPONSES, "reasoning", f'{{"x":{HUGE}}}', "reasoning"),
        (RESPONSES, "image", f'{{"x":{HUGE}}}', "image"),
        (CHATS, "prediction", f'{{"x":-{HUGE}}}', "prediction"),
        (CHATS, "messages", called(str(HUGE)), "messages.0.tool_calls.0.function"),
        (CHATS, "messages", f'[{{"role":"assistant","function_call":{{"n":{HUGE}}}}}]', "messages.0.function_call"),
        (CHATS, "seed", str(HUGE), "seed"),
        (RESPONSES, "max_tool_calls", str(10**23), "max_tool_calls"),
        (IMAGES, "seed", str(-HUGE), "seed"),
        (CHATS, "temperature", "1e999", "temperature"),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_written_again_is_refused_before_anybody_works(
    path: str, name: str, value: str, param: str
) -> None:
    run = MadeUpRun()
    reply = asked(path, written(path, name, value), run)
    assert (reply.status, reply.error()["param"]) == (400, param)
    assert not run.asked


def says(**message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x", **message}]}


def sees(**image_url: Any) -> dict[str, Any]:
    return shows({"type": "image_url", "image_url": image_url})


def shows(part: Any) -> dict[str, Any]:
    return says(content=[{"type": "text", "text": "x"}, part])


@pytest.mark.parametrize(
    ("path", "more", "param"),
    [
        (CHATS, says(name=5), "messages.0.name"),
        (CHATS, says(role="tool", tool_call_id=5), "messages.0.tool_call_id"),
        (CHATS, says(role="assistant", tool_calls=[{"id": 5, "function": {}}]), "messages.0.tool_calls.0.id"),
        (CHATS, shows({}), "messages.0.content.1"),
        (CHATS, shows({"type": 5}), "messages.0.content.1"),
        (CHATS, shows({"type": "input_audio"}), "messages.0.content.1"),
        (CHATS, sees(url="http://x/", detail=5), "messages.0.content.1.image_url.detail"),
        (CHATS, sees(url="http://x:99999/"), "messages.0.content.1.image_url.url"),
        (CHATS, sees(url="data:image/;base64,AAAA"), "messages.0.content.1.image_url.url"),
        (COMPLETIONS, {"model": "blip"}, "model"),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input.0.content.0"),
        (RESPONSES, {"tools": [{}]}, "tools.0.type"),
        (RESPONSES, {"tools": [{"type": 5}]}, "tools.0.type"),
        (RESPONSES, {"reasoning": {"effort": 5}}, "reasoning.effort"),
        (IMAGES, {"image": "data:image/png;base64,AAAA"}, "image"),
        (IMAGES, {"mask": "x"}, "mask"),
        (CHATS, {"image": "x"}, "image"),
    ],
)  # fmt: skip
def test_what_is_wrong_deep_inside_is_named_as_the_client_wrote_it(
    path: str, more: dict[str, Any], param: str
) -> None:
    run = MadeUpRun()
    reply = asked(path, {**LEAST[path], **more}, run)
    assert (reply.status, reply.error()["param"]) == (400, param)
    assert not any(word in reply.error()["message"] for word in ("tag", "discriminator"))
    assert not run.asked


def test_an_error_does_not_say_a_long_name_again() -> None:
    reply = asked(CHATS, {**CHAT, "metadata": {"k" * 100_000: 5}}, MadeUpRun())
    assert (reply.status, reply.error()["param"]) == (400, "metadata." + "k" * 80)
    assert len(reply.body) < 1000


def test_tools_and_reasoning_are_said_again_as_they_came() -> None:
    more = {
        "tools": [
            {"type": "function", "name": "f", "parameters": {"maximum": 2**63}},
            {"type": "web_search"},
        ],
        "reasoning": {"effort": "low", "mode": "x"},
    }
    answer = asked(RESPONSES, {**LEAST[RESPONSES], **more}, MadeUpRun()).json()
    assert answer["tools"] == more["tools"]
    assert answer["reasoning"] == {"effort": "low", "summary": None, "mode": "x"}


def test_a_response_that_fails_on_the_way_ends_with_openais_own_error_event() -> None:
    run = MadeUpRun(DELTAS[0], Refused("node_lost", "gone"))
    reply = asked(RESPONSES, {**LEAST[RESPONSES], "stream": True}, run)
    *before, last = reply.events()
    event = ResponseErrorEvent.model_validate(last)
    assert (event.type, event.code, event.message, event.sequence_number) == (
        "error", "node_lost", "gone", len(before),
    )  # fmt: skip
    assert last["error"]["code"] == "node_lost", "what OpenAI's own clients raise an error for"
    assert b"event: error\n" in reply.body


def boundless(schema: Any, where: str) -> Iterator[str]:
    """Whole numbers in a schema that have no least, or no most."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from boundless(part, f"{where}.{number}")
    elif isinstance(schema, dict):
        ends = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
        if schema.get("type") == "integer" and not all(any(name in schema for name in end) for end in ends):
            yield where
        for name, part in schema.items():
            yield from boundless(part, f"{where}.{name}")


def test_every_whole_number_of_every_body_has_a_least_and_a_most() -> None:
    schemas = describe()["components"]["schemas"]
    assert list(boundless(schemas, "schemas")) == []
    assert {form.body.__name__ for form in FORMS} <= set(schemas)


@pytest.mark.parametrize("blanks", ["", " ", "\n\t ", " " * 1000])
def test_what_is_no_number_is_found_behind_any_blanks(blanks: str) -> None:
    reply = asked(CHATS, written(CHATS, "unheard_of", f'["x",{blanks}NaN]'), MadeUpRun())
    assert reply.error()["code"] == "invalid_json"


def test_letters_of_a_picture_are_no_number_and_cost_no_second_look() -> None:
    assert not may_hold_no_number(b'{"url":"data:image/png;base64,AAAANaNaaInfinityNaN"}')
    assert may_hold_no_number(b'{"x":[-Infinity]}')
    assert may_hold_no_number(b',"NaN"' * 2000), "too many strings to look past all of them"


PIECES = [
    b"NaN",
    b"Infinity",
    b"-",
    b",",
    b":",
    b"[",
    b"{",
    b" ",
    b"\n" * 70,
    b"a" * 70,
    b'"',
    b"\\",
    b"\\" * 70,
]
STRINGS = re.compile(rb'"(?:[^"\\]|\\.?)*"?', re.S)


@given(st.lists(st.sampled_from(PIECES)), st.sampled_from([0, 10, 300, 5000]))
def test_what_stands_outside_of_strings_is_overlooked_in_no_text(pieces: list[bytes], long: int) -> None:
    raw = b"{" + b"," * (long // 10) + b"a" * long + b"".join(pieces) + b"a" * long
    outside = STRINGS.sub(b"", raw)
    assert without_strings(raw) in (outside, None)
    if re.search(rb"[\[:,-]\s*(NaN|Infinity)", outside):
        assert may_hold_no_number(raw)
    values = outside.count(b",") + outside.count(b"[") + 8 * outside.count(b"{")
    assert has_more_values(raw, values - 1)
    assert not has_more_values(raw, values)


@pytest.mark.parametrize(
    ("raw", "outside"),
    [
        (b'{"a": "x\\"y", "b": "\\\\"}', b"{: , : }"),
        (b'["' + b"\\" * 64 + b'"]', None),
        (b'["' + b'\\"' * 2000 + b'"]', None),
        (b'["a",' * 2000, None),
        (b'["never closed', b"["),
    ],
)
def test_a_text_without_its_strings(raw: bytes, outside: bytes | None) -> None:
    assert without_strings(raw) == outside


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_values_are_counted_alike_in_short_texts_and_long_ones(length: int) -> None:
    raw = b'["' + b"a" * length + b'"' + b",1" * 99 + b"]"
    assert has_more_values(raw, 99)
    assert not has_more_values(raw, 100)
