"""Every wait for another process has a bound: one that stood still would otherwise be waited for in silence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import serve_apps

FILES = sorted(Path(serve_apps.__file__).parent.rglob("*.py"))
BLOCKING = {"get", "wait"}
"""Of Ray, whose limit is `timeout`."""


def unbounded(source: str) -> list[str]:
    """What waits without a bound in a file: line and expression."""
    tree = ast.parse(source)
    found = list(_waits(tree))
    if not found:
        return []
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    return [f"{node.lineno}: {ast.unparse(node)}" for node in found if not _bounded(node, parents)]


def _waits(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions that wait for another process, or take a value that does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Await) and _is_remote(node.value):
            yield node
        elif isinstance(node, ast.AsyncFor | ast.comprehension) and _is_remote(node.iter):
            yield node.iter
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_ray = ast.unparse(node.func.value) == "ray" and node.func.attr in BLOCKING
            of_future = node.func.attr in ("result", "results") and not _is_async(node, tree)
            if (of_ray or of_future) and not any("timeout" in (k.arg or "") for k in node.keywords):
                yield node
            if any(k.arg == "limit_s" and ast.unparse(k.value) == "None" for k in node.keywords):
                yield node


def _is_remote(node: ast.expr) -> bool:
    """Whether this is a call through a handle, or the reference to what one brings."""
    if isinstance(node, ast.Name):
        return node.id in ("reference", "ref")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "remote"


def _is_async(node: ast.AST, tree: ast.AST) -> bool:
    """Whether it stands in a coroutine: `result` of a task waits for nothing, it raises if there is none."""
    functions = [f for f in ast.walk(tree) if isinstance(f, ast.AsyncFunctionDef)]
    return any(inner is node for f in functions for inner in ast.walk(f))


def _bounded(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether it stands in an `async with asyncio.timeout(...)`."""
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.AsyncWith) and any(
            "timeout" in ast.unparse(item.context_expr) for item in node.items
        ):
            return True
    return False


@pytest.mark.slow
def test_nothing_waits_for_another_process_without_a_bound() -> None:
    found = {str(file): unbounded(file.read_text()) for file in FILES}
    assert {file: waits for file, waits in found.items() if waits} == {}
    assert len(FILES) > 100


@pytest.mark.parametrize(
    "body",
    [
        "async def f(a):\n    return await a.b.remote()",
        "async def f(a):\n    async for x in a.b.remote():\n        print(x)",
        "async def f(reference):\n    return await reference",
        "def f(a):\n    return ray.get(a.b.remote())",
        "def f(a):\n    return a.b.remote().result()",
        "async def f(calls):\n    return await calls.call('a', 'b', limit_s=None)",
    ],
)
def test_a_wait_without_a_bound_is_found(body: str) -> None:
    assert len(unbounded(body)) == 1


def test_a_wait_with_a_bound_is_none() -> None:
    body = "async def f(a):\n    async with asyncio.timeout(1):\n        return await a.b.remote()"
    assert unbounded(body) == []
    assert unbounded("def f(a):\n    return a.b.remote().result(timeout=1)") == []
