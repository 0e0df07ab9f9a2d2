"""What kind a test is of is said by its folder alone: a process that wants none of that kind never reads the folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def test_no_test_is_marked_as_of_a_kind_whose_folder_it_is_not_in(pytestconfig: pytest.Config) -> None:
    (folders,) = (p.KINDS for p in pytestconfig.pluginmanager.get_plugins() if hasattr(p, "KINDS"))
    kinds = sorted({kind for markers in folders.values() for kind in markers})
    marked = re.compile(rf"\bmark\.({'|'.join(kinds)})\b")
    elsewhere = [f for f in TESTS.rglob("*.py") if f.relative_to(TESTS).parts[0] not in folders]
    assert [str(f) for f in elsewhere if marked.search(f.read_text())] == []
    assert len(elsewhere) > 300
