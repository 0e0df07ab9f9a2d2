"""The report page: one HTML file that needs nothing else, no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from edgebed.report.decisions import control_lines, route_lines
from edgebed.report.model import Comparison, compare_runs
from edgebed.report.parity_table import PARITY_COLUMNS, parity_rows
from edgebed.report.plain import template
from edgebed.report.tables import (
    MODEL_COLUMNS,
    checks,
    ends_rows,
    fault_lines,
    main_rows,
    model_rows,
    paired_rows,
    run_line,
)
from emulation.recording import Run, write_whole


def write_report(subject: Comparison | Run | Sequence[Run], path: Path) -> None:
    """Write the report of a comparison, or of plain runs of one scenario, whole or not at all.

    Raises `ValueError` if there is nothing to report, or the runs are of different scenarios.
    """
    if isinstance(subject, Run):
        subject = [subject]
    comparison = subject if isinstance(subject, Comparison) else compare_runs(subject)
    write_whole(path, render(comparison).encode())


def render(comparison: Comparison) -> str:
    """The page as text. Raises `ValueError` for a comparison without runs."""
    if not comparison.results:
        raise ValueError("nothing to report: the comparison holds no run")
    return template("report.html").render(**_content(comparison), **_plots(comparison))


def _content(comparison: Comparison) -> dict[str, Any]:
    others = [n for n in comparison.schemes if n != comparison.baseline]
    return {
        "scenario": comparison.scenario,
        "note": comparison.note,
        "run_line": run_line(comparison),
        "facts": _facts(comparison),
        "has_events": bool(comparison.results[0].run.events),
        "labels": {name: comparison.label(name) for name in comparison.schemes},
        "baseline": comparison.baseline,
        "others": others,
        "seeds": len(comparison.seeds),
        "checks": checks(comparison),
        "main": main_rows(comparison),
        "paired": paired_rows(comparison) if others else [],
        "model_columns": [heading for _, heading, _ in MODEL_COLUMNS],
        "models": model_rows(comparison),
        "ends": ends_rows(comparison),
        "faults": fault_lines(comparison.faults or ()),
        "parity": [] if comparison.parity is None else parity_rows(comparison.parity),
        "parity_columns": PARITY_COLUMNS,
        "examples": _examples(comparison),
    }


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    header = comparison.results[0].run.header
    facts = [
        ("Models", ", ".join(comparison.models)),
        ("Horizon", f"{header.slots} slots of {header.slot_s:g} s, epochs of {header.epoch_slots} slots"),
        ("Deadline", "none" if header.deadline_s is None else f"{header.deadline_s:g} s"),
    ]
    facts += [
        (k.capitalize(), v) for k, _, v in (part.partition(" ") for part in run_line(comparison).split(" · "))
    ]
    return facts


def _examples(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "label": comparison.label(name),
            "seed": results[0].summary.seed,
            "control": control_lines(results[0].run),
            "routes": route_lines(results[0].run),
        }
        for name, results in comparison.schemes.items()
    ]


def _plots(comparison: Comparison) -> dict[str, Any]:
    from edgebed.report import plots, theme, timelines  # drawing takes a second to import: only when drawing

    modes = {
        comparison.label(name): timelines.executor_modes(
            results[0].run, f"modes-{i}", i == 0 or len(comparison.schemes) > plots.MANY
        )
        for i, (name, results) in enumerate(comparison.schemes.items())
    }
    return {
        "colours": theme.colours(comparison.schemes),
        "latency_over_time": Markup(plots.latency_over_time(comparison)),
        "latency_against_fairness": Markup(plots.latency_against_fairness(comparison)),
        "per_model": Markup(plots.per_model(comparison)),
        "ends_by_outcome": Markup(plots.ends_by_outcome(comparison)),
        "modes": {label: Markup(drawn) for label, drawn in modes.items() if drawn},
    }
