"""What the E3 paper states in its Tables 5 and 6, and whether our runs found it."""

from __future__ import annotations

from edgebed.reproduce.common.findings import Finding
from edgebed.reproduce.common.paper import percent
from edgebed.reproduce.e3.results import GapResults
from edgebed.reproduce.e3.settings import PAPER, TITLES, paper_gap

MEAN_BAND = 0.10
"""How far a mean latency may be from the paper's, as a share of it."""
STUTTER_BAND = 0.001
"""How far a stutter rate may be from the paper's."""
STATIC = ("fixed-heuristic", "round-robin")


def findings(results: GapResults) -> list[Finding]:
    """Means, order, gap and stutter of every setting of the paper."""
    return [
        *(_mean(results, setting, scheme) for setting in PAPER for scheme in (*STATIC, "e3", "oracle")),
        *(_order(results, setting) for setting in PAPER),
        *(_gap(results, setting) for setting in PAPER),
        *(_stutter(results, setting) for setting in PAPER if PAPER[setting]["e3"].stutter is not None),
    ]


def _mean(results: GapResults, setting: str, scheme: str) -> Finding:
    stated_s, row = PAPER[setting][scheme].mean_s, results.row(setting, scheme)
    assert stated_s is not None
    return Finding(
        f"Table 5, mean latencies within {MEAN_BAND:.0%}",
        f"{TITLES[setting]}, {scheme} {1000 * stated_s:.0f} ms",
        "–" if row is None else f"{1000 * row.mean_s.mean:.0f} ms",
        None if row is None else abs(row.mean_s.mean / stated_s - 1.0) <= MEAN_BAND,
    )


def _order(results: GapResults, setting: str) -> Finding:
    means = {
        s: None if (row := results.row(setting, s)) is None else row.mean_s.mean for s in ("e3", *STATIC)
    }
    known = {s: mean_s for s, mean_s in means.items() if mean_s is not None}
    return Finding(
        "Table 5, e3 faster than both static schemes",
        TITLES[setting],
        ", ".join(f"{s} {1000 * mean_s:.0f} ms" for s, mean_s in known.items()) or "–",
        None if len(known) < len(means) else all(known["e3"] < known[s] for s in STATIC),
    )


def _gap(results: GapResults, setting: str) -> Finding:
    ours = results.gap(setting, "e3")
    return Finding(
        "Table 5, as near to the Oracle as in the paper or nearer",
        f"{TITLES[setting]}, gap {percent(paper_gap(setting), 0)}",
        "–" if ours is None else percent(ours.mean.mean),
        None if ours is None else ours.mean.mean <= paper_gap(setting),
    )


def _stutter(results: GapResults, setting: str) -> Finding:
    stated, ours = PAPER[setting]["e3"].stutter, results.row(setting, "e3")
    assert stated is not None
    return Finding(
        "Table 6, stutter of e3",
        f"{TITLES[setting]}, {percent(stated, 2, False)}",
        "–" if ours is None else percent(ours.stutter_rate, 2, False),
        None if ours is None else abs(ours.stutter_rate - stated) <= STUTTER_BAND,
    )
