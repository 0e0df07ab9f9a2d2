"""What all viewers of a run share: within a beat of the page's clock they see it equally far."""

from __future__ import annotations

import time
from functools import lru_cache

from edgebed.ui.views import Source, Span

TICK_S = 0.5
"""Wall seconds between two looks at the run."""


def beat() -> int:
    """Number of the present beat. Every viewer looks once in each, in a phase of its own."""
    return int(time.monotonic() / TICK_S)


def span_of(source: Source) -> Span:
    """How far a run is, as all viewers see it within this beat: all who follow it are at one moment."""
    return _span(source, beat())


@lru_cache(maxsize=16)
def _span(source: Source, beat: int) -> Span:
    return source.span()
