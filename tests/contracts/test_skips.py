"""A requirement that is missing skips a test of the cluster, but not where these tests were asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.conftest import ASKED_FOR

ROOT = Path(__file__).parents[2]
LAB = "tests/cluster/test_ray_up.py"


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "code", "counted"), [("", 0, "SKIPPED"), ("1", 1, "ERROR")])
def test_what_the_machine_lacks_fails_where_it_was_asked_for(asked: str, code: int, counted: str) -> None:
    quick = ["-m", "", "--confcutdir=tests/cluster", "-p", "no:hypothesispytest", "-p", "no:xdist"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *quick, "-p", "no:cacheprovider", "-rs", LAB],
        cwd=ROOT, env={**os.environ, "PATH": "/nowhere", ASKED_FOR: asked}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, counted in found.stdout) == (code, True), found.stdout[-2000:]
    lacks = re.search(r"this machine lacks .*\bssh-keygen\b", found.stdout)  # sshd has a path of its own
    assert asked == "" or lacks is not None


def test_the_target_asks_for_them() -> None:
    assert f"test-cluster: export {ASKED_FOR} := 1" in (ROOT / "Makefile").read_text()
