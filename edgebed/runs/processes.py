"""How long replicas really took to start and stop (lifecycle cold), from the launcher's entries in the record."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from emulation.domain.records import DecisionRecord
from emulation.recording import Run


def process_figures(runs: Sequence[Run]) -> dict[str, Any] | None:
    """`starts` and `stops` of all these runs: count, failed and given_up (withdrawn before they were done), mean_s,
    min_s and max_s of those that succeeded (null if none did), and the same per model; None if no process was started
    or stopped (lifecycle warm).

    Seconds from when the node asked for it to when Serve said it was done: in lifecycle cold a virtual second is a
    second.
    """
    entries = [d for run in runs for d in run.decisions if d.actor == "launcher"]
    if not entries:
        return None
    return {f"{what}s": _figures([d for d in entries if d.cause == what]) for what in ("start", "stop")}


def process_line(figures: dict[str, Any]) -> str:
    """What `process_figures` found, in a few words."""
    return "; ".join(_words(what, figures[what]) for what in ("starts", "stops"))


def _figures(entries: Sequence[DecisionRecord]) -> dict[str, Any]:
    models = sorted({str(d.choice["executor"]).partition("/")[2] for d in entries})
    return _times(entries) | {
        "per_model": {
            m: _times([d for d in entries if str(d.choice["executor"]).partition("/")[2] == m])
            for m in models
        }
    }


def _times(entries: Sequence[DecisionRecord]) -> dict[str, Any]:
    took_s = [d.landed_s - d.t_s for d in entries if d.landed_s is not None]
    return {
        "count": len(took_s),
        "failed": sum(d.outcome == "rejected" for d in entries),
        "given_up": sum(d.outcome == "voided" for d in entries),
        "mean_s": round(mean(took_s), 3) if took_s else None,
        "min_s": round(min(took_s), 3) if took_s else None,
        "max_s": round(max(took_s), 3) if took_s else None,
    }


def _words(what: str, figures: dict[str, Any]) -> str:
    failed = f", {figures['failed']} failed" if figures["failed"] else ""
    failed += f", {figures['given_up']} given up" if figures["given_up"] else ""
    if not figures["count"]:
        return f"no {what}{failed}"
    return (
        f"{figures['count']} {what} in {figures['mean_s']:.1f} s on average"
        f" ({figures['min_s']:.1f} to {figures['max_s']:.1f} s){failed}"
    )
