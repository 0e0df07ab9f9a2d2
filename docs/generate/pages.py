"""The pages and their files: which of them are not what the code says, and how they are written anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.generate import (
    cli,
    http_settings,
    machines,
    matrix,
    metrics,
    parameters,
    records,
    scenario,
    schemes,
    testbed,
)

REFERENCE = Path(__file__).parents[1] / "reference"
NOTE = "<!-- Written by docs/generate from the code; do not edit. -->\n"
PAGES: dict[str, Callable[[], str]] = {
    "scenario.md": scenario.page,
    "testbed.md": testbed.page,
    "records.md": records.page,
    "cli.md": cli.page,
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
    """The pages that are not what the code says: name of the file and the text that it should have."""
    said = {name: text_of(name) for name in PAGES}
    return {name: text for name, text in said.items() if text != _written(REFERENCE / name)}


def _written(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
