"""Several experiments on one page: a line for each scheme in each, and no mean over experiments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from edgebed.report.columns import Columns
from edgebed.report.figures import FIGURES, NOT_MEASURED, decimals_for, number, with_interval
from edgebed.report.model import Comparison
from edgebed.report.page import Line, plain_page
from edgebed.report.tables import checks, main_rows
from edgebed.report.text_table import TextTable

_SHOWN = ("success_ratio", "mean_latency_s", "p95_s", "goodput", "fairness_norm")
OVERVIEW = "All of them"


def overview(found: Mapping[str, Comparison]) -> TextTable:
    """Experiment by experiment, who did how well; figures of different experiments are never put into one mean."""
    specs = [spec for spec in FIGURES if spec.name in _SHOWN]
    rows = []
    for title, comparison in found.items():
        for scheme, results in comparison.schemes.items():
            cells = []
            for spec in specs:
                interval = comparison.interval(scheme, spec.name)
                decimals = decimals_for(
                    [None if interval is None else interval.mean], spec.decimals, spec.count
                )
                text, half = with_interval(interval, decimals, spec.scale, share=spec.decimals == 3)
                cells.append(f"{text} {half}".strip())
            rows.append(
                (title, comparison.label(scheme), results[0].summary.world, number(len(results), 0), *cells)
            )
    columns = (
        "experiment",
        "scheme",
        "world",
        "runs",
        *(f"{s.short}{f', {s.unit}' if s.unit else ''}" for s in specs),
    )
    note = "Means and 95% intervals over seeds. Each experiment stands for itself: no figure is a mean over several."
    return TextTable(OVERVIEW, note, columns, tuple(rows), keys=2)


def page_names(titles: Iterable[str]) -> dict[str, str]:
    """A name for the page of each experiment: no two alike, not even where case does not count, and none
    `report.html`, which is the page over all."""
    names, taken = {}, {"report"}
    for title in titles:
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", title).strip("-.") or "experiment"
        name = next(n for i in count(1) if (n := stem if i == 1 else f"{stem}-{i}").lower() not in taken)
        taken.add(name.lower())
        names[title] = f"{name}.html"
    return names


def page_of(found: Mapping[str, Comparison], files: Mapping[str, str], remarks: Sequence[str]) -> bytes:
    """The page over all experiments. `files`: experiment to the name of its own report."""
    lines = [Line("left out", remark, "bad") for remark in remarks]
    for title, comparison in found.items():
        bad = (cell for cell in checks(comparison) if cell.tone == "bad")
        lines += [Line(cell.aside, f"{title}: {cell.text}", "bad") for cell in bad]
    tables = [overview(found)]
    for title, comparison in found.items():
        labels = [comparison.label(s) for s in comparison.schemes]
        rows = tuple(
            (
                row.label,
                row.unit,
                *(f"{cell.text} {cell.aside}".strip() or NOT_MEASURED for cell in row.cells),
            )
            for row in main_rows(comparison)
        )
        tables.append(
            TextTable(title, f"The whole report: {files[title]}", ("figure", "unit", *labels), rows)
        )
    paragraphs = [
        f"{len(found)} experiments. Runs are of one where scenario, testbed and world are the same, and so "
        "are the watts, prices and SLO they are judged by."
    ]
    return plain_page("Several experiments", paragraphs, lines, tables, (), "", ())


def joined(parts: Sequence[Columns]) -> Columns:
    """Tables below one another; a column that one of them does not have is None there."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    found: Columns = {name: [] for name in names}
    for part in parts:
        length = len(next(iter(part.values()), []))
        for name in names:
            found[name] += part.get(name, [None] * length)
    return found
