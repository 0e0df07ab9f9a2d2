"""What a report says of runs whose scheme was switched while they went on."""

from __future__ import annotations

from collections.abc import Sequence

from edgebed.report.model import RunResult


def switch_remarks(results: Sequence[RunResult]) -> list[str]:
    """Of every run whose scheme was switched: to what, and when."""
    return [
        f"{s.scheme}, seed {s.seed}: switched to "
        + ", ".join(f"{switch.scheme} at {switch.t_s:g} s" for switch in s.switches)
        + "; its figures are of the whole run"
        for s in (r.summary for r in results)
        if s.switches
    ]
