"""Prompt templates, one Markdown file each. A variable a template names and is not given is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

HERE = Path(__file__).parent


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template(f"{name}.md")
    template.globals = dict(
        template.globals
    )  # of a chain of mappings, each rendering looks up all names anew
    return template


def render(name: str, **variables: Any) -> str:
    """A template filled in. Raises `jinja2.UndefinedError` if a variable is missing, `TemplateNotFound`."""
    return _template(name).render(**variables)


def names() -> list[str]:
    """Every template there is."""
    return sorted(file.stem for file in HERE.glob("*.md"))
