"""A comparison for machines: JSON whose keys are an interface, and a tidy CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from edgebed.harmless import harmless_cell
from edgebed.report.client_row import client_json
from edgebed.report.figures import BY_NAME
from edgebed.report.model import Comparison, ParityRow
from edgebed.report.reasoning import accounts_of
from edgebed.report.serving_table import serving_json
from edgebed.report.stats import Interval
from edgebed.report.tables import MODEL_COLUMNS
from edgebed.report.tenants_table import tenants_json
from edgebed.runs.processes import process_figures
from emulation.metrics.summary import Summary
from emulation.recording import write_whole

RUN_FIGURES = (*BY_NAME, "t_norm", "t_norm_type", "objective_type", "arrived", "done")
MODEL_FIGURES = ("arrived", "done", *(name for name, _, _ in MODEL_COLUMNS[1:]))


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Plain data. Stable keys: `schemes.<S>.mean_latency_s | fairness_norm | success_ratio | goodput` and
    `schemes.<S>.per_model.<m>.mean_latency_s | success_ratio`, each a mean over seeds or null.

    `intervals` beside them holds [low, high] (null for a single seed), `runs` every run's own figures, `processes`
    measured starts and stops of replicas (null unless lifecycle is cold).
    """
    return {
        "scenario": comparison.scenario,
        "seeds": list(comparison.seeds),
        "baseline": comparison.baseline,
        "schemes": {name: _scheme(comparison, name) for name in comparison.schemes},
        "paired": {
            name: {figure: _interval(comparison.difference(name, figure)) for figure in BY_NAME}
            for name in comparison.schemes
            if comparison.baseline is not None and name != comparison.baseline
        },
        "faults": None if comparison.faults is None else [asdict(r) for r in comparison.faults],
        "parity": None if comparison.parity is None else [parity_json(r) for r in comparison.parity.rows],
        "reasoning": {
            name: {a.role: a.to_json() for a in accounts_of(results)}
            for name, results in comparison.schemes.items()
        },
        "clients": client_json(comparison.results),
        "left_out": [asdict(o) for o in comparison.left_out],
        "remarks": list(comparison.remarks),
        "workload": [{**asdict(a), "adds_up": a.adds_up} for a in comparison.workload],
        "checks": {
            "conserved": all(r.summary.conservation.ok for r in comparison.results),
            "complete": comparison.complete,
            "faults_valid": comparison.faults_valid,
            "parity_ok": None if comparison.parity is None else comparison.parity.ok,
        },
    }


def parity_json(row: ParityRow) -> dict[str, Any]:
    """One comparison of the two worlds; `ok` null is `not distinguishable` or `may be chance`."""
    return {**asdict(row), "width": row.width, "verdict": row.verdict}


def write_csv(comparison: Comparison, path: Path) -> None:
    """One figure per line: scheme, seed, world, model (empty: all), figure, value (empty: not measured).

    Written whole or not at all.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scenario", "scheme", "seed", "world", "reasoner", "model", "figure", "value"])
    for name, results in comparison.schemes.items():
        for result in results:
            of = result.summary
            head = [comparison.scenario, name, of.seed, of.world, of.reasoner]
            writer.writerows(map(harmless_cell, [*head, *row]) for row in _values(of))  # None: an empty cell
    write_whole(path, text.getvalue().encode())


def _values(summary: Summary) -> list[tuple[str, str, float | None]]:
    rows = [("", name, getattr(summary, name)) for name in RUN_FIGURES]
    rows += [("", f"ends_{outcome}", count) for outcome, count in summary.ends.items()]
    return rows + [
        (m, name, getattr(s, name)) for m, s in summary.per_model.items() for name in MODEL_FIGURES
    ]


def _scheme(comparison: Comparison, name: str) -> dict[str, Any]:
    summaries = comparison.summaries(name)
    first = summaries[0]
    return {
        "label": comparison.label(name),
        "scheme": first.scheme,
        "reasoner": first.reasoner,
        "world": first.world,
        "lifecycle": first.lifecycle,
        "speedup": first.speedup,
        "seeds": [s.seed for s in summaries],
        "n": len(summaries),
        **_means(partial(comparison.interval, name), RUN_FIGURES),
        "control_calls": first.control_calls if len(summaries) == 1 else [s.control_calls for s in summaries],
        "processes": process_figures([r.run for r in comparison.schemes[name]]),
        "ends": {o: sum(s.ends.get(o, 0) for s in summaries) for o in first.ends},
        "per_model": {
            model: _means(partial(comparison.model_interval, name, model), MODEL_FIGURES)
            for model in comparison.models
        },
        "serving": serving_json(comparison, name),
        "tenants": tenants_json(comparison, name),
        "runs": [s.to_json() for s in summaries],
    }


def _means(interval_of: Callable[[str], Interval | None], names: Sequence[str]) -> dict[str, Any]:
    found = {name: interval_of(name) for name in names}
    return {
        **{name: None if i is None else i.mean for name, i in found.items()},
        "intervals": {
            name: None if i is None or i.low is None else [i.low, i.high] for name, i in found.items()
        },
    }


def _interval(found: Interval | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
