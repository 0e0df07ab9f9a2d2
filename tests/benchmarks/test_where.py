"""The table of where the time goes names functions that are there, and files a stack under the innermost of them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from benchmarks.where import PARTS, part_of

ROOT = Path(__file__).parents[2]
TOPS = ("emulation", "controller", "edgebed", "workloads")


@pytest.mark.slow
def test_every_way_into_a_part_is_a_function_of_one_file() -> None:
    for ways in PARTS.values():
        for end, function in ways:
            files = [f for top in TOPS for f in (ROOT / top).rglob("*.py")]
            found = [f for f in files if f.as_posix().endswith(end)]
            assert len(found) == 1, end
            names = {
                n.name for n in ast.walk(ast.parse(found[0].read_text())) if isinstance(n, ast.FunctionDef)
            }
            assert function in ("", *names), (end, function)


def test_a_stack_belongs_to_the_innermost_part_or_to_none() -> None:
    assert part_of(sys._getframe()) == "other"
    scope = {"look": lambda: part_of(sys._getframe())}
    exec(compile("def observe():\n    return look()", "controller/loop.py", "exec"), scope)  # noqa: S102
    exec(compile("def _deliver():\n    return observe()", "engine/run.py", "exec"), scope)  # noqa: S102
    assert scope["_deliver"]() == "control"
