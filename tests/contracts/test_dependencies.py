"""What is imported is declared: nothing works only because something else happens to bring it along."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.build.sources import statements

ROOT = Path(__file__).parents[2]
PRODUCT = ("emulation", "controller", "workloads", "serve_apps", "edgebed")
OURS = {*PRODUCT, "benchmarks", "tests", "docs", "vit_gpt2"}
NOT_INSTALLED = {"PIL": "pillow"}
"""Distributions of modules that the base installation lacks, where the names differ."""

installed = cache(packages_distributions)
"""Module to the distributions that bring it."""


@cache
def imported(folder: str) -> dict[str, str]:
    """Distribution of every module that is imported below a folder, to a file that imports it."""
    known = installed()
    wanted: dict[str, str] = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in statements(file):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                named.append(node.module)
            for module in (name.partition(".")[0] for name in named):
                if module not in sys.stdlib_module_names and module not in OURS:
                    distributions = known.get(module) or [NOT_INSTALLED.get(module, module)]
                    wanted.setdefault(distributions[0].lower().replace("_", "-"), str(file.relative_to(ROOT)))
    return wanted


def declared(*groups: str) -> set[str]:
    """Names in the dependencies of the project and of some of its optional groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(d for g in groups for d in project["optional-dependencies"][g])]
    return {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0].lower() for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize("folder", PRODUCT)
def test_every_package_imports_only_what_the_project_declares(folder: str) -> None:
    wanted, names = imported(folder), declared("models", "rl", "vllm", "frames")
    assert {name: file for name, file in wanted.items() if name not in names} == {}


def required(file: str) -> set[str]:
    """Names in a requirements file of an environment apart."""
    lines = (ROOT / file).read_text().splitlines()
    return {line.partition("==")[0] for line in lines if not line.startswith("#")}


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["benchmarks", "tests", "docs"])
def test_benchmarks_tests_and_docs_import_only_what_is_declared_for_them(folder: str) -> None:
    names = declared("models", "rl", "vllm", "frames", "dev", "browser") | required(
        "benchmarks/agents/requirements.txt"
    )
    wanted = imported(folder)
    assert {name: file for name, file in wanted.items() if name not in names} == {}


@pytest.mark.slow
def test_every_dependency_of_the_base_installation_is_imported_somewhere() -> None:
    wanted = {name for folder in (*PRODUCT, "benchmarks") for name in imported(folder)}
    assert declared() - wanted == set()
