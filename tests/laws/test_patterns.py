"""No pattern takes the square of the time of what it reads: how long that is, strangers choose."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("controller", "edgebed", "emulation", "serve_apps", "workloads")
READERS = ("compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")
MAY_HAVE_ONE = re.compile(r"\bre\.|\bpattern\b")
EVERY = frozenset(range(128))
NONE = frozenset[int]()
_parser = importlib.import_module("re._parser")


def patterns() -> Iterator[tuple[str, str]]:
    """Where a pattern is written, and what of it is written there."""
    for file in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if MAY_HAVE_ONE.search(text) else ():
            if isinstance(node, ast.Call):
                for written in map(text_of, of_call(node)):
                    if written:
                        yield f"{file.relative_to(ROOT)}:{node.lineno}", written


def of_call(call: ast.Call) -> Iterator[ast.expr]:
    """Arguments that are patterns."""
    function = call.func
    if (
        isinstance(function, ast.Attribute)
        and function.attr in READERS
        and ast.unparse(function.value) == "re"
    ):
        yield call.args[0]
    yield from (given.value for given in call.keywords if given.arg == "pattern")


def text_of(node: ast.expr) -> str:
    """What is constant in it."""
    if isinstance(node, ast.Constant):
        return node.value.decode("latin-1") if isinstance(node.value, bytes) else str(node.value)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return "".join(map(text_of, node.values)) if isinstance(node, ast.JoinedStr) else ""


def squares(pattern: str) -> list[str]:
    """Characters that two repeats without bound can share out among themselves in any way."""
    found: list[str] = []
    left_by(_parser.parse(pattern), NONE, found)
    return found


def left_by(items: Iterable[tuple[Any, Any]], before: frozenset[int], found: list[str]) -> frozenset[int]:
    """What the repeats that may reach up to the end of these items take; `before`: up to their begin."""
    for op, value in items:
        kind = str(op)
        if kind == "SUBPATTERN":
            before = left_by(value[-1], before, found)
        elif kind == "BRANCH":
            before = NONE.union(*(left_by(branch, before, found) for branch in value[1]))
        elif kind in ("MAX_REPEAT", "MIN_REPEAT"):
            before = left_by_repeat(value, before, found)
        elif kind in ("ASSERT", "ASSERT_NOT"):
            left_by(value[1], NONE, found)
        elif kind != "AT":
            before = before if characters(kind, value) & before else NONE
    return before


def left_by_repeat(repeat: tuple[int, Any, Any], before: frozenset[int], found: list[str]) -> frozenset[int]:
    """The same for one repeat."""
    least, most, items = repeat
    own = characters(str(items[0][0]), items[0][1]) if len(items) == 1 else NONE
    if most != _parser.MAXREPEAT or not own:
        after = left_by(items, before, found)
        if most == _parser.MAXREPEAT:
            after |= left_by(items, after, found)
    else:
        found += ["".join(map(chr, sorted(own & before)))] if own & before else []
        after = own
    return after if least else before | after


def characters(kind: str, value: Any) -> frozenset[int]:
    """Those that an item of one character matches; none: it is something else."""
    if kind == "LITERAL":
        return frozenset({value})
    if kind == "NOT_LITERAL":
        return EVERY - {value}
    if kind == "ANY":
        return EVERY
    if kind == "RANGE":
        return frozenset(range(value[0], value[1] + 1)) & EVERY
    if kind == "CATEGORY":
        name = str(value).removeprefix("CATEGORY_")
        letter = name.removeprefix("NOT_")[0].lower()
        named = frozenset(c for c in EVERY if re.match(rf"\{letter}", chr(c)))
        return EVERY - named if name.startswith("NOT_") else named
    if kind == "IN":
        among = NONE.union(*(characters(str(one), inside) for one, inside in value))
        return EVERY - among if str(value[0][0]) == "NEGATE" else among
    return NONE


@pytest.mark.parametrize(
    "pattern",
    [
        r"^content-length:[ \t]*(.*?)[ \t]*\r$",
        r"\d+\.?\d*",
        r"(.*?)\n?[ \t]*$",
        r"(\w+\s?)*;",
        r".*,.*;",
        r"[^\d]*(?:x|\s+)y",
    ],
)
def test_two_repeats_of_the_same_characters_are_seen(pattern: str) -> None:
    assert squares(pattern)


@pytest.mark.parametrize("pattern", [r"[ \t]*(\S+)[ \t]*$", r"(;[^;,]*)*;", r"\d+(?:\.\d*)?", r"a{0,40}a*"])
def test_repeats_that_are_told_apart_are_not(pattern: str) -> None:
    assert squares(pattern) == []


def test_no_pattern_shares_out_what_it_reads_in_every_way_there_is() -> None:
    looked_at = list(patterns())
    assert [(where, written) for where, written in looked_at if squares(written)] == []
    assert len(looked_at) > 40
