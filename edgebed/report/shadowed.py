"""What a report says of schemes that decided in the shadow of the one in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgebed.report.model import RunResult
from emulation.domain.records import HYPOTHETICAL
from emulation.recording import Run

_SHADOW = "shadow:"


def shadow_remarks(results: Sequence[RunResult]) -> list[str]:
    """Of every run with shadows: how often each decided as the scheme in force did when the request first came."""
    return [
        f"{r.summary.scheme}, seed {r.summary.seed}: {scheme}, in its shadow, decided {asked} requests, {alike} alike"
        + (f"; it failed on {failed}" if failed else "")
        for r in results
        for scheme, (asked, alike, failed) in agreement(r.run).items()
    ]


def agreement(run: Run) -> dict[str, tuple[int, int, int]]:
    """Scheme to the requests it decided in the shadow, those decided as in force, and those it failed on."""
    first: dict[str, str] = {}
    asked: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    shadows = []
    for decision in run.decisions:
        if decision.request_id is None:
            continue
        if decision.actor == "router":
            first.setdefault(decision.request_id, decision.choice)
        elif decision.outcome == HYPOTHETICAL and decision.actor.startswith(_SHADOW):
            shadows.append(decision)
    for decision in shadows:
        scheme = decision.actor.removeprefix(_SHADOW)
        if decision.violations:
            failed[scheme] += 1
        elif decision.request_id in first:  # a dry route decides about what nobody serves
            asked[scheme] += 1
            alike[scheme] += decision.choice == first[decision.request_id]
    return {s: (asked[s], alike[s], failed[s]) for s in dict.fromkeys([*asked, *failed])}
