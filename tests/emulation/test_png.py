"""Pictures made of nothing but the standard library."""

from __future__ import annotations

import zlib

import pytest

from emulation.png import noise


def test_a_picture_of_noise_is_whole_and_as_large_as_its_pixels() -> None:
    found = noise(40, 30)
    assert found.startswith(b"\x89PNG\r\n\x1a\n")
    assert found.endswith(b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big"))
    start = found.index(b"IDAT") + 4
    pixels = zlib.decompress(found[start:-16])
    assert len(pixels) == 30 * (1 + 3 * 40)
    assert len(zlib.compress(pixels, 9)) > 0.9 * len(pixels)
    assert noise(40, 30) == found != noise(30, 40)


@pytest.mark.parametrize("sides", [(0, 1), (1, 8193)])
def test_a_picture_has_sides(sides: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no PNG"):
        noise(*sides)
