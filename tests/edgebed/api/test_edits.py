"""A class that is edited while a session goes on is run as it was edited."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import edgebed
from emulation.outside import take_up_edits
from tests.build.command_line import small

SCHEME = """
from controller.schemes import Scheme
from {helper} import SUMMARY, ROUTER

OWN = Scheme("own", "outside", SUMMARY, ROUTER, "nnls", "full")
"""


def reasons(scenario: Path) -> set[str]:
    run = edgebed.simulate(str(scenario), "editedlab.own:OWN").run("editedlab.own:OWN", 0)
    return {d.reason for d in run.decisions if d.actor == "router"}


def test_what_is_edited_is_taken_up_by_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*(p for p in sys.path if p), str(tmp_path)])
    scenario, package = small(tmp_path), tmp_path / "editedlab"
    package.mkdir()
    (package / "__init__.py").touch()
    helper = package / "helping.py"
    (package / "own.py").write_text(SCHEME.format(helper="editedlab.helping"))
    try:
        helper.write_text('SUMMARY, ROUTER = "a", "sect"\n')
        first = reasons(scenario)
        before = helper.stat()
        helper.write_text('SUMMARY, ROUTER = "b", "local"\n')
        os.utime(helper, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000))  # within the second
        module = sys.modules["editedlab.own"]
        second = reasons(scenario)
        assert second != first
        assert sys.modules["editedlab.own"] is not module
        kept = sys.modules["editedlab.own"]
        take_up_edits()
        assert sys.modules["editedlab.own"] is kept, "nothing changed"
        monkeypatch.chdir("/")
        take_up_edits()
        assert sys.modules["editedlab.own"] is kept, "nothing changed, but where one is"
    finally:
        for name in [n for n in sys.modules if n.startswith("editedlab")]:
            del sys.modules[name]
