"""Memory of bodies a megabyte large, kept for the next one.

glibc maps every piece of more than 128 KiB by itself and gives it back at once, or returns the top of its heap as soon
as 128 KiB of it are free (`man 3 mallopt`). The kernel zeroes the next piece again, page by page: of a picture of 1 MB
that was two thirds of the time of reading it, and nine tenths of pickling it.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of glibc's options (malloc.h)."""
_LARGEST, _KEPT, _AHEAD = 32 << 20, 32 << 20, 8 << 20
"""Bytes of a piece that is kept, of free memory that may be, and of what is taken, or left, beyond what is needed.

`orjson` sets eight times a text's bytes aside before it writes it, so the first two are well above eight pictures.
"""


def keep_freed_memory() -> bool:
    """Let this process keep what large bodies leave, up to 32 MB a heap; whether its C library can."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    wanted = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _AHEAD))
    return option is not None and all(option(*each) == 1 for each in wanted)
