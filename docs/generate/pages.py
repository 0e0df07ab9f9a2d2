"""The pages and their files: which of them are not what the code says, and how they are written anew.

The schemas by which editors check the shipped YAML files are written here too: they lie beside those, and travel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from docs.generate import (
    cli,
    http_settings,
    machines,
    matrix,
    metrics,
    parameters,
    python,
    records,
    scenario,
    schemes,
    testbed,
)
from edgebed.commands.schema import Kind, schema_text

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SCHEMAS = ROOT / "emulation" / "schemas"
NOTE = "<!-- Written by docs/generate from the code; do not edit. -->\n"
PAGES: dict[str, Callable[[], str]] = {
    "scenario.md": scenario.page,
    "testbed.md": testbed.page,
    "records.md": records.page,
    "cli.md": cli.page,
    "python.md": python.page,
    "machines.md": machines.page,
    "matrix-plan.md": matrix.page,
    "http-settings.md": http_settings.page,
    "metrics.md": metrics.page,
    "schemes.md": schemes.page,
    "parameters.md": parameters.page,
}
"""The name of a file in `docs/reference` and what makes its text."""


def text_of(name: str) -> str:
    """The whole text of a page's file, as the code says it now."""
    return NOTE + PAGES[name]().rstrip() + "\n"


def stale() -> dict[str, str]:
    """The files that are not what the code says: path from the root, and the text that it should have."""
    said = {REFERENCE / name: text_of(name) for name in PAGES}
    said |= {SCHEMAS / f"{kind}.schema.json": schema_text(kind) for kind in get_args(Kind)}
    return {str(p.relative_to(ROOT)): text for p, text in said.items() if text != _written(p)}


def _written(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
