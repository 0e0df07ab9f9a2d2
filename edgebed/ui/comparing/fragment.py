"""The comparison as one element of a page. Every text goes through jinja's escaping; pictures are the report's own."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from edgebed.ui.comparing.compared import Compared

TONES = {"clear": "good", "unsure": "muted", "one": "muted"}
WORDS = {"clear": "clear", "unsure": "not all distinguishable", "one": "too few seeds to generalise"}


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader("edgebed.ui.comparing", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("comparison.html")


def fragment(found: Compared) -> str:
    """The element as text."""
    drawn = {
        name: Markup(svg)
        for name, svg in (found.pictures | {f"key {n}": k for n, k in found.keys.items()}).items()
    }
    said = found.headline
    return _template().render(
        found=found,
        drawn=drawn,
        tone=TONES[said.certain],
        word=WORDS[said.certain],
        schemes=list(found.labels),
    )
