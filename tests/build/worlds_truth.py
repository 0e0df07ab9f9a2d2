"""What a router of another package could look at the truth with."""

from __future__ import annotations

from emulation.domain.truth import RequestTruth


def peek(_: object) -> type:
    """Where the truth of a request is."""
    return RequestTruth
