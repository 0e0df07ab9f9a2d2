"""Where in a file a pydantic error is, in the file's own terms, and which keys are known there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Location = Sequence[int | str]
"""A pydantic error location: field names, list indices and the tags of discriminated unions."""

_TAGGED = ("workload", "events")
"""List fields whose members are discriminated unions: the part after the index is a tag, not a key."""


def field_path(location: Location) -> str:
    """A location as `workload[0].rate_per_s`: indices in brackets, union tags left out."""
    path = ""
    for i, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _is_tag(location, i):
            path += f".{part}" if path else part
    return path


def known_keys(schema: type[BaseModel], location: Location) -> list[str]:
    """Field names of the model at `location`, in the order of the schema; empty where there is none."""
    at: Any = schema
    for i, part in enumerate(location):
        if isinstance(part, int):
            at = next((a for a in get_args(at) if a is not Ellipsis), None)
        elif _is_tag(location, i):
            at = next((m for m in _models(at) if _tag(m) == part), None)
        else:
            field = next((m.model_fields[part] for m in _models(at) if part in m.model_fields), None)
            at = None if field is None else field.annotation
    return [name for m in _models(at) for name in m.model_fields]


def _is_tag(location: Location, index: int) -> bool:
    return index >= 2 and isinstance(location[index - 1], int) and location[index - 2] in _TAGGED


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Model classes an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated):
        for argument in get_args(annotation):
            yield from _models(argument)
