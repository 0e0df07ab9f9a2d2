"""A comparison as the files that a paper takes in: vector pictures, LaTeX tables, and the data of both."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

from edgebed.report.columns import TABLES, Columns, csv_of
from edgebed.report.latex import latex_tables, preview
from edgebed.report.model import Comparison
from edgebed.report.pictures import pictures
from edgebed.report.tenants_table import tenants_shown
from edgebed.report.theme import Drawing
from emulation.recording import write_together

DATA = ("requests", "summaries", "models")
"""Tables of a comparison that are written beside the data of its pictures; `tenants`, too, where there are any."""
LIBRARY = "pyarrow"
"""What writes Parquet; of the extra `frames`."""


def write_paper(comparison: Comparison, folder: Path) -> dict[str, int]:
    """Write everything, each file whole, or no file at all; how many of each ending were written.

    `figures/` has every picture as PDF, its fonts embedded, and as SVG, its letters as outlines; `tables/` has LaTeX;
    `data/` has what is plotted, and requests and figures of all runs, as CSV, and as Parquet where pyarrow is
    installed. `preview.tex` shows all of it. Files of the same name are written over. Raises `OSError` if something
    cannot be written.
    """
    drawn, tables = pictures(comparison), latex_tables(comparison)
    names = (*DATA, "tenants") if tenants_shown(comparison) else DATA
    data = {name: TABLES[name](comparison) for name in names} | plotted(drawn)
    files: dict[Path, bytes] = {}
    for name, picture in drawn.items():
        files[folder / "figures" / f"{name}.pdf"] = picture.pdf()
        files[folder / "figures" / f"{name}.svg"] = picture.svg_file()
    for name, text in tables.items():
        files[folder / "tables" / f"{name}.tex"] = text.encode()
    for name, columns in data.items():
        files[folder / "data" / f"{name}.csv"] = csv_of(columns)
        if has_parquet():
            files[folder / "data" / f"{name}.parquet"] = parquet_of(columns)
    files[folder / "preview.tex"] = preview(list(tables), {n: p.title for n, p in drawn.items()}).encode()
    write_together(files)
    return _counted(files)


def plotted(drawn: Mapping[str, Drawing]) -> dict[str, Columns]:
    """What the pictures show, by their names."""
    return {name: picture.data() for name, picture in drawn.items() if picture.data is not None}


def has_parquet() -> bool:
    """Whether what writes Parquet is installed."""
    return importlib.util.find_spec(LIBRARY) is not None


def parquet_of(columns: Columns) -> bytes:
    """The columns as a Parquet file; null where nothing was measured. Raises `ImportError` without pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def _counted(files: Mapping[Path, bytes]) -> dict[str, int]:
    endings = [path.suffix.removeprefix(".") for path in files]
    return {ending: endings.count(ending) for ending in dict.fromkeys(endings)}
