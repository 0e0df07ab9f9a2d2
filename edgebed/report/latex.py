r"""Tables of a comparison in LaTeX: a row per scheme, rules by `booktabs`, and below each what its figures mean.

A file is one `table` with caption and label (`tab:edgebed-latency`), to be taken in by `\input`; it needs
`\usepackage{booktabs}` and no more, with pdfLaTeX, XeLaTeX and LuaLaTeX alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby

from edgebed.report.model import Comparison
from edgebed.report.tables import (
    MODEL_COLUMNS,
    FigureRow,
    TableCell,
    checks,
    ends_rows,
    main_rows,
    model_rows,
    paired_rows,
    run_line,
)

Cells = Sequence[str]

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": r"\`{}",
    "\u2009": r"\,", "\u202f": r"\,", "\u00a0": "~", "\u2212": "$-$", "±": r"$\pm$", "–": "--", "—": "---",
    "→": r"$\rightarrow$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "…": r"\ldots{}",
    "·": r"$\cdot$", "“": "``", "”": "''", "’": "'", "µ": r"$\mu$",
}  # fmt: skip
BEST = "Bold: best of its column by its mean; that says nothing of whether the difference is one."


def escaped(text: str) -> str:
    """Text from outside as LaTeX prints it; what has no plain letter becomes a question mark, a line end a blank."""
    return "".join(_SPECIAL.get(c) or _letter(c) for c in re.sub(r"[\n\r\t ]+", " ", text))


def _letter(c: str) -> str:
    if c.isascii():
        return c if c.isprintable() else "?"
    plain = "".join(p for p in unicodedata.normalize("NFKD", c) if p.isascii() and p.isprintable())
    return "".join(_SPECIAL.get(p, p) for p in plain) or "?"


def latex_tables(comparison: Comparison) -> dict[str, str]:
    """Name of a file without its ending to its text: a table per group of figures, the paired differences, the
    figures of each model, and how requests ended."""
    found = {}
    schemes = [comparison.label(name) for name in comparison.schemes]
    note = _note(comparison)
    rows = main_rows(comparison)
    success = [row for row in rows if row.short == "success"]
    for group, own in groupby(rows, key=lambda row: row.group):
        shown = [*(success if group.startswith(("Latency", "Fairness")) else ()), *own]
        name = _name(group)
        said = " ".join(
            (note, *(escaped(f"{sentence}.") for sentence in _source(comparison, group)), escaped(BEST))
        )
        found[name] = _by_scheme(f"{comparison.scenario}: {group.lower()}", name, schemes, shown, said)
    if paired := paired_rows(comparison):
        base = comparison.label(str(comparison.baseline))
        others = [comparison.label(n) for n in comparison.schemes if n != comparison.baseline]
        said = f"{comparison.scenario}: scheme less {base}, paired by seed"
        found["differences"] = _by_scheme(said, "differences", others, paired, note)
    found["models"] = _models(comparison, note)
    found["ends"] = _by_scheme(
        f"{comparison.scenario}: how requests ended, summed over seeds",
        "ends",
        schemes,
        ends_rows(comparison),
        note,
    )
    return found


def preview(tables: Sequence[str], pictures: Mapping[str, str]) -> str:
    """A document that shows all tables and pictures of a folder, to look at them together; `pictures`: name of the
    file to title."""
    body = [rf"\input{{tables/{name}}}" for name in tables]
    body += [
        rf"\begin{{figure}}[p]\centering\includegraphics[width=\textwidth]{{figures/{name}.pdf}}"
        rf"\caption{{{escaped(title)}}}\end{{figure}}"
        for name, title in pictures.items()
    ]
    head = [
        r"\documentclass{article}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\usepackage{booktabs,graphicx}",
        r"\extrafloats{100}",
        r"\begin{document}",
    ]
    return "\n".join([*head, *body, r"\end{document}", ""])


def _note(comparison: Comparison) -> str:
    """What every table must state beside its figures, and whatever check does not hold."""
    several = max(len(own) for own in comparison.schemes.values()) > 2
    said = [run_line(comparison)]
    if several:
        said.append("mean over seeds, 95% interval by Student's t")
    said += [f"{c.aside}: {c.text}" for c in checks(comparison) if c.tone == "bad"]
    return escaped("; ".join(said) + ".")


def _source(comparison: Comparison, group: str) -> list[str]:
    """Where figures come from that nobody measured: watts and prices, with their tiers and currency."""
    if not group.startswith("Energy"):
        return []
    found = [remark for remark in comparison.remarks if remark.startswith(("energy", "cost"))]
    return [f"{remark[:1].upper()}{remark[1:]}" for remark in found]


def _by_scheme(caption: str, name: str, schemes: Sequence[str], rows: Sequence[FigureRow], note: str) -> str:
    """Schemes as rows and figures as columns."""
    head = [escaped("Scheme"), *(_heading(row) for row in rows)]
    body = [[escaped(scheme), *(_cell(row.cells[i]) for row in rows)] for i, scheme in enumerate(schemes)]
    return _table(caption, name, head, [body], note)


def _models(comparison: Comparison, note: str) -> str:
    head = ["Model", "Scheme", *(escaped(_unit(heading, name)) for name, heading, _ in MODEL_COLUMNS)]
    blocks = [
        [
            [
                escaped(model) if i == 0 else "",
                escaped(comparison.label(row["scheme"])),
                *map(_cell, row["cells"]),
            ]
            for i, row in enumerate(own)
        ]
        for model, own in groupby(model_rows(comparison), key=lambda row: str(row["model"]))
    ]
    return _table(f"{comparison.scenario}: by model", "models", head, blocks, note, texts=2)


def _unit(heading: str, name: str) -> str:
    return f"{heading} (s)" if name.endswith("_s") else heading


def _heading(row: FigureRow) -> str:
    label = row.short or row.label
    return escaped(label if row.unit in ("", label) else f"{label} ({row.unit})")


def _cell(cell: TableCell) -> str:
    text = escaped(cell.text)
    if cell.tone == "best":
        text = rf"\textbf{{{text}}}"
    return f"{text} {{\\footnotesize {escaped(cell.aside)}}}" if cell.aside else text


def _table(
    caption: str, name: str, head: Cells, blocks: Sequence[Sequence[Cells]], note: str, texts: int = 1
) -> str:
    """A floating table; `texts`: leading columns of words, all others stand on the right."""
    columns = "l" * texts + "r" * (len(head) - texts)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:edgebed-{name}}}",
        r"\setlength{\tabcolsep}{3pt}",
        r"\small",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
    ]
    for block in blocks:
        lines += [r"\midrule", *(" & ".join(row) + r" \\" for row in block)]
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\smallskip",
        rf"\parbox{{\linewidth}}{{\footnotesize {note}}}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _name(group: str) -> str:
    """`Latency of the served` is in the file `latency`."""
    return re.sub(r"[^a-z]+", "-", group.split()[0].lower()).strip("-")
