"""What a client's log says, per model: ends, latency from the intended time, time to first token, why it failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from edgebed.report.text_table import print_cells
from emulation.metrics.shares import share_text
from workloads.failures import reasons
from workloads.load import ClientResult

SHOWN = 3
"""Reasons that stand under the table."""


def summarise_load(log: Sequence[ClientResult]) -> dict[str, Any]:
    """Figures per model and over all (key `all`): virtual seconds, wall milliseconds, ends by outcome, reasons."""
    models = sorted({result.model for result in log})
    groups = {"all": list(log), **{m: [r for r in log if r.model == m] for m in models}}
    return {name: _figures(results) for name, results in groups.items()}


def print_load(summary: dict[str, Any], console: Console) -> None:
    """Print a summary as a table, one line per model, and why requests failed."""
    figures = ("mean", "p50", "p95", "p99")
    columns = ("model", "sent", "done", "success", *figures, "first token", "other ends")
    rows = []
    for name, row in summary.items():
        latency = row["latency_s"]
        others = ", ".join(f"{outcome} {n}" for outcome, n in row["ends"].items() if outcome != "done") or "–"
        shown = [_seconds(latency[key]) for key in figures]
        first = _seconds(row["first_token_s"]["p50"])
        success = "–" if row["success_ratio"] is None else share_text(row["success_ratio"], 3)
        rows.append((name, str(row["sent"]), str(row["ends"].get("done", 0)), success, *shown, first, others))
    print_cells(console, "load", columns, rows)
    console.print(
        "Latencies of requests that were done, in virtual seconds from the intended send time; first token: median.",
        style="dim",
    )
    _print_reasons(summary["all"], console)


def _print_reasons(row: dict[str, Any], console: Console) -> None:
    """What went wrong, the commonest first, and what was never sent."""
    found = row["reasons"]
    if found:
        failed = sum(reason["count"] for reason in found)
        console.print(f"{failed} of {row['sent']} requests failed:", style="bold")
    for reason in found[:SHOWN]:
        said = f"  {reason['count']} × {reason['reason']}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    if len(found) > SHOWN:
        console.print(f"  and {len(found) - SHOWN} more reasons, in the log")
    if row["unsent"]:
        console.print(f"{row['unsent']} requests were never sent; no figure above counts them.")


def _figures(results: Sequence[ClientResult]) -> dict[str, Any]:
    sent = [r for r in results if r.sent_s is not None]
    done = [r for r in sent if r.outcome == "done"]
    first = [r.first_token_s - r.intended_s for r in sent if r.first_token_s is not None]
    return {
        "sent": len(sent),
        "unsent": len(results) - len(sent),
        "ends": dict(sorted(Counter(r.outcome for r in sent).items())),
        "success_ratio": len(done) / len(sent) if sent else None,
        "latency_s": _spread([r.ended_s - r.intended_s for r in done]),
        "first_token_s": _spread(first),
        "latency_wall_ms": _spread([1000 * r.latency_wall_s for r in done]),
        "reasons": [{"reason": r.words, "count": r.count} for r in reasons(sent)],
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return dict.fromkeys(("mean", "p50", "p95", "p99"))
    p50, p95, p99 = (float(v) for v in np.percentile(values, (50, 95, 99)))
    return {"mean": float(np.mean(values)), "p50": p50, "p95": p95, "p99": p99}


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
