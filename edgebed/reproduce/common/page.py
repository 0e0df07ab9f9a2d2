"""The page of a reproduction, and its tables as CSV."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Collection, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from edgebed.reproduce.e3.tables import Sheet

FigureFile = tuple[str, bytes]
"""Title and PNG of a figure."""


def page(
    title: str,
    intro: str,
    sheets: Sequence[Sheet],
    figures: Sequence[FigureFile],
    deviations: Sequence[str],
    ours: Collection[str],
) -> str:
    """One HTML file without outside references; rows whose second cell is in `ours` are tinted."""
    environment = Environment(
        loader=PackageLoader("edgebed.reproduce.common"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        intro=intro,
        sheets=sheets,
        figures=[(name, b64encode(data).decode()) for name, data in figures],
        deviations=deviations,
        ours=tuple(ours),
    )


def sheet_csv(sheet: Sheet) -> bytes:
    """The table as it is shown, cells as text."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([sheet.columns, *sheet.rows])
    return out.getvalue().encode()
