"""A plain page: paragraphs, tables, pictures and notes in one HTML file; and where every page's template comes from."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from edgebed.report.sheet import Sheet

Picture = tuple[str, bytes]
"""Title and PNG."""


@cache
def template(name: str) -> Template:
    """A template of this folder; a variable that it names and is not given is an error. Raises `TemplateNotFound`."""
    return Environment(
        loader=PackageLoader("edgebed.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def plain_page(
    title: str,
    paragraphs: Sequence[str],
    sheets: Sequence[Sheet],
    pictures: Sequence[Picture],
    notes_title: str,
    notes: Sequence[str],
    tinted: Collection[str] = (),
) -> bytes:
    """The page, without outside references; rows whose second cell is in `tinted` stand out."""
    page = template("plain.html").render(
        title=title,
        paragraphs=paragraphs,
        sheets=sheets,
        pictures=[(name, b64encode(data).decode()) for name, data in pictures],
        notes_title=notes_title,
        notes=notes,
        tinted=tuple(tinted),
    )
    return page.encode()
