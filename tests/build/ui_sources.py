"""What must hold of every source of a page, and whether two say the same of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebed.ui.views import Source


def all_said(source: Source) -> dict[str, Any]:
    """Everything that a page can be told of a run, at a few moments, apart from whether it grows."""
    span = source.span()
    moments = np.linspace(span.from_s, span.to_s, 13).tolist()
    newest = source.decisions(1e12, most=10_000)
    return {
        "who": (source.name, source.scheme, source.seed, source.world, source.reasoner),
        "span": (span.from_s, span.to_s, span.end_s),
        "frames": [source.frame(t_s) for t_s in moments],
        "series": [source.series(t_s) for t_s in moments],
        "decisions": newest,
        "details": [source.decision(d.number) for d in newest],
        "events": [source.events(t_s) for t_s in moments],
        "costs": [source.costs(t_s) for t_s in moments],
    }


def lawful(source: Source) -> None:
    """Raise unless what a source says of a moment adds up."""
    span = source.span()
    for t_s in (span.from_s, (span.from_s + span.to_s) / 2, span.to_s):
        frame = source.frame(t_s)
        assert frame.arrived == frame.done + frame.failed + frame.in_system
        source.series(t_s)
        source.costs(t_s)
        source.events(t_s)
        for decision in source.decisions(t_s, most=3):
            source.decision(decision.number)
