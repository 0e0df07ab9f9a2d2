"""What `pyproject.toml` lists compiles, and then does what the sources do. Builds for this checkout if need be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from emulation.compiled import FOLDER, PURE, ROOT, digest
from tests.emulation.test_compiled import SAME, run

FILES = (
    "emulation/test_native.py", "emulation/executor", "serve_apps/records", "controller/meta",
    "controller/test_pools.py",
)  # fmt: skip
"""Tests that make, pickle and write what is compiled."""


def called(*words: str, **more: str) -> None:
    """Run a command in the checkout; what it said is shown if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), PURE: "", **more}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


@pytest.mark.long
def test_what_is_listed_compiles_writes_the_same_bytes_and_keeps_its_tests() -> None:
    if not (ROOT / FOLDER / digest()).is_dir():
        called(sys.executable, "setup.py", "-q", "compiled")
    assert run("import emulation.compiled as c; print(c.said())") == "compiled"
    assert run(SAME) == run(SAME, pure="1")
    called(sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *(f"tests/{f}" for f in FILES))
