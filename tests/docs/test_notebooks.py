"""Notebooks run from their first cell to the last, in an empty folder, as scripts: no kernel is started for that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
WRITES = "%%writefile "
ONE_PICTURE = """
import edgebed.report.paper
every = edgebed.report.paper.pictures
edgebed.report.paper.pictures = lambda comparison: {"per-model": every(comparison)["per-model"]}
"""
LARGEST_BYTES = 500_000


def cells(notebook: Path) -> list[dict[str, Any]]:
    found = orjson.loads(notebook.read_bytes())
    assert found["nbformat"] == 4
    return [{**cell, "source": "".join(cell["source"])} for cell in found["cells"]]


def as_script(notebook: Path) -> str:
    """Its code; a cell that writes a file writes it here too. Of the pictures for a paper one is drawn."""
    parts = [ONE_PICTURE]
    for cell in cells(notebook):
        text = cell["source"]
        if cell["cell_type"] == "code" and text.startswith(WRITES):
            name, _, content = text.removeprefix(WRITES).partition("\n")
            text = f"__import__('pathlib').Path({name.strip()!r}).write_text({content!r})"
        if cell["cell_type"] == "code":
            parts.append(text)
    return "\n".join(parts)


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_is_whole_and_small_and_tells_nothing_of_the_machine_it_was_made_on(notebook: Path) -> None:
    text = notebook.read_text(encoding="utf-8")
    assert len(text) < LARGEST_BYTES
    assert not [word for word in ("/tmp/", "/home/", "/root/", f"{ROOT}/", "Traceback") if word in text]
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs(notebook: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    script = tmp_path / "notebook.py"
    script.write_text(as_script(notebook))
    ended = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", script.name],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
