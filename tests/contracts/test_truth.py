"""The truth of a request comes from the modules of the truth, and from nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("emulation", "controller", "workloads", "serve_apps", "edgebed")


def makers() -> set[str]:
    """Files of the product that call `RequestTruth(...)`."""
    found = set()
    for file in (f for package in PRODUCT for f in (ROOT / package).rglob("*.py")):
        text = file.read_text()
        if "RequestTruth" not in text:
            continue
        calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        if any(getattr(call, "id", getattr(call, "attr", "")) == "RequestTruth" for call in calls):
            found.add(file.relative_to(ROOT).as_posix())
    return found


def test_nobody_forges_the_truth_of_a_request() -> None:
    assert makers() <= {
        "emulation/domain/request_kind.py",
        "workloads/truth_table.py",
        "emulation/domain/truth.py",
    }
