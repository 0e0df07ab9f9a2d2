"""Tables of plain data, column by column: what data frames, CSV and Parquet files are made of.

Names carry their unit as fields of records do: `_s` virtual seconds, `_bytes`, `tokens`; shares and ratios are from 0
to 1. None stands where nothing was measured.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import orjson

from edgebed.harmless import harmless_cell
from edgebed.report.figures import ONE_VALUE
from edgebed.report.model import Comparison, RunResult
from emulation.domain.records import DecisionRecord, EventRecord, ExecutorRecord, RequestRecord
from emulation.metrics.pace import pace_of
from emulation.metrics.summary import ModelSummary
from emulation.metrics.tenants import Tenant
from emulation.metrics.view import latency_s, node_of

Columns = dict[str, list[Any]]
"""Name to values, all equally many: numbers, text, truth values or None."""
_HEAD = ("scenario", "scheme", "seed", "world")


def of_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Columns:
    """The columns of rows. Raises `ValueError` for a row of another length."""
    found: Columns = {name: [] for name in names}
    lists = list(found.values())
    for row in rows:
        for values, value in zip(lists, row, strict=True):
            values.append(value)
    return found


def csv_of(columns: Columns) -> bytes:
    """The columns as a CSV file; an empty cell where nothing was measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(harmless_cell, row) for row in zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def requests(comparison: Comparison) -> Columns:
    """A row per request: the fields of its record, and with them `latency_s` (from the intended send time; of served
    ones), `queue_s`, `ttft_s` and `tpot_s` of these, and `node`."""

    def of_pace(name: str) -> Callable[[Any], Any]:
        return lambda r: None if (pace := pace_of(r, comparison.laws)) is None else getattr(pace, name)

    more = {"latency_s": latency_s, "node": lambda r: r.executor and node_of(r.executor)}
    more |= {name: of_pace(name) for name in ("queue_s", "ttft_s", "tpot_s")}
    return _of_records(comparison, RequestRecord, lambda r: r.run.requests, more)


def decisions(comparison: Comparison) -> Columns:
    """A row per decision; `choice`, `candidates` and `violations` as JSON."""
    return _of_records(comparison, DecisionRecord, lambda r: r.run.decisions)


def executors(comparison: Comparison) -> Columns:
    """A row per change of an executor's state or mode; it holds until the executor's next row."""
    return _of_records(
        comparison, ExecutorRecord, lambda r: r.run.executors, {"node": lambda r: node_of(r.executor)}
    )


def events(comparison: Comparison) -> Columns:
    """A row per step of an event of the plan: onset, step or undo; `detail` as JSON."""
    return _of_records(comparison, EventRecord, lambda r: r.run.events)


def summaries(comparison: Comparison) -> Columns:
    """A row per run: every figure of its `Summary` that is one value; `conserved` says whether its books balance."""
    names = [name for name in ONE_VALUE if name not in _HEAD]
    found = of_rows(
        (*_HEAD, *names, "conserved"),
        (
            (*head, *(getattr(r.summary, n) for n in names), r.summary.conservation.ok)
            for head, r in _headed(comparison)
        ),
    )
    outcomes = dict.fromkeys(o for r in comparison.results for o in r.summary.ends)
    ends = {f"ends_{o}": [r.summary.ends.get(o, 0) for _, r in _runs(comparison)] for o in outcomes}
    return found | ends


def models(comparison: Comparison) -> Columns:
    """A row per run and model: every figure of `ModelSummary` that is one value."""
    rows = [(head, m, s) for head, r in _headed(comparison) for m, s in r.summary.per_model.items()]
    names = [f.name for f in fields(ModelSummary)]
    plain = [n for n in names if all(_is_plain(getattr(s, n)) for _, _, s in rows)]
    return of_rows(
        (*_HEAD, "model", *plain), ((*head, m, *(getattr(s, n) for n in plain)) for head, m, s in rows)
    )


def tenants(comparison: Comparison) -> Columns:
    """A row per run and tenant: every figure of `Tenant`; none where no request names one."""
    names = [f.name for f in fields(Tenant)]
    rows = [(head, r.summary.tenants) for head, r in _headed(comparison)]
    return of_rows(
        (*_HEAD, "tenant", *names),
        (
            (*head, name, *(getattr(tenant, n) for n in names))
            for head, figures in rows
            if figures is not None
            for name, tenant in figures.tenants.items()
        ),
    )


TABLES: Mapping[str, Callable[[Comparison], Columns]] = {
    "requests": requests,
    "decisions": decisions,
    "executors": executors,
    "events": events,
    "summaries": summaries,
    "models": models,
    "tenants": tenants,
}
"""Every table that a comparison has."""


def _of_records(
    comparison: Comparison,
    record: type,
    of: Callable[[RunResult], Sequence[Any]],
    more: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Columns:
    """The fields of every record of a kind, those that are no single value as JSON, and `more` of it."""
    names, more = [f.name for f in fields(record) if f.name != "kind"], more or {}
    return of_rows(
        (*_HEAD, *names, *more),
        (
            (*head, *(_cell(getattr(line, n)) for n in names), *(make(line) for make in more.values()))
            for head, result in _headed(comparison)
            for line in of(result)
        ),
    )


def _runs(comparison: Comparison) -> list[tuple[str, RunResult]]:
    return [(scheme, r) for scheme, results in comparison.schemes.items() for r in results]


def _headed(comparison: Comparison) -> list[tuple[tuple[Any, ...], RunResult]]:
    return [(_head(comparison, scheme, r), r) for scheme, r in _runs(comparison)]


def _head(comparison: Comparison, scheme: str, result: RunResult) -> tuple[str, str, int, str]:
    return comparison.scenario, scheme, result.summary.seed, result.summary.world


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _cell(value: Any) -> Any:
    return value if _is_plain(value) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
