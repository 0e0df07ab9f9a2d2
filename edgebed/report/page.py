"""The frame that all pages share, and the plain page: a summary, tables, pictures and notes in one HTML file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from edgebed.report import palette
from edgebed.report.figures import NOT_MEASURED
from edgebed.report.palette import Look
from edgebed.report.text_table import TextTable

if TYPE_CHECKING:
    from edgebed.report.theme import Drawing

WIDE = 9
"""Columns past which a table is set small, and printed across the page."""
_SHAPES: Mapping[str, str] = {
    "o": "M15 2.4a3.6 3.6 0 1 0 .01 0z",
    "s": "M11.8 2.8h6.4v6.4h-6.4z",
    "^": "M15 1.8l4.2 7.6h-8.4z",
    "D": "M15 1.6l4.4 4.4-4.4 4.4-4.4-4.4z",
    "v": "M15 10.2l-4.2-7.6h8.4z",
    "P": "M13.5 1.8h3v2.7h2.7v3h-2.7v2.7h-3v-2.7h-2.7v-3h2.7z",
    "X": "M12.7 1.6l2.3 2.3 2.3-2.3 2.1 2.1-2.3 2.3 2.3 2.3-2.1 2.1-2.3-2.3-2.3 2.3-2.1-2.1 2.3-2.3-2.3-2.3z",
    "<": "M10.8 6l7.6-4.2v8.4z",
    "p": "M15 1.8l4.2 3-1.6 4.9h-5.2l-1.6-4.9z",
    ">": "M19.2 6l-7.6-4.2v8.4z",
}
"""Marker to its path around (15, 6)."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a summary: a word, and what it is said of."""

    word: str
    text: str
    tone: str = ""
    """good, bad, muted, or empty."""


@cache
def _template(name: str) -> Template:
    """A template of this folder; a variable that it names and is not given is an error. Raises `TemplateNotFound`."""
    return Environment(
        loader=PackageLoader("edgebed.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def page(name: str, **given: Any) -> str:
    """A page of this package from its template. Raises `UndefinedError` for a variable that is not given."""
    return _template(name).render(palette_css=Markup(palette.css()), **given)


def drawn(picture: Drawing) -> Markup:
    """A picture as an element of the page."""
    return Markup(picture.svg())


def key(look: Look) -> Markup:
    """A sample of a line in this look, as it stands beside a name."""
    dash = " ".join(f"{1.6 * part:.3g}" for part in look.dash[1])
    line = f'stroke="var(--{look.ink})" stroke-width="1.6"' + (f' stroke-dasharray="{dash}"' if dash else "")
    return Markup(
        f'<svg class="key" viewBox="0 0 30 12" aria-hidden="true"><path d="M0 6h30" fill="none" {line}/>'
        f'<path d="{_SHAPES[look.marker]}" fill="var(--{look.ink})" stroke="var(--page)" stroke-width=".7"/></svg>'
    )


def plain_page(
    title: str,
    paragraphs: Sequence[str],
    summary: Sequence[Line],
    tables: Sequence[TextTable],
    pictures: Sequence[Drawing],
    notes_title: str,
    notes: Sequence[str],
    tinted: Collection[str] = (),
) -> bytes:
    """The page, without outside references; the rows of what is named in `tinted` stand out.

    What follows one another with the same first cell is put under one heading; a picture stands above the table of
    the same title.
    """
    shown = [_table(table, i, tinted) for i, table in enumerate(tables)]
    titles = {table["title"] for table in shown}
    beside = {picture.title: drawn(picture) for picture in pictures if picture.title in titles}
    alone = [picture for picture in pictures if picture.title not in titles]
    figures = [(f"figure-{i}", picture) for i, picture in enumerate(alone)]
    contents = {table["id"]: table["title"] for table in shown}
    contents |= {id: picture.title for id, picture in figures}
    contents |= {"notes": notes_title} if notes else {}
    return page(
        "plain.html",
        title=title,
        paragraphs=paragraphs,
        summary=summary,
        contents=contents,
        tables=[table | {"picture": beside.get(table["title"])} for table in shown],
        pictures=[(id, drawn(picture)) for id, picture in figures],
        notes=notes,
    ).encode()


def _table(table: TextTable, number: int, tinted: Collection[str]) -> dict[str, Any]:
    grouped = _repeats(table)
    columns = table.columns[1:] if grouped else table.columns
    groups = [
        {"title": title if grouped else "", "rows": [_row(row, grouped, tinted) for row in rows]}
        for title, rows in groupby(table.rows, key=lambda row: row[0] if grouped else "")
    ]
    return {
        "id": f"table-{number}",
        "title": table.title or "Figures",
        "note": table.note,
        "columns": [column or "note" for column in columns],
        "texts": [i for i in range(len(columns)) if _is_text(table, i + grouped)],
        "groups": groups,
        "wide": len(columns) > WIDE,
    }


def _row(row: Sequence[str], grouped: bool, tinted: Collection[str]) -> dict[str, Any]:
    cells = row[1:] if grouped else row
    return {"cells": [_unbroken(cell) for cell in cells], "ours": bool(set(row[:2]) & set(tinted))}


def _unbroken(text: str) -> str:
    """A number and its sign stay on one line: the thin space between thousands, and the one after ±, do not break."""
    return text.replace("\u2009", "\u202f").replace("± ", "±\u00a0")


def _repeats(table: TextTable) -> bool:
    """Whether rows with the same first cell follow one another, so that it reads better as a heading."""
    first = [row[0] for row in table.rows]
    return table.keys > 1 and any(one == other for one, other in zip(first, first[1:], strict=False))


def _is_text(table: TextTable, column: int) -> bool:
    """Whether most of a column is words, which begin on the left; dashes and empty cells say nothing of it."""
    cells = [row[column] for row in table.rows if row[column] not in ("", NOT_MEASURED)]
    return 2 * sum(not re.match(r"[-+−×<≥≈]?\s?\d|–", cell) for cell in cells) > len(cells)
