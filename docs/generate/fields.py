"""The section of a pydantic model: a table of its fields, in the words that stand under them in the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.generate.markdown import cell, table
from docs.generate.sources import field_docs, first_paragraph, source_annotations
from emulation.domain import quantities
from emulation.domain.quantities import Range, Words

WORDS: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parents[1] / "words.yaml").read_text())
"""What keys and fields without a string of their own are."""


def model_section(cls: type[BaseModel], title: str = "", level: int = 2) -> str:
    """Heading, first paragraph and fields of a pydantic model."""
    docs, written = field_docs(cls), source_annotations(cls)
    rows = [
        [
            f"`{name}`",
            f"`{cell(plain(written.get(name, '')))}`",
            default(info),
            cell(described(name, info, docs.get(name, said(name)))),
        ]
        for name, info in cls.model_fields.items()
    ]
    heading = f"{'#' * level} {title or cls.__name__}\n\n{first_paragraph(cls)}\n\n"
    return heading + (table(["key", "type", "default", "what"], rows) if rows else "No keys.\n")


def said(name: str) -> str:
    """Words for a key that has none in the code."""
    return "Chooses this section." if name == "kind" else WORDS["keys"].get(name, "")


def default(info: FieldInfo) -> str:
    """The default as a file would have it, or that there is none."""
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return f"see {type(value).__qualname__}"
    return f"`{cell(str(list(value) if isinstance(value, tuple) else value))}`"


def described(name: str, info: FieldInfo, text: str) -> str:
    """The field's own words, and what may stand there: range and unit of its numbers, the shape of a new name."""
    said = list(dict.fromkeys(_limits(info.annotation, tuple(info.metadata))))
    if name in ("id", "name"):
        said += [f"{m.what}, at most {m.longest} characters" for m in info.metadata if isinstance(m, Words)]
    return " ".join([text, f"({'; '.join(said)})" if said else ""]).strip()


def _limits(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[str]:
    for m in metadata:
        if isinstance(m, Range):
            yield m.said
        elif isinstance(m, FieldInfo):
            yield from _limits(None, tuple(m.metadata))
        elif (least := getattr(m, "min_length", None)) is not None:
            yield f"at least {least}"
        elif (most := getattr(m, "max_length", None)) is not None:
            yield f"at most {most}"
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from _limits(inner, tuple(more))
    elif not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        for part in get_args(annotation):
            if not isinstance(part, str):
                yield from _limits(part)


_PLAIN = {
    name: {float: "float", int: "int", str: "str"}.get(get_args(kind)[0], "")
    for name, kind in vars(quantities).items()
    if get_origin(kind) is Annotated
}
"""Our names for numbers and words, and what they are in Python's terms."""


def plain(annotation: str) -> str:
    """An annotation as it is written in the code, in Python's terms; bounds stand in the words beside it."""
    annotation = re.sub(r"Annotated\[(\w+), Range\([^()]*\)\]", r"\1", annotation)
    annotation = re.sub(
        r"Annotated\[(tuple\[\w+, \.\.\.\]), Field\([^()]*\), AfterValidator\(\w+\)\]", r"\1", annotation
    )
    return re.sub(
        r"\b[A-Z]\w+\b", lambda m: _PLAIN.get(m.group()) or LOCAL.get(m.group(), m.group()), annotation
    )


LOCAL = {
    "Switching": "float", "Hint": "str", "Mix": "dict[str, float]", "Origins": "tuple[str, ...]",
    "Models": "tuple[str, ...]", "Overhead": "float", "Exponent": "float",
    "Width": "int", "Floor": "float", "Setting": "bool | int | float | str",
    **dict.fromkeys(("CloudName", "ImageName", "KubeName", "LabelName"), "str"),
    **dict.fromkeys(("Address", "NodeIp", "Interface", "User", "LocalPath", "RemotePath", "Program"), "str"),
    "RayPort": "int", "DiskGb": "int",
    "Values": "tuple[Any, ...]", "Entries": "tuple[str | ScenarioEntry, ...]", "SeedList": "tuple[int, ...] | str",
}  # fmt: skip
"""The same, of names that stand where they are used."""
