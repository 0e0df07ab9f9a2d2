"""Who was better by how much, in one sentence per scheme: it says so where the seeds cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, isclose
from statistics import fmean
from typing import Literal

from edgebed.report.figures import BY_NAME, NOT_MEASURED, decimals_for, number
from edgebed.report.model import Comparison, figure_of
from edgebed.report.stats import LEAST, Interval
from edgebed.report.student import quantile

FEW = 5
"""Fewer pairs of seeds than this get a warning: Student's t is above 2.7, and one odd seed makes the mean."""
Word = Literal["better", "worse", "mixed", "not distinguishable", "too few seeds", "no pair"]
TONES: dict[Word, str] = {"better": "good", "worse": "bad"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A scheme against the baseline: the word, and the figures it rests on."""

    scheme: str
    word: Word
    text: str

    @property
    def tone(self) -> str:
        """good, bad or muted."""
        return TONES.get(self.word, "muted")


def verdicts(comparison: Comparison) -> list[Verdict]:
    """One per scheme other than the baseline, in the order of the tables; none without a baseline."""
    if comparison.baseline is None:
        return []
    return [_verdict(comparison, name) for name in comparison.schemes if name != comparison.baseline]


def relative(comparison: Comparison, scheme: str, name: str) -> float | None:
    """The paired difference as a share of the baseline's mean over the same seeds.

    None without a pair, or where that mean is zero.
    """
    if comparison.baseline is None:
        return None
    mine, base = (
        {s.seed: figure_of(s, name) for s in comparison.summaries(n)} for n in (scheme, comparison.baseline)
    )
    pairs = [(a, b) for seed, a in mine.items() if a is not None and (b := base.get(seed)) is not None]
    if not pairs or isclose(reference := fmean(b for _, b in pairs), 0.0, abs_tol=1e-12):
        return None
    return fmean(a for a, _ in pairs) / reference - 1.0


def percentage(share: float | None) -> str:
    """A signed share as a percentage of at most three digits; empty where there is none.

    Rounding makes neither nothing nor all of it: what is less than a tenth of a percent says so with its sign, and what
    is less than the whole stays below 100%.
    """
    if share is None:
        return ""
    percent = 100 * share
    if 0 < abs(percent) < 0.05:
        return f"{'+' if percent > 0 else NEGATIVE}<0.1%"
    if abs(percent) >= 1000:
        return f"×{number(1 + share, 1)}"
    digits = 0 if abs(percent) >= 9.95 and not 99.5 <= abs(percent) < 100 else 1
    if 99.9 < abs(percent) < 100:
        percent = copysign(99.9, percent)
    return f"{number(percent, digits, signed=True)}%"


NEGATIVE = "\u2212"


def _verdict(comparison: Comparison, scheme: str) -> Verdict:
    late, success = (comparison.difference(scheme, n) for n in ("mean_latency_s", "success_ratio"))
    pairs = 0 if success is None else success.n
    parts = [_latency(comparison, scheme, late), _success(success), _seeds(pairs)]
    against = f"{comparison.label(scheme)} against {comparison.label(str(comparison.baseline))}"
    return Verdict(scheme, _word(late, success), f"{against}: {'; '.join(parts)}")


def _word(late: Interval | None, success: Interval | None) -> Word:
    if success is None:
        return "no pair"
    if success.n < LEAST:
        return "too few seeds"
    signs = {_sign(late, -1), _sign(success, 1)} - {0}
    if not signs:
        return "not distinguishable"
    return "mixed" if len(signs) > 1 else "better" if signs == {1} else "worse"


def _sign(found: Interval | None, better: int) -> int:
    """1 for better, -1 for worse, 0 where zero lies in the interval or nothing was measured."""
    if found is None or not found.excludes_zero:
        return 0
    return better if found.mean > 0 else -better


def _latency(comparison: Comparison, scheme: str, found: Interval | None) -> str:
    if found is None:
        return "mean latency not measured on both sides"
    ends = [v for v in (found.mean, found.low, found.high) if v is not None]
    digits = decimals_for([found.mean])
    change = percentage(relative(comparison, scheme, "mean_latency_s"))
    text = f"mean {number(found.mean, digits, signed=True)} s" + (f" ({change})" if change else "")
    if found.low is None or found.high is None:
        return text
    digits = max(digits, decimals_for(ends))
    low, high = (number(v, digits, signed=True) for v in (found.low, found.high))
    return f"{text}, 95% {low} to {high}" + ("" if found.excludes_zero else ", which includes 0")


def _success(found: Interval | None) -> str:
    if found is None:
        return f"success {NOT_MEASURED}"
    if found.mean == 0 and found.low == found.high:
        return "success the same"
    digits = 2 if abs(found.mean) >= 0.095 else BY_NAME["success_ratio"].decimals or 3
    text = f"success {number(found.mean, digits, signed=True)}"
    unsure = found.low is not None and not found.excludes_zero
    return f"{text} (95% includes 0)" if unsure else text


def _seeds(pairs: int) -> str:
    if pairs < 1:
        return "no seed was run by both"
    if pairs < LEAST:
        return f"{pairs} seed{'s' if pairs > 1 else ''}, so no interval: it says nothing of others"
    if pairs < FEW:
        return f"only {pairs} seeds, so intervals are wide (t = {quantile(0.975, pairs - 1):.1f})"
    return f"{pairs} seeds"
