"""What becomes of the fields of a body. Every documented one is in exactly one class, by how its body declares it:

- honoured: declared with its type, and read;
- ignored: declared with its type and marked `IGNORED`, because no answer depends on it;
- refused: declared `Only(...)`, with the values that ask for nothing. Any other value is answered 400.

A field that another body of the API knows is refused where it is not known; what no body knows is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema, from_json

from serve_apps.gateway.json_text import SHORT, without_strings

UNSUPPORTED = "unsupported_value"
NO_JSON = "invalid_json"
MOST_UNKNOWN = 1024
_NO_NUMBERS = (b"NaN", b"Infinity")
"""Places before a value that are looked at, and how many bytes behind one, blanks among them."""
LONGEST_NAME = 80
"""Characters of a client's own name that are said again in an error."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Mark of a field that no answer depends on."""


IGNORED = Ignored()


class Only:
    """The values of a field that ask for nothing we do not do; any other is refused, and why. Null is among them."""

    def __init__(self, why: str, *harmless: Any) -> None:
        self._why, self._harmless = why, harmless

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: Any) -> Any:
        if value is None or any(type(value) is type(known) and value == known for known in self._harmless):
            return value
        can = ", ".join(["nothing", *(orjson.dumps(known).decode() for known in self._harmless)])
        raise PydanticCustomError(UNSUPPORTED, "{why}; send {can}", {"why": self._why, "can": can})


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a body, in OpenAI's words: a message, the field, and a code."""

    message: str
    param: str | None
    code: str


def complaint(error: ValidationError, raw: bytes) -> Complaint:
    """The first thing that is wrong with a body. Fields are named as the client wrote them, whatever pydantic tried."""
    details = [_plainly(d) for d in error.errors(include_url=False, include_input=False)]
    first = details[0]
    unread = not_json(raw)
    if unread is not None:
        return unread
    body = from_json(raw)
    path, known = _written(body, first)
    tried = [d for d in details if d["loc"][:known] == first["loc"][:known]]
    said = _said(first)
    if len({d["loc"][known : known + 1] for d in tried}) > 1:  # one of several types, and it is none of them
        path = list(first["loc"][:known])
        said = "; or ".join(dict.fromkeys(_said(d) for d in tried))
    if not path:
        return Complaint(said, None, NO_JSON)
    param = ".".join(str(part)[:LONGEST_NAME] for part in path)
    return Complaint(
        f"{param}: {said}", param, UNSUPPORTED if first["type"] == UNSUPPORTED else "invalid_type"
    )


def not_json(raw: bytes) -> Complaint | None:
    """What makes a text no JSON, NaN and Infinity too, which pydantic's own reader takes; None: it is JSON."""
    try:
        from_json(raw, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        return Complaint(f"Invalid JSON: {error}", None, NO_JSON)
    return None


def may_hold_no_number(raw: bytes) -> bool:
    """Whether a text that pydantic read may have NaN or Infinity as a value, which stands outside of its strings.

    The letters stand in many a picture in base64 too.
    """
    if len(raw) <= SHORT and not _has_the_letters(raw):
        return False
    outside = without_strings(raw)
    return _has_the_letters(raw if outside is None else outside)


def _has_the_letters(raw: bytes) -> bool:
    return any(word in raw for word in _NO_NUMBERS)


def misplaced(body: BaseModel, elsewhere: Iterable[str]) -> Complaint | None:
    """The first field of a body that only other bodies know, if there is one; or that there are far too many."""
    given, others = body.model_extra or {}, set(elsewhere)
    if len(given) > MOST_UNKNOWN:
        return Complaint(f"{len(given)} fields that are unknown, at most {MOST_UNKNOWN}", None, UNSUPPORTED)
    for name, value in given.items():
        if name in others and value is not None:
            return Complaint(f"{name}: this endpoint has no such field; leave it out", name, UNSUPPORTED)
    return None


def names(body: type[BaseModel], ignored: bool) -> set[str]:
    """Fields that no answer depends on, or (ignored False) all others."""
    found = body.model_fields.items()
    return {name for name, field in found if any(isinstance(m, Ignored) for m in field.metadata) == ignored}


def _plainly(detail: ErrorDetails) -> ErrorDetails:
    """An object whose field says of what kind it is, but none that is known here: said without pydantic's words."""
    context = detail.get("ctx", {})
    if detail["type"] == "union_tag_invalid":
        message = f"{context['discriminator']} should be one of {context['expected_tags']}"
    elif detail["type"] == "union_tag_not_found":
        message = f"{context['discriminator']} is required"
    else:
        return detail
    return {**detail, "msg": message}


def _said(detail: ErrorDetails) -> str:
    return detail["msg"].removeprefix("Value error, ")


def _written(body: Any, detail: ErrorDetails) -> tuple[list[Any], int]:
    """The place of an error as the client wrote it, without the names of types that were tried on the way.

    And how many of its parts stand before the first such name. A field that is missing is part of the place.
    """
    loc, path = detail["loc"], list[Any]()
    before = len(loc)
    for number, part in enumerate(loc):
        last = detail["type"] == "missing" and number == len(loc) - 1
        if isinstance(body, dict) and (part in body or last):
            body = body.get(part)
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            body = body[part]
        else:
            before = min(before, number)
            continue
        path.append(part)
    return path, before
