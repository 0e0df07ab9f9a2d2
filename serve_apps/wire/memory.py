"""Memory of bodies a megabyte large, kept for the next one.

glibc maps every piece of more than 128 KiB by itself and gives it back at once, or returns the top of its heap as soon
as 128 KiB of it are free (`man 3 mallopt`). The kernel zeroes the next piece again, page by page: of a picture of 1 MB
that was two thirds of the time of reading it, and nine tenths of pickling it.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's options (malloc.h)."""
_LARGEST, _KEPT = 8 << 20, 16 << 20
"""Bytes of a piece that is kept, and of free memory that may be."""


def keep_freed_memory() -> bool:
    """Let this process keep what large bodies leave, up to 16 MB a heap; whether its C library can."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    return (
        option is not None and option(_MMAP_THRESHOLD, _LARGEST) == 1 and option(_TRIM_THRESHOLD, _KEPT) == 1
    )
