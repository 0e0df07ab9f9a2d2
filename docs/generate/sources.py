"""What the code says of itself: strings under fields, annotations as they are written, docstrings."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

from emulation.compiled import ROOT


def field_docs(cls: type) -> dict[str, str]:
    """The string under each field of a class and of its bases, by field name."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        body = _body(base)
        for field, text in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
                found[field.target.id] = " ".join(text.value.value.split())  # type: ignore[attr-defined]
    return found


def _body(cls: type) -> list[ast.stmt]:
    """What stands in a class; nothing where its source is not to be had, as of one that is compiled."""
    try:
        file = inspect.getsourcefile(cls)
    except TypeError:  # of the interpreter itself
        return []
    found = None if file is None else _classes(file).get(cls.__qualname__)
    return [] if found is None else found.body


@cache
def _classes(file: str) -> dict[str, ast.ClassDef]:
    """Every class of a module and within its classes, by qualified name."""
    found: dict[str, ast.ClassDef] = {}
    waiting: list[tuple[str, ast.stmt]] = [("", n) for n in ast.parse(Path(file).read_bytes()).body]
    while waiting:
        before, node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            found[before + node.name] = node
            waiting += [(f"{before}{node.name}.", inner) for inner in node.body]
    return found


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def source_annotations(cls: type) -> dict[str, str]:
    """Each field's annotation as it is written in the code."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update({k: str(v) for k, v in base.__dict__.get("__annotations__", {}).items()})
    return found


def first_paragraph(cls: type) -> str:
    """The first paragraph of a docstring, on one line; empty if the class has none of its own."""
    said = inspect.getdoc(cls) or _written(cls)
    return " ".join(said.partition("\n\n")[0].split())


def _written(cls: type) -> str:
    """The docstring as it stands in the source: a class that is compiled keeps none."""
    source = Path(ROOT, *cls.__module__.split(".")).with_suffix(".py")
    if not source.is_file():
        return ""
    body = ast.parse(source.read_text()).body
    found = next((n for n in body if isinstance(n, ast.ClassDef) and n.name == cls.__name__), None)
    return "" if found is None else ast.get_docstring(found) or ""
