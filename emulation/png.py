"""A valid PNG of any size from the standard library: what emulated models answer, and emulated clients send."""

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import lru_cache

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@lru_cache(maxsize=64)
def png(width: int, height: int, shade: int = 128) -> bytes:
    """An 8-bit greyscale PNG of `width` x `height` pixels: a ramp from `shade` along each row.

    Raises `ValueError` unless both sides are in [1, 8192] and the shade in [0, 255].
    """
    if not (1 <= width <= 8192 and 1 <= height <= 8192 and 0 <= shade <= 255):
        raise ValueError(f"no PNG of {width} x {height} pixels with shade {shade}")
    row = b"\0" + bytes((shade + x * 64 // width) % 256 for x in range(width))
    pixels = zlib.compress(row * height, level=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


@lru_cache(maxsize=8)
def noise(width: int, height: int) -> bytes:
    """An 8-bit RGB PNG of `width` x `height` pixels that takes its three bytes a pixel, as a photograph nearly does.

    Raises `ValueError` unless both sides are in [1, 8192].
    """
    if not (1 <= width <= 8192 and 1 <= height <= 8192):
        raise ValueError(f"no PNG of {width} x {height} pixels")
    row_bytes = 3 * width
    drawn = hashlib.shake_128(b"%dx%d" % (width, height)).digest(row_bytes * height)
    rows = b"".join(b"\0" + drawn[at : at + row_bytes] for at in range(0, len(drawn), row_bytes))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, level=0))
        + _chunk(b"IEND", b"")
    )
