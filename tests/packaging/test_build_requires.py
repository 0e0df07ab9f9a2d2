"""A wheel is compiled in an environment of its own, which has only what the build names: what the hot modules lead to
must be there, or strict types do not hold and nothing is built."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("emulation", "controller", "workloads", "serve_apps", "edgebed")
IMPORTED_AS = {"types_pyyaml": "yaml", "mypy": "mypy_extensions"}
"""Requirement to the module it is for, where their names differ."""


def hot_modules() -> set[str]:
    files = {f for pattern in PROJECT["tool"]["edgebed"]["compiled"] for f in ROOT.glob(pattern)}
    return {".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files}


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in found if file.is_file()), None)


def imports(module: str) -> Iterator[str]:
    """Every module that one names, and the packages that hold it."""
    file = file_of(module)
    assert file is not None, module
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached() -> tuple[set[str], set[str]]:
    """Modules of ours that the hot ones lead to, and others' packages that these import."""
    ours, others, left = set[str](), set[str](), sorted(hot_modules())
    while left:
        module = left.pop()
        if module in ours or file_of(module) is None:
            continue
        ours.add(module)
        for name in imports(module):
            top = name.partition(".")[0]
            if top in PACKAGES:
                left += [name, *(name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1))]
            elif top not in sys.stdlib_module_names:
                others.add(top)
    return ours, others


@pytest.mark.slow
def test_what_the_hot_modules_lead_to_is_required_for_the_build() -> None:
    ours, others = reached()
    assert len(ours) > len(hot_modules())
    named = {
        re.split(r"[<>=\[]", r)[0].lower().replace("-", "_") for r in PROJECT["build-system"]["requires"]
    }
    assert others - {IMPORTED_AS.get(name, name) for name in named} == set()
