"""What pydantic finds wrong, in the words of whoever wrote the file: one mistake, with field, value and fix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from emulation.domain.mistakes import ConfigError, did_you_mean
from emulation.domain.quantities import shown

Location = Sequence[int | str]
"""A pydantic error location: field names, list indices, keys, and the tags of discriminated unions."""


_KINDS = {
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
}
"""Pydantic's names of mistakes to what should stand there."""


def complaint(schema: Any, error: ValidationError, root: str = "") -> str:
    """The first mistake in full, as `field: what is wrong`, and how many more there are.

    `schema` is what was validated against: a model, or a union of models. `root` stands before every field.
    """
    errors = _root_causes(error)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _explained(schema, errors[0], root) + more


def valid(kind: Any, value: Any, named: str) -> Any:
    """A value of this type. Raises `ConfigError` for any other, `named` as whoever gave it knows it: an option, say."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise ConfigError(complaint(kind, error, root=named)) from None


def _root_causes(error: ValidationError) -> list[dict[str, Any]]:
    """Pydantic's errors, those that may only follow from another last or left out.

    A list is short if an item is bad, and a field is missing if its key is misspelt.
    """
    errors: list[dict[str, Any]] = [dict(e) for e in error.errors(include_url=False)]
    short = {tuple(e["loc"]) for e in errors if e["type"] == "too_short"}
    behind = {
        loc for loc in short if any(len(e["loc"]) > len(loc) and e["loc"][: len(loc)] == loc for e in errors)
    }
    causes = [e for e in errors if e["type"] != "too_short" or tuple(e["loc"]) not in behind]
    return sorted(causes, key=lambda e: e["type"] == "missing")


def _explained(schema: Any, error: dict[str, Any], root: str) -> str:
    """One pydantic error as `field: what is wrong; fix`."""
    where, at = _found(schema, error["loc"], root)
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(error["loc"][-1])
        _, around = _found(schema, error["loc"][:-1], root)
        names = [name for model in _models(around) for name in model.model_fields]
        return f"{where}: unknown key {shown(key)}; {did_you_mean(key, names)}"
    if kind == "missing":
        return f"{where}: is missing; add it"
    if kind == "union_tag_not_found":
        return f"{where}: has no kind; add one" if isinstance(value, dict) else f"{where}: {_mapping(value)}"
    if kind == "union_tag_invalid":
        tags = [t.strip().strip("'") for t in context["expected_tags"].split(",")]
        return f"{where}: unknown kind {shown(context['tag'])}; {did_you_mean(str(context['tag']), tags)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{where}: {_mapping(value)}"
    if kind == "invalid_key":
        around, _ = _found(schema, error["loc"][:-1], root)
        return f"{around}: every key must be text, not {shown(value)}".removeprefix(": ")
    if kind == "value_error":
        text = str(context["error"])
    elif kind in _KINDS:
        text = f"must be {_KINDS[kind]}, not {shown(value)}"
    elif kind == "literal_error":
        text = f"must be {context['expected']}, not {shown(value)}"
    elif kind == "too_short":
        text = f"must have at least {_counted(context['min_length'])}, not {context['actual_length']}"
    elif kind == "too_long":
        text = (
            f"must have at most {_counted(context['max_length'])}, not {context['actual_length'] or 'more'}"
        )
    else:
        message = str(error["msg"])
        text = f"{message[:1].lower()}{message[1:]} (got {shown(value)})"
    return f"{where}: {text}" if where else text


def _counted(entries: int) -> str:
    return f"{entries} entr{'y' if entries == 1 else 'ies'}"


def _mapping(value: Any) -> str:
    return f"must be a mapping of fields to values, not {shown(value)}"


# -- where in a file a pydantic error is, in the file's own terms, and what may be there


def _found(schema: Any, location: Location, root: str) -> tuple[str, Any]:
    """A location as `workload[0].rate_per_s`, union tags left out, and the annotation there (None: not known)."""
    path, at = root, schema
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
            at = _item(at)
        elif (tagged := _tagged(at, part)) is not None:
            at = tagged
        elif part == "[key]":
            path += " (a key)"
        else:
            plain = part if part.isprintable() and len(part) <= 100 else shown(part)
            path += f".{plain}" if path else plain
            at = _field(at, part)
    return path, at


def _tagged(at: Any, part: str) -> type[BaseModel] | None:
    """The member of a discriminated union that a part of a location stands for."""
    models = list(_models(at))
    if len(models) < 2:
        return None
    return next(
        (m for m in models if "kind" in m.model_fields and m.model_fields["kind"].default == part), None
    )


def _field(at: Any, name: str) -> Any:
    field = next((m.model_fields[name] for m in _models(at) if name in m.model_fields), None)
    if field is not None:
        return field.annotation
    mapping = next((a for a in _arms(at) if get_origin(a) is dict), None)
    return None if mapping is None else get_args(mapping)[1]


def _item(at: Any) -> Any:
    """What the items of a list are."""
    many = next((a for a in _arms(at) if get_origin(a) in (tuple, list)), None)
    return None if many is None else get_args(many)[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Model classes an annotation allows."""
    return (a for a in _arms(annotation) if isinstance(a, type) and issubclass(a, BaseModel))


def _arms(annotation: Any) -> Iterator[Any]:
    """What an annotation allows, unions and `Annotated` taken apart."""
    if get_origin(annotation) is Annotated:
        yield from _arms(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _arms(argument)
    else:
        yield annotation
