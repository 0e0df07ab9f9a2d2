"""A body takes memory and time by its bytes, whatever it is made of: all that a client may send has a bound.

What is small in a body may be large in memory: `{},` is three bytes, and an object of a list of calls 500. The laws
hold for every type that derives from `Shape`.
"""

from __future__ import annotations

import tracemalloc
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types
import orjson
import pytest
from pydantic import FailFast, ValidationError
from pydantic.fields import FieldInfo

from serve_apps.gateway.http import HttpError
from serve_apps.gateway.openai.bodies import MOST_ITEMS, Shape, Text
from serve_apps.gateway.openai.fields import Only
from serve_apps.gateway.openai.form import Form
from serve_apps.gateway.openai.items import _Unread
from serve_apps.gateway.openapi import FORMS
from tests.build.asgi import CHAT

CHATS, COMPLETIONS, IMAGES, RESPONSES = (form.path for form in FORMS)
BY_PATH = {form.path: form for form in FORMS}
LEAST: dict[str, dict[str, Any]] = {
    CHATS: CHAT, COMPLETIONS: {"model": "gpt2", "prompt": "hi"}, IMAGES: {"model": "sd", "prompt": "a cat"},
    RESPONSES: {"model": "gpt2", "input": "hi"},
}  # fmt: skip
FLOOD_BYTES = 30 * 1024
CONTAINERS = (list, dict, tuple, set)


def shapes(kind: type[Shape] = Shape) -> Iterator[type[Shape]]:
    """Every type of what a client may send."""
    for child in kind.__subclasses__():
        if child.__module__.startswith("serve_apps."):
            yield child
            yield from shapes(child)


def parts(annotation: Any, marks: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every type within an annotation, each with what it is annotated with itself."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from parts(inner, (*marks, *flat(more)))
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from parts(part)
    else:
        yield annotation, marks
        if is_of(annotation, *CONTAINERS):
            inner = get_args(annotation)
            nobody_looks = is_of(annotation, dict) and inner[-1] is Any
            for part in inner[:-1] if nobody_looks else inner:
                yield from parts(part)


def is_of(annotation: Any, *kinds: type) -> bool:
    return annotation in kinds or get_origin(annotation) in kinds


def flat(marks: list[Any]) -> Iterator[Any]:
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)


def has(marks: tuple[Any, ...], *kinds: type) -> bool:
    return any(isinstance(m, kinds) for m in marks)


@pytest.mark.parametrize("shape", sorted(set(shapes()), key=str), ids=lambda s: s.__qualname__)
def test_every_list_and_object_of_a_body_has_a_bound(shape: type[Shape]) -> None:
    for name in shape.model_fields:
        has_a_bound(shape, name)


def has_a_bound(shape: type[Shape], name: str) -> None:
    """Whatever is in this field."""
    info = shape.model_fields[name]
    for kind, marks in parts(info.annotation, tuple(info.metadata)):
        if is_of(kind, *CONTAINERS):
            assert has(marks, annotated_types.MaxLen), f"{kind} is endless"
        if is_of(kind, list):
            assert has(marks, FailFast), f"a complaint for each item of {kind}"
        if kind is Any:
            assert has((*marks, *info.metadata), Only, _Unread), "anything at all is taken"


def test_the_law_finds_what_has_no_bound() -> None:
    class Endless(Shape):
        items: list[Text] | None = None
        names: Annotated[
            dict[str, Annotated[list[int], annotated_types.MaxLen(2)]], annotated_types.MaxLen(2)
        ]
        pairs: Annotated[dict[str, dict[str, Any]], annotated_types.MaxLen(2)]
        any: Any = None

    for name in Endless.model_fields:
        with pytest.raises(AssertionError, match=r"endless|complaint|anything"):
            has_a_bound(Endless, name)


# -- what floods of the smallest values do ----------------------------------------------------------------------

