"""Which scheme leads and by how much, in one sentence that says how much it can tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from edgebed.report.figures import NOT_MEASURED, decimals_for, number
from edgebed.report.model import Comparison
from edgebed.report.stats import LEAST
from edgebed.report.verdict import Word, percentage, relative, verdicts


@dataclass(frozen=True, slots=True)
class Headline:
    """The sentence at the top, and what it rests on."""

    text: str
    certain: Literal["clear", "unsure", "one"]
    """clear: against every other scheme the seeds can tell; unsure: against one of them or more they cannot; one: there
    are too few seeds for any interval."""
    leader: str | None
    """None where no scheme is ahead in both latency and success."""
    words: dict[str, Word]
    """Each other scheme against the leader, as the report says it."""


def headline(comparison: Comparison) -> Headline:
    """Who leads: no other scheme has a lower mean latency or a higher success ratio. Raises `ValueError` for a
    comparison without runs."""
    if not comparison.results:
        raise ValueError("nothing to compare: no run is there")
    if len(comparison.schemes) == 1:
        (only,) = comparison.schemes
        return Headline(
            f"{comparison.label(only)}: {_level(comparison, only)}. There is nothing to compare it with.",
            "one",
            None,
            {},
        )
    leader = leading(comparison)
    if leader is None:
        return Headline(_divided(comparison), _certainty(comparison, {}), None, {})
    paired = replace(comparison, baseline=leader)
    words = {v.scheme: v.word for v in verdicts(paired)}
    behind = sorted((n for n in paired.schemes if n != leader), key=lambda n: _means(paired, n)[0] or inf)
    others = "; ".join(_against(paired, name, words[name]) for name in behind)
    certain = _certainty(paired, words)
    best = f"{comparison.label(leader)} is the best here: {_level(comparison, leader)}"
    return Headline(f"{best}. {others}.{_caveat(comparison, certain)}", certain, leader, words)


def leading(comparison: Comparison) -> str | None:
    """The scheme that no other beats in latency or in success; of several, the one of lowest latency."""
    best = []
    for name in comparison.schemes:
        late, success = _means(comparison, name)
        if late is None or success is None:
            continue
        others = [_means(comparison, other) for other in comparison.schemes if other != name]
        if all((o is None or late <= o) and (s is None or success >= s - 1e-9) for o, s in others):
            best.append((late, name))
    return min(best)[1] if best else None


def _means(comparison: Comparison, scheme: str) -> tuple[float | None, float | None]:
    late, success = (comparison.interval(scheme, n) for n in ("mean_latency_s", "success_ratio"))
    return (None if late is None else late.mean, None if success is None else success.mean)


def _level(comparison: Comparison, scheme: str) -> str:
    late, success = _means(comparison, scheme)
    served = NOT_MEASURED if success is None else number(success, 3, share=True)
    waits = NOT_MEASURED if late is None else f"{number(late, decimals_for([late]))} s"
    return f"{waits} on average, success ratio {served}"


def _against(paired: Comparison, scheme: str, word: Word) -> str:
    """How far a scheme is behind the leader, who is the baseline of `paired`."""
    late, success = (paired.difference(scheme, n) for n in ("mean_latency_s", "success_ratio"))
    parts = []
    if late is not None:
        change = percentage(relative(paired, scheme, "mean_latency_s"))
        how = "slower" if late.mean >= 0 else "faster"
        parts.append(
            f"{number(abs(late.mean), decimals_for([late.mean]))} s {how}"
            + (f" ({change})" if change else "")
        )
    if success is not None:
        same = success.mean == 0
        parts.append("success the same" if same else f"success {number(success.mean, 3, signed=True)}")
    unsure = " (the seeds cannot tell them apart)" if word in ("not distinguishable", "mixed") else ""
    return (
        f"{paired.label(scheme)} is {', '.join(parts)}{unsure}"
        if parts
        else f"{paired.label(scheme)}: no seed in common"
    )


def _divided(comparison: Comparison) -> str:
    """No scheme leads in both: the fastest and the one that serves most, each with its other figure."""
    measured = [(n, *_means(comparison, n)) for n in comparison.schemes]
    fast = min((m for m in measured if m[1] is not None), key=lambda m: float(m[1] or 0), default=None)
    most = max((m for m in measured if m[2] is not None), key=lambda m: float(m[2] or 0), default=None)
    if fast is None or most is None:
        return "No request was served, so there is nothing to compare."
    said = "; ".join(
        f"{comparison.label(name)} {_level(comparison, name)}" for name in dict.fromkeys((fast[0], most[0]))
    )
    return f"No scheme is best in both: {said}.{_caveat(comparison, _certainty(comparison, {}))}"


def _certainty(comparison: Comparison, words: dict[str, Word]) -> Literal["clear", "unsure", "one"]:
    if len(comparison.seeds) < LEAST:
        return "one"
    return "clear" if words and set(words.values()) == {"worse"} else "unsure"


def _caveat(comparison: Comparison, certain: str) -> str:
    if certain != "one":
        return f" {len(comparison.seeds)} seeds."
    count = len(comparison.seeds)
    return f" {'One seed' if count == 1 else f'{count} seeds'}: it says nothing of other requests."
