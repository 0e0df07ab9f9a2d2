"""What a paper states of a scheme, and how figures are written in the tables beside it."""

from __future__ import annotations

from dataclasses import dataclass

from edgebed.report.figures import NOT_MEASURED, with_interval
from edgebed.report.stats import Interval
from emulation.metrics.shares import share_percent


@dataclass(frozen=True, slots=True)
class PaperRow:
    """What a paper states of one scheme, in one setting or everywhere; None or empty where it states nothing."""

    mean_s: float | None = None
    """Mean latency, seconds."""
    mean: str = ""
    """The same in the paper's words."""
    jain: str = ""
    said: str = ""
    stutter: float | None = None
    calls: tuple[int, int] | None = None
    """Invocations of the reasoner, and tool calls."""


def percent(value: float | None, digits: int = 1, signed: bool = True) -> str:
    """A difference as a signed percentage, or a share as one that is 100% only where it is all."""
    if value is None:
        return NOT_MEASURED
    return f"{100 * value:+.{digits}f}%" if signed else share_percent(value, digits)


def percent_text(share: Interval | None) -> str:
    """A mean share as a signed percentage, with half of its 95% interval."""
    if share is None:
        return NOT_MEASURED
    return percent(share.mean) + ("" if share.half is None else f" ± {100 * share.half:.1f}")


def text(figure: Interval | None, decimals: int, share: bool = False) -> str:
    """A mean with half of its 95% interval; a `share` reads 1 only where it is all."""
    mean, half = with_interval(figure, decimals, share=share)
    return f"{mean} {half}".rstrip()
