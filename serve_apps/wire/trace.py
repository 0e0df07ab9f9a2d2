"""Which trace a request belongs to: the header `traceparent` of W3C's Trace Context (level 1)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = b"traceparent"
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace, and the span of it that our work is."""

    trace_id: str
    span_id: str
    """Ours."""
    parent_id: str = ""
    """The client's span; empty: the trace begins here."""
    sampled: bool = False
    """Whether the client records it."""

    def header(self) -> bytes:
        """The value of an answer's header: the client's trace and our span."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}".encode()


def trace_of(given: Sequence[bytes]) -> Trace:
    """The trace that a request's headers of this name tell of; a new one where there is none, several, or one that is
    malformed, as the standard wants it. A later version of the header is read as far as we know it."""
    fresh = os.urandom(24).hex()
    span_id = fresh[:16]
    found = _FORM.fullmatch(given[0].strip(b" \t")) if len(given) == 1 else None
    if found is not None:
        version, trace_id, parent_id, flags, more = found.groups()
        known = version != b"ff" and not (version == b"00" and more is not None)
        if known and trace_id.strip(b"0") and parent_id.strip(b"0"):
            return Trace(trace_id.decode(), span_id, parent_id.decode(), bool(int(flags, 16) & _SAMPLED))
    return Trace(fresh[16:], span_id)