PLACES: dict[str, tuple[str, str]] = {
    "calls": (CHATS, '"messages":[{"role":"user","content":"x","tool_calls":[%s]}]'),
    "functions": (CHATS, '"functions":[%s]'),
    "tools": (CHATS, '"tools":[%s]'),
    "messages": (CHATS, '"messages":[%s]'),
    "parts": (CHATS, '"messages":[{"role":"user","content":[%s]}]'),
    "unknown": (CHATS, '"unheard_of":[%s]'),
    "in an object": (CHATS, '"prediction":{"a":[%s]}'),
    "stop": (CHATS, '"stop":[%s]'),
    "prompts": (COMPLETIONS, '"prompt":[%s]'),
    "tokens": (COMPLETIONS, '"prompt":[1,%s]'),
    "lists of tokens": (COMPLETIONS, '"prompt":[[1,%s]]'),
    "items": (RESPONSES, '"input":[%s]'),
    "thoughts": (RESPONSES, '"input":[{"type":"reasoning","summary":[%s]},{"role":"user","content":"x"}]'),
    "output": (RESPONSES, '"input":[{"type":"function_call_output","call_id":"1","output":[%s]}]'),
    "include": (RESPONSES, '"include":[%s]'),
    "tools said again": (RESPONSES, '"tools":[{"type":"function","x":[%s]}]'),
    "reasoning said again": (RESPONSES, '"reasoning":{"x":[%s]}'),
}
VALUES = ("{}", "[]", "1", '""', '{"type":"text","text":""}', '{"role":"user","content":"x"}')


def flood(place: str, value: str) -> tuple[Form[Any], bytes]:
    """A body with as many of a value at a place as a small one has room for, and the form that reads it."""
    path, written = PLACES[place]
    filled = written % ",".join([value] * (FLOOD_BYTES // (len(value) + 1)))
    name = written.partition(":")[0].strip('"')
    rest = orjson.dumps({k: v for k, v in LEAST[path].items() if k != name}).decode()
    return BY_PATH[path], f"{rest[:-1]},{filled}}}".encode()


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_of_a_body_no_more_is_kept_than_a_few_times_its_size(place: str) -> None:
    for value in VALUES:
        form, raw = flood(place, value)
        form._read(orjson.dumps(LEAST[form.path]))  # what is made once, is
        tracemalloc.start()
        try:
            kept = read_or_refused(form, raw)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept is not None
        assert held < 8 * len(raw), f"of {value} {held / len(raw):.0f} times its size"


@pytest.mark.parametrize("place", PLACES)
def test_of_a_thousand_mistakes_the_first_is_told(place: str) -> None:
    for value in VALUES:
        form, raw = flood(place, value)
        assert complaints(form, raw) < 10, value


@pytest.mark.parametrize("field", ["metadata", "logit_bias", "prediction", "tools", "messages"])
def test_of_a_thousand_pairs_that_are_wrong_the_first_is_told(field: str) -> None:
    pairs = {str(number): 1 for number in range(5000)}
    for path in (CHATS, RESPONSES):
        assert complaints(BY_PATH[path], orjson.dumps({**LEAST[path], field: pairs})) < 10


def complaints(form: Form[Any], raw: bytes) -> int:
    """How many are made about a body."""
    try:
        form.body.model_validate_json(raw)
    except ValidationError as error:
        return error.error_count()
    return 0


def test_names_nobody_knows_are_counted() -> None:
    few = {f"x{n}": 1 for n in range(MOST_ITEMS)}
    for form in FORMS:
        form._read(orjson.dumps({**LEAST[form.path], **few}))
        with pytest.raises(HttpError) as refused:
            form._read(orjson.dumps({**LEAST[form.path], **few, "one": 1}))
        assert "1025 fields that are unknown, at most 1024" in refused.value.message
    tool = {"type": "function", **few}
    with pytest.raises(HttpError) as refused:
        BY_PATH[RESPONSES]._read(orjson.dumps({**LEAST[RESPONSES], "tools": [tool]}))
    assert "1025 fields, at most 1024" in refused.value.message


@pytest.mark.parametrize("depth", [150, 250, 300, 100_000])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("field", ["unheard_of", "prediction", "tools", "reasoning", "messages"])
def test_however_deep_a_body_is_it_is_read_or_refused(
    field: str, before: str, after: str, depth: int
) -> None:
    for path in (CHATS, RESPONSES):
        nested = before * depth + "1" + after * depth
        raw = orjson.dumps(LEAST[path])[:-1] + f',"{field}":{nested}}}'.encode()
        found = read_or_refused(BY_PATH[path], raw)
        if isinstance(found, HttpError):
            assert found.status == 400
            assert "64 bits" not in found.message
            assert len(found.message) < 500


def read_or_refused(form: Form[Any], raw: bytes) -> Any:
    """What a body becomes."""
    try:
        return form._read(raw)
    except HttpError as error:
        return HttpError(error.status, error.message)
