"""The JSON schema of an answer on this very testbed: the answer type's own schema, its names and words narrowed.

An answer type says `dict[str, dict[str, Mode]]`; a shape says which names a testbed has in which place, and which words
are possible there. The schema follows from the type that checks the answer, so it can never allow what the type does
not know, and a server that is held to it cannot answer with a name that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

Shape = Mapping[str, Any] | Sequence[str] | Sequence[int] | None
"""Names to the shape under each; or the words (or numbers) that are possible; or None: whatever the type takes."""

_NOT_STRICT = ("title", "description", "default")
"""What a strict schema has no use for."""


def schema_of(
    kind: type[BaseModel], shape: Mapping[str, Shape], without: Sequence[str] = ()
) -> dict[str, Any]:
    """The schema of an answer type under a shape, as strict servers take it: everything required, nothing added.

    `without`: fields that are not asked for. Raises `ValueError` for a shape that the type does not have.
    """
    full = kind.model_json_schema()
    names = [n for n in full["properties"] if n not in without]
    late = [n for n in names if n == "reason"]  # what is decided comes first, why comes last
    ordered = [n for n in names if n not in late] + late
    unknown = sorted(set(shape) - set(ordered))
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {unknown[0]!r}")
    definitions = full.get("$defs", {})
    return _closed({n: _narrowed(full["properties"][n], shape.get(n), definitions) for n in ordered})


def _narrowed(schema: Mapping[str, Any], shape: Shape, definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    plain = {name: value for name, value in schema.items() if name not in _NOT_STRICT}
    if shape is None:
        return plain
    if isinstance(shape, Mapping):
        inner = schema.get("additionalProperties")
        if not isinstance(inner, Mapping):
            raise ValueError(f"names {sorted(shape)} in a place that takes none")
        return _closed({name: _narrowed(inner, below, definitions) for name, below in shape.items()})
    if plain.get("type") == "array":
        return {**plain, "items": _narrowed(schema["items"], shape, definitions)}
    known = plain.get("enum")
    foreign = [] if known is None else [word for word in shape if word not in known]
    if foreign:
        raise ValueError(f"{foreign[0]!r} is none of {known}")
    return {**plain, "enum": list(shape)}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
