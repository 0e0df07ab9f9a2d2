"""The Python interface: what `import edgebed` offers, with signatures, and the columns of its tables."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import edgebed
from docs.generate.markdown import cell, table
from docs.generate.sources import field_docs
from edgebed.api.result import Result
from edgebed.report.columns import TABLES
from edgebed.report.figures import ONE_VALUE
from emulation.domain import records
from emulation.metrics.summary import ModelSummary, Summary
from emulation.metrics.tenants import Tenant

LEFT_OUT = ("kind", "scenario", "scheme", "seed", "world")
ROWS: dict[str, tuple[Any, str]] = {
    "requests": (records.RequestRecord, "per request; also `latency_s` (of served ones) and `node`"),
    "decisions": (records.DecisionRecord, "per decision; what is no single value is JSON"),
    "executors": (
        records.ExecutorRecord,
        "per change of an executor, in force until its next one; also `node`",
    ),
    "events": (records.EventRecord, "per step of an event; `detail` is JSON"),
    "summaries": (Summary, "per run; also `conserved` and `ends_<outcome>`"),
    "models": (ModelSummary, "per run and model"),
    "tenants": (Tenant, "per run and tenant, whose name is `tenant`; none where no request names one"),
}


def page() -> str:
    """What `import edgebed` offers."""
    text = (
        "# Python\n\n`import edgebed`; [how to use it](../how-to/use-from-python.md). Names are loaded when they are "
        "asked for. Times are virtual\nseconds, shares and ratios from 0 to 1; what was not measured is None.\n\n"
    )
    offered = {name: getattr(edgebed, name) for name in edgebed.__all__}
    functions = {name: found for name, found in offered.items() if inspect.isfunction(found)}
    text += "".join(_section(f"edgebed.{name}", found) for name, found in functions.items())
    text += f"## `edgebed.Result`\n\n{inspect.getdoc(Result)}\n\n" + table(
        ["of a result", "what"], _members(Result)
    )
    rows = [
        [f"`edgebed.{name}`", cell(_first(found))] for name, found in offered.items() if name not in functions
    ]
    text += "\n## Types and errors\n\n" + table(["name", "what"], rows)
    return text + "\n" + _tables()


def _section(name: str, found: Any) -> str:
    return f"## `{name}`\n\n```text\n{_signature(name, found)}\n```\n\n{inspect.getdoc(found)}\n\n"


def _signature(name: str, found: Any) -> str:
    signature = inspect.signature(found)
    parts = [_parameter(p) for p in signature.parameters.values()]
    keyword = next((i for i, p in enumerate(signature.parameters.values()) if p.kind is p.KEYWORD_ONLY), None)
    if keyword is not None:
        parts.insert(keyword, "*")
    ends = f") -> {signature.return_annotation}"
    short = f"{name}({', '.join(parts)}{ends}"
    return short if len(short) <= 110 else f"{name}(\n    " + ",\n    ".join(parts) + f",\n{ends}"


def _parameter(given: inspect.Parameter) -> str:
    stars = "**" if given.kind is given.VAR_KEYWORD else ""
    default = "" if given.default is given.empty else f" = {given.default!r}"
    return f"{stars}{given.name}: {given.annotation}{default}"


def _members(cls: type) -> list[list[str]]:
    rows = [[f"`{name}`", cell(text)] for name, text in field_docs(cls).items()]
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            rows.append([f"`{name}`", cell(_joined(member))])
        elif inspect.isfunction(member):
            own = inspect.signature(member).parameters
            given = ", ".join(_parameter(p) for n, p in own.items() if n != "self")
            rows.append([cell(f"`{name}({given})`"), cell(_joined(member))])
    return rows


def _joined(found: Any) -> str:
    return " ".join((inspect.getdoc(found) or "").split())


def _first(found: Any) -> str:
    return " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())


def _tables() -> str:
    """The columns of every table, those that stand in the run record or the metrics page by their name there."""
    text = (
        "## Tables\n\nOf `result.frame(name)` and `result.columns(name)`. Each begins with `scenario`, `scheme`, "
        "`seed` and `world`; the others are the fields\nof the [run record](records.md), or of a summary "
        "([what each figure is](../explanation/metrics.md)), that are one value.\n\n"
    )
    rows = []
    for name in TABLES:
        if name in ROWS:
            cls, said = ROWS[name]
            names = ONE_VALUE if cls is Summary else [f.name for f in fields(cls)]
            listed = ", ".join(f"`{n}`" for n in names if n not in LEFT_OUT)
            rows.append([f"`{name}`", cell(said), listed])
        else:
            rows.append([f"`{name}`", cell(_first(TABLES[name])), ""])
    return text + table(["table", "a row", "columns"], rows)
