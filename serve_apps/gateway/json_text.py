"""A body without its strings. A picture in base64 is a million bytes, among which nothing of JSON's own is to be found.

`bytes.find` looks for one byte at many places at once, so going from quote to quote costs next to nothing where strings
are few; where they are many, `count` looks at 32 bytes at a time, by numpy, which costs some microseconds before.
"""

from __future__ import annotations

import numpy as np

SHORT = 4096
"""Bytes of a text up to which numpy would take longer."""
_MANY = 1024
"""Strings up to which a text is gone through."""
_ESCAPES = 64
"""Backslashes in a row before a quote, up to which it is seen whether they escape it."""


def count(raw: bytes, byte: bytes) -> int:
    """How often one byte stands in a text."""
    if len(raw) <= SHORT:
        return raw.count(byte)
    return int(np.count_nonzero(np.frombuffer(raw, np.uint8) == byte[0]))


def without_strings(raw: bytes) -> bytes | None:
    """What of a JSON text stands outside its strings; None: it has too many of them, or odd ones."""
    kept, at = [], 0
    for _ in range(_MANY):
        opening = raw.find(b'"', at)
        if opening < 0:
            kept.append(raw[at:])
            return b"".join(kept)
        kept.append(raw[at:opening])
        closing = _closing(raw, opening + 1)
        if closing is None:
            return None
        at = closing + 1
    return None


def _closing(raw: bytes, begin: int) -> int | None:
    """Where the string ends that begins there; the end of the text where it does not. None: too much is escaped."""
    at = begin
    for _ in range(_MANY):
        quote = raw.find(b'"', at)
        if quote < 0:
            return len(raw)
        before = raw[max(begin, quote - _ESCAPES) : quote]
        escapes = len(before) - len(before.rstrip(b"\\"))
        if escapes == _ESCAPES:
            return None
        if escapes % 2 == 0:
            return quote
        at = quote + 1
    return None
